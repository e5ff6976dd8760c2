import Access
import Buffers
import Glibc
import HeapModule
import Logging
import MQTTCodec
import RuleEngine

/// One thread, one event loop, and everything that its connections need.
///
/// `@unchecked Sendable`: all properties belong to the thread that runs the loop; other threads reach a shard only
/// through its ``Mailbox`` and `wake`.
final class Shard: @unchecked Sendable {
    let index: Int
    /// The owner: it joins the shard's thread before it goes.
    unowned(unsafe) let node: BrokerNode
    let router: Router
    let mailbox = Mailbox()
    let counters = ShardCounters()
    let settings: MQTTZone
    let logger: Logger
    /// For lines that clients can cause.
    var lines: LogThrottle { node.lines }

    var cache = RouteCache()
    /// By shard number; the own one is never used.
    var outboxes: [Outbox] = []
    private var usedOutboxes: UInt64 = 0
    /// Shards whose mailbox is above its mark.
    private(set) var congestedShards: UInt64 = 0
    /// Nil without a mesh. Set before the thread starts.
    var links: ShardLinks?
    private var incoming: [OutputBuffer] = []

    private var dirty: [Connection] = []
    private var pool: [OutputBuffer] = []
    /// Publishers that are not read from until a congested shard or sink has caught up.
    private var paused: [Connection] = []
    /// Clients that are ahead of their rates, and when to look at them again.
    private var throttled: [Connection] = []
    private var throttledUntil: Int64 = 0

    /// Monotonic milliseconds, read once per tick.
    private(set) var now: Int64 = 0
    /// Wall clock in milliseconds since 1970, read once per tick.
    private(set) var wall: Int64 = 0
    /// Of the rules of access control, read once per tick.
    private(set) var accessGeneration: UInt64 = 0
    /// Makes the loop's thread take the mailbox; callable from any thread.
    var wake: @Sendable () -> Void = {}

    var sessions: [ObjectIdentifier: Session] = [:]
    /// Connections whose client has not taken what is theirs: looked at until it has.
    var stalled: [Connection] = []
    var nextRetry: Int64 = 0
    var nextReleaseCheck: Int64 = 0
    /// Sessions on their way here: what came for them meanwhile.
    var arriving: [ObjectIdentifier: Arrival] = [:]
    /// The turn of the last session that something came for while it was on its way here.
    var lastArrival: UInt64 = 0
    /// The turn of the first one of those that are still on their way; `.max` without any.
    var firstArrival: UInt64 { arriving.values.lazy.map(\.turn).min() ?? .max }
    /// Sessions that have left in name, while mail by old routes may still come.
    var leaving: [ObjectIdentifier: Departure] = [:]
    var connections: Set<Connection> = []
    let keepAlive: DeadlineWheel
    var absences = Heap<Absence>()
    /// Messages that rules published during the current publish: they follow it.
    var republished: [Message] = []
    let rules: RuleStage
    var sticky: [ObjectIdentifier: StickyChoice] = [:]
    var random = RandomSource.system
    /// Nil without rules of `rewrite`. Set before the thread starts.
    var rewriter: TopicRewriter? {
        didSet { rewritesPublishes = rewriter?.rewritesPublishes ?? false }
    }
    private(set) var rewritesPublishes = false
    private var idCounter: UInt64
    private var nextSessionNumber: UInt64 = 0
    private var lastRouteNumber: UInt64 = 0
    private(set) var isDraining = false
    /// Nil where nothing is kept on disk.
    var durable: DurableStage?
    /// Something of the current publish is on its way to the log: its acknowledgement waits.
    var isStorageTouched = false
    /// What would have to be stored is refused at the moment; read once per tick.
    var isStorageRefusing = false

    init(index: Int, node: BrokerNode, router: Router, settings: MQTTZone, rules: RuleStage, logger: Logger) {
        self.index = index
        self.node = node
        self.router = router
        self.settings = settings
        self.rules = rules
        self.logger = logger
        idCounter = UInt64.random(in: 0..<(1 << 24))
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        keepAlive = DeadlineWheel(now: Int64(time.tv_sec) * 1000)
        readClock()
    }

    deinit { cache.deallocate() }

    func prepareOutboxes(count: Int) { outboxes = (0..<count).map { _ in Outbox() } }

    // MARK: The tick

    /// Reads the clock; the first thing that a loop does when it wakes.
    @inline(__always)
    func readClock() {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        now = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        rules.context.uptimeNanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        clock_gettime(CLOCK_REALTIME, &time)
        wall = Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        rules.context.nowNanoseconds = Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        if let access = node.access { accessGeneration = access.generation }
    }

    /// Everything that was gathered during a tick leaves: one write per session, one mail per shard, one hand-over per
    /// sink. Wills and rules may gather more meanwhile, so it goes round until nothing is left.
    func endTick() {
        if let durable {
            durable.release()
            isStorageRefusing = durable.refuses
        }
        repeat {
            // Rules on events of clients and deliveries have no publish that theirs could follow.
            if !republished.isEmpty { publishRepublished() }
            // The log before the mail: what other shards do with it comes later there.
            durable?.settle()
            // Mail before answers: who has been answered can count on what other shards do from now on.
            postOutboxes()
            links?.post()
            var position = 0
            while position < dirty.count {
                dirty[position].flush()
                position += 1
            }
            dirty.removeAll(keepingCapacity: true)
        } while usedOutboxes != 0 || !republished.isEmpty || (durable.map { $0.isUnsettled } ?? false)
            || (links.map { $0.isUsed } ?? false)
        durable?.awaitLog()
        rules.endTick(now: now)
        if !paused.isEmpty { resumePaused() }
        if !throttled.isEmpty { resumeThrottled() }
    }

    /// Twice a second: keep alives, session ends, delayed wills.
    func timerTick() {
        keepAlive.advance(to: now) { connection in connection.checkDeadline() }
        endAbsences()
        cacheSweepCountdown -= 1
        if cacheSweepCountdown <= 0 {
            cacheSweepCountdown = 10
            cache.sweep(router: router)
            if !sticky.isEmpty {
                let reachable = router.reachableNodes.load(ordering: .relaxed)
                sticky = sticky.filter { $0.value.isUsable(reachable: reachable) }
            }
        }
        if settings.retryInterval != .max || settings.awaitReleaseTimeout != .max { checkExchanges() }
        checkStalled()
        rules.reportFailures(now: now)
        if index == 0 {
            sweepRetained()
            publishDelayed()
            node.peaks.note(node.gauges)
            node.boundsReport.tick(self)
            node.systemTopics.tick(self)
            node.reportAccess()
            node.links?.timerTick(now: now)
            node.retained.sweepTombstones(wall: wall)
        }
    }

    /// Retained messages that one turn of the loop removes; the next turn goes on.
    private static let sweepSize = 500

    private func sweepRetained() {
        let removed = node.retained.removeExpired(now: wall, most: Self.sweepSize) { topic in
            persistRetainedRemoval(topic)
        }
        counters.retainedExpired.add(removed)
        if removed == Self.sweepSize { execute { $0.sweepRetained() } }
    }
    private var cacheSweepCountdown = 10

    @inline(__always)
    func markDirty(_ connection: Connection) {
        guard !connection.isDirty else { return }
        connection.isDirty = true
        dirty.append(connection)
    }

    // MARK: Buffers

    @inline(__always)
    func takeBuffer() -> OutputBuffer { pool.popLast() ?? OutputBuffer(capacity: 1024) }

    /// Keeps up to 256 buffers of ordinary size for the next sessions that write.
    func giveBack(_ buffer: OutputBuffer) {
        buffer.removeAll()
        if pool.count < 256, buffer.capacity <= 64 * 1024 { pool.append(buffer) }
    }

    // MARK: Mail

    @inline(__always)
    func useOutbox(_ shard: Int) -> Outbox {
        usedOutboxes |= 1 << UInt64(shard)
        return outboxes[shard]
    }

    private func postOutboxes() {
        while usedOutboxes != 0 {
            let shard = usedOutboxes.trailingZeroBitCount
            usedOutboxes &= usedOutboxes &- 1
            let mailbox = node.shards[shard].mailbox
            if mailbox.post(outboxes[shard]) { node.shards[shard].wake() }
            if mailbox.backlog.load(ordering: .relaxed) > Mailbox.highWaterMark {
                congestedShards |= 1 << UInt64(shard)
            }
        }
    }

    /// Runs an errand on another shard, or at once on this one; in order with the messages sent there.
    func send(to shard: Int, _ body: @escaping @Sendable (Shard) -> Void) {
        if shard == index { body(self) } else { useOutbox(shard).append(ControlMail(body)) }
    }

    /// From any thread: runs an errand on this shard.
    func execute(_ body: @escaping @Sendable (Shard) -> Void) {
        let outbox = Outbox()
        outbox.append(ControlMail(body))
        if mailbox.post(outbox) { wake() }
    }

    /// Takes what other shards have sent.
    func drainMailbox() {
        mailbox.take(into: &incoming)
        guard !incoming.isEmpty else { return }
        var bytes = 0
        for stream in incoming {
            bytes += stream.count + receive(stream)
            stream.removeAll()
        }
        // What was refused of the mail is its senders' affair, not that of the client that is read next.
        _ = durable?.takeRefusal()
        mailbox.recycle(incoming, bytes: bytes)
        incoming.removeAll(keepingCapacity: true)
        if let links, links.hub.isPressing { links.hub.relieve() }
    }

    /// - Returns: the bytes of the messages that the stream referred to.
    private func receive(_ stream: OutputBuffer) -> Int {
        var reader = OutboxReader(stream.bytes)
        var referenced = 0
        while let record = reader.next() {
            switch record {
            case .bytes(let view, let epoch): receiveMail(view, message: nil, epoch: epoch)
            case .message(let message, let epoch):
                referenced += message.byteCount
                receiveMail(message.view, message: message, epoch: epoch)
            case .shared(let message, let subscription):
                referenced += message.byteCount
                deliverShared(message, to: subscription)
            case .control(let mail): mail.run(self)
            case .batch(let bytes, let lane): receiveBatch(bytes, lane: lane)
            }
        }
        return referenced
    }

    // MARK: Back-pressure

    /// Stops reading from a publisher until the shards and sinks that it feeds have caught up.
    func pause(_ connection: Connection) {
        guard !connection.isPausedByPressure else { return }
        connection.isPausedByPressure = true
        connection.transport.pauseReading()
        paused.append(connection)
    }

    /// Stops reading from a client that has sent more than its listener takes of one, until it may go on.
    func throttle(_ connection: Connection) {
        guard !connection.isPausedByRate else { return }
        connection.isPausedByRate = true
        connection.transport.pauseReading()
        waitForRates(connection)
    }

    private func waitForRates(_ connection: Connection) {
        // Not for each token: a client goes on when there are some.
        let due = now + max(10, connection.limiter?.wait(now: now) ?? 0)
        throttledUntil = throttled.isEmpty ? due : min(throttledUntil, due)
        throttled.append(connection)
    }

    private func resumeThrottled() {
        if now >= throttledUntil {
            let waiting = throttled
            throttled.removeAll(keepingCapacity: true)
            for connection in waiting where connection.phase != .closed {
                if let limiter = connection.limiter, limiter.wait(now: now) > 0 {
                    waitForRates(connection)
                } else {
                    connection.isPausedByRate = false
                    connection.resumeIfPossible()
                }
            }
        }
        if !throttled.isEmpty { node.scheduleWake(of: self) }
    }

    private func resumePaused() {
        var stillCongested: UInt64 = 0
        var candidates = congestedShards
        while candidates != 0 {
            let shard = candidates.trailingZeroBitCount
            candidates &= candidates &- 1
            if node.shards[shard].mailbox.backlog.load(ordering: .relaxed) > Mailbox.highWaterMark / 2 {
                stillCongested |= 1 << UInt64(shard)
            }
        }
        congestedShards = stillCongested
        let nodesAreCongested = links.map { $0.lookAtCongestion() } ?? false
        guard stillCongested == 0, !nodesAreCongested, !rules.isCongested else {
            // The other side drains within milliseconds; look again soon, also when nothing else wakes this loop.
            node.scheduleWake(of: self)
            return
        }
        let waiting = paused
        paused.removeAll(keepingCapacity: true)
        for connection in waiting {
            connection.isPausedByPressure = false
            connection.resumeIfPossible()
        }
    }

    // MARK: Identities

    @inline(__always)
    func nextMessageID() -> MessageID {
        idCounter &+= 1
        return MessageID(wall: wall, node: node.identity, shard: index, number: idCounter)
    }

    func nextRouteNumber() -> UInt64 {
        lastRouteNumber += 1
        return lastRouteNumber
    }

    func nextSessionID() -> UInt64 {
        nextSessionNumber += 1
        return UInt64(index + 1) << 48 | nextSessionNumber
    }

    func beginDraining() { isDraining = true }
}
