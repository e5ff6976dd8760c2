import Buffers
import Cluster
import Logging
import Synchronization

/// What this node tells the others and is told by them: routes, messages, retained topics.
///
/// `@unchecked Sendable`: `peers` and `inboxes` belong to the mesh's thread, `routes` is under its lock, the rest are
/// atomics or does not change. Outlives no shard: the mesh ends before the node goes.
final class NodeLinks: @unchecked Sendable {
    struct RouteState {
        var local = LocalRoutes()
        /// Nodes that deltas are posted to: those that a dump has begun for.
        var followers: UInt64 = 0
        var dumps: [Int: LocalRoutes.Dump] = [:]
    }

    /// A node that can be reached.
    struct Peer {
        var peer: MeshPeer
        var node: RemoteNode
        var routes = PeerRoutes()
        /// The bytes of the last batch were none: a dump is asked for at the next comparison.
        var isDamaged = false
    }

    let mesh: any MeshLinks
    unowned(unsafe) let node: BrokerNode
    let router: Router
    let logger: Logger
    /// Bytes towards one node at which publishers are no longer read from.
    let highWaterMark: Int
    let routes = Guarded(RouteState())
    private let routesChanged = Atomic<Bool>(false)
    /// By slot.
    var peers: [Peer?] = Array(repeating: nil, count: 64)
    /// By shard; what goes to its mailbox.
    var inboxes: [Outbox] = []
    /// Complete before the threads start; empty before.
    private(set) var shards: [Shard] = []
    private let hasStarted = Atomic<Bool>(false)
    /// Nodes that have asked this one to wait.
    let pressedBy = Atomic<UInt64>(0)
    /// Nodes that this one has asked to wait.
    let pressing = Atomic<UInt64>(0)
    /// Nodes that are up.
    let up = Atomic<UInt64>(0)
    private let acknowledgements: UnsafeMutablePointer<Atomic<UInt64>>
    let rejected = Atomic<Int>(0)
    /// Milliseconds between comparisons of what others know of this node's routes.
    let comparisonInterval: Int64
    /// The first shard's thread.
    private var nextComparison: Int64 = 0

    init(mesh: any MeshLinks, node: BrokerNode, highWaterMark: Int, comparisonInterval: Int64) {
        self.mesh = mesh
        self.node = node
        router = node.router
        logger = node.logger
        self.highWaterMark = highWaterMark
        self.comparisonInterval = comparisonInterval
        acknowledgements = .allocate(capacity: 64)
        for slot in 0..<64 { (acknowledgements + slot).initialize(to: Atomic(0)) }
    }

    deinit {
        acknowledgements.deinitialize(count: 64)
        acknowledgements.deallocate()
    }

    /// The shards are complete. Before their threads run.
    func begin(_ shards: [Shard]) {
        self.shards = shards
        inboxes = shards.map { _ in Outbox() }
        for shard in shards { shard.links = ShardLinks(hub: self, shard: shard) }
        hasStarted.store(true, ordering: .releasing)
    }

    var isStarted: Bool { hasStarted.load(ordering: .acquiring) }

    // MARK: What waits for a node

    /// Whether publishers to this node have to wait.
    func isCongested(_ slot: Int, above mark: Int) -> Bool {
        pressedBy.load(ordering: .relaxed) & 1 << UInt64(slot) != 0 || mesh.backlog(of: slot) > mark
    }

    /// The last batch of messages that has reached that node.
    func acknowledged(by slot: Int) -> UInt64 { acknowledgements[slot].load(ordering: .acquiring) }

    func setAcknowledged(_ number: UInt64, by slot: Int) {
        acknowledgements[slot].store(number, ordering: .releasing)
    }

    /// Nodes that were asked to wait may go on once all mailboxes are half empty. Any shard's thread.
    func relieve() {
        guard shards.allSatisfy({ $0.mailbox.backlog.load(ordering: .relaxed) < Mailbox.highWaterMark / 2 }) else {
            return
        }
        var slots = pressing.exchange(0, ordering: .acquiringAndReleasing)
        while slots != 0 {
            let slot = slots.trailingZeroBitCount
            slots &= slots &- 1
            _ = mesh.post(MessageBatch.pressure(false), to: slot, lane: .messages)
        }
    }

    @inline(__always)
    var isPressing: Bool { pressing.load(ordering: .relaxed) != 0 }

    // MARK: Routes of this node

    private enum Advertised {
        static let present: UInt8 = 1
        static let online: UInt8 = 2
        static let stored: UInt8 = 4
    }

    /// Counts a subscription that has come or gone. On the thread of its session's shard.
    func advertise(_ subscription: Subscription, isPresent: Bool) {
        var flags: UInt8 = 0
        if isPresent {
            flags = Advertised.present
            if subscription.session.isStored { flags |= Advertised.stored }
            if subscription.shared != nil, subscription.session.isOnline { flags |= Advertised.online }
        }
        let old = subscription.advertised.exchange(flags, ordering: .relaxed)
        guard old != flags else { return }
        func change(_ bit: UInt8) -> Int { Int(flags & bit) / Int(bit) - Int(old & bit) / Int(bit) }
        let key = RouteKey(filter: subscription.topicFilter, group: subscription.shared?.group)
        routes.withLock {
            $0.local.change(
                key, members: change(Advertised.present), online: change(Advertised.online),
                stored: change(Advertised.stored))
        }
        routesChanged.store(true, ordering: .releasing)
    }

    /// The same for one whose session has changed; one that is not in force stays so.
    func advertiseAgain(_ subscription: Subscription) {
        if subscription.advertised.load(ordering: .relaxed) != 0 { advertise(subscription, isPresent: true) }
    }

    @inline(__always)
    var hasRouteChanges: Bool { routesChanged.load(ordering: .relaxed) }

    /// Under the lock, so that all nodes get the deltas in their order.
    func postRouteChanges() {
        routesChanged.store(false, ordering: .relaxed)
        routes.withLock { state in
            while let delta = state.local.takeDelta() { post(delta, to: state.followers) }
        }
    }

    /// To every node that is up, on the lane `state`.
    func postToAll(_ batch: OutputBuffer) { post(batch, to: up.load(ordering: .acquiring)) }

    private func post(_ batch: OutputBuffer, to slots: UInt64) {
        var left = slots
        while left != 0 {
            let slot = left.trailingZeroBitCount
            left &= left &- 1
            var copy = batch
            if left != 0 {
                copy = OutputBuffer(capacity: batch.count)
                copy.append(batch.bytes)
            }
            _ = mesh.post(copy, to: slot, lane: .state)
        }
    }

    /// A node wants to know all.
    func beginDump(to slot: Int) {
        routes.withLock { state in
            let (dump, batch) = state.local.beginDump()
            state.dumps[slot] = dump
            state.followers |= 1 << UInt64(slot)
            _ = mesh.post(batch, to: slot, lane: .state)
        }
        shards.first?.execute { $0.links?.add(ShardLinks.Replay(slot: slot, buckets: nil)) }
    }

    func endFollowing(_ slot: Int) {
        routes.withLock { state in
            state.followers &= ~(1 << UInt64(slot))
            state.dumps[slot] = nil
        }
    }

    /// - Returns: whether the dump has come to its end.
    func postRouteChunk(to slot: Int) -> Bool {
        routes.withLock { state in
            guard var dump = state.dumps[slot] else { return true }
            let batch = state.local.nextChunk(of: &dump)
            state.dumps[slot] = dump.isFinished ? nil : dump
            _ = mesh.post(batch, to: slot, lane: .state)
            return dump.isFinished
        }
    }

    /// The first shard's twice a second: asks the other nodes what this one's copies of their routes should be.
    func timerTick(now: Int64) {
        if isPressing { relieve() }
        guard now >= nextComparison else { return }
        nextComparison = now + comparisonInterval
        for peer in mesh.peers { compareRoutes(with: peer) }
    }

    // MARK: Retained topics

    /// - Parameter buckets: what is left to be sent.
    /// - Returns: whether that was all.
    func postRetainedChunk(to slot: Int, _ buckets: inout [Int]?, wall: Int64) -> Bool {
        var sent = 0
        while sent < RetainedBatch.batchBytes, let bucket = buckets?.popLast() {
            sent += postRetained(bucket, to: slot, wall: wall)
        }
        return buckets?.isEmpty ?? true
    }

    /// - Returns: how many bytes.
    private func postRetained(_ bucket: Int, to slot: Int, wall: Int64) -> Int {
        var sent = 0
        var batch = OutputBuffer(capacity: 4096)
        RetainedBatch.begin(batch, wall: wall)
        for (topic, entry, message) in node.retained.entries(in: bucket, now: wall) {
            if let message {
                withExtendedLifetime(message) { RetainedBatch.append(message.view, entry.stamp, to: batch) }
            } else {
                topic.withUnsafeBytes { RetainedBatch.append(deleted: $0, entry.stamp, to: batch) }
            }
            guard batch.count > RetainedBatch.batchBytes else { continue }
            sent += batch.count
            _ = mesh.post(batch, to: slot, lane: .state)
            batch = OutputBuffer(capacity: 4096)
            RetainedBatch.begin(batch, wall: wall)
        }
        sent += batch.count
        if batch.count > RetainedBatch.headerBytes { _ = mesh.post(batch, to: slot, lane: .state) }
        return sent
    }
}
