import Buffers
import Cluster
import DequeModule

/// A shard's side of the links to other nodes: one outbox for each, posted at the end of the tick.
///
/// Confined to the shard's thread.
final class ShardLinks {
    /// A message for a shared group that has been left to another node and is not known to have reached it.
    private struct Unconfirmed {
        var number: UInt64
        var message: Message
        var group: UInt32
    }

    /// What a node that has come up is still to be sent.
    struct Replay {
        var slot: Int
        /// Buckets of retained topics; nil for the routes.
        var buckets: [Int]?
    }

    let hub: NodeLinks
    private unowned(unsafe) let shard: Shard
    private var outboxes: [OutputBuffer?] = Array(repeating: nil, count: 64)
    /// Sizes to begin with: what the last one came to.
    private var sizes: [Int] = Array(repeating: 1024, count: 64)
    private var used: UInt64 = 0
    private var retained: OutputBuffer?
    /// Nodes whose links carry more than they should, by slot.
    private(set) var congested: UInt64 = 0
    /// Messages of this tick for groups, whose batch has no number yet.
    private var unnumbered: [(slot: Int, message: Message, group: UInt32)] = []
    private var unconfirmed: [Deque<Unconfirmed>] = Array(repeating: [], count: 64)
    private var unconfirmedSlots: UInt64 = 0
    private var replays: [Replay] = []

    /// A batch that has grown to this size does not wait for the end of the tick.
    private static let batchBytes = 256 * 1024

    init(hub: NodeLinks, shard: Shard) {
        self.hub = hub
        self.shard = shard
    }

    var isUsed: Bool { used != 0 || retained != nil }

    // MARK: Messages

    /// One copy for each node.
    func append(_ message: MessageView, to nodes: UInt64) {
        var left = nodes
        while left != 0 {
            let slot = left.trailingZeroBitCount
            left &= left &- 1
            append(message, group: Bytes(start: nil, count: 0), passes: 0, to: slot)
        }
    }

    /// - Parameter group: the shared group of which the node is to choose a member.
    func append(_ message: MessageView, _ shared: inout Message?, group: SharedGroup, passes: UInt8, to slot: Int) {
        if message.traits.qos == 1 {
            let kept = shared ?? Message.make(copying: message)
            shared = kept
            unnumbered.append((slot, kept, group.number))
        }
        group.name.withUnsafeBytes { append(message, group: $0, passes: passes, to: slot) }
    }

    private func append(_ message: MessageView, group: Bytes, passes: UInt8, to slot: Int) {
        let outbox: OutputBuffer
        if let begun = outboxes[slot] {
            outbox = begun
        } else {
            outbox = OutputBuffer(capacity: sizes[slot])
            MessageBatch.begin(outbox, shard: shard.index, wall: shard.wall)
            outboxes[slot] = outbox
            used |= 1 << UInt64(slot)
        }
        LinkMessage.append(message, group: group, passes: passes, to: outbox)
        shard.counters.forwardedOut.add(1)
        if outbox.count > Self.batchBytes { post(slot) }
    }

    // MARK: Retained messages

    func append(retained message: MessageView, _ stamp: RetainedStamp) {
        RetainedBatch.append(message, stamp, to: retainedBatch())
        if let retained, retained.count > RetainedBatch.batchBytes { postRetained() }
    }

    func append(deleted topic: Bytes, _ stamp: RetainedStamp) {
        RetainedBatch.append(deleted: topic, stamp, to: retainedBatch())
        if let retained, retained.count > RetainedBatch.batchBytes { postRetained() }
    }

    private func retainedBatch() -> OutputBuffer {
        if let retained { return retained }
        let batch = OutputBuffer(capacity: 1024)
        RetainedBatch.begin(batch, wall: shard.wall)
        retained = batch
        return batch
    }

    private func postRetained() {
        guard let batch = retained else { return }
        retained = nil
        hub.postToAll(batch)
    }

    // MARK: The end of a tick

    /// Hands over what has gathered.
    func post() {
        if hub.hasRouteChanges { hub.postRouteChanges() }
        postRetained()
        while used != 0 { post(used.trailingZeroBitCount) }
        if unconfirmedSlots != 0 { confirm() }
        if !replays.isEmpty { replay() }
    }

    private func post(_ slot: Int) {
        used &= ~(1 << UInt64(slot))
        guard let batch = outboxes[slot] else { return }
        outboxes[slot] = nil
        sizes[slot] = min(64 * 1024, max(1024, batch.count))
        let number = hub.mesh.post(batch, to: slot, lane: .messages)
        if !unnumbered.isEmpty { numberUnconfirmed(slot, number) }
        if hub.isCongested(slot, above: hub.highWaterMark) { congested |= 1 << UInt64(slot) }
    }

    /// - Returns: whether some node still has publishers wait.
    func lookAtCongestion() -> Bool {
        var candidates = congested
        while candidates != 0 {
            let slot = candidates.trailingZeroBitCount
            candidates &= candidates &- 1
            if !hub.isCongested(slot, above: hub.highWaterMark / 2) { congested &= ~(1 << UInt64(slot)) }
        }
        return congested != 0
    }

    // MARK: Shared groups

    private func numberUnconfirmed(_ slot: Int, _ number: UInt64) {
        let mine = unnumbered.filter { $0.slot == slot }
        unnumbered.removeAll { $0.slot == slot }
        guard number != 0 else {
            // The node is not there: somebody else gets them, behind what is being done now.
            for entry in mine { redispatch(entry.message, entry.group) }
            return
        }
        for entry in mine {
            unconfirmed[slot].append(Unconfirmed(number: number, message: entry.message, group: entry.group))
        }
        if !mine.isEmpty { unconfirmedSlots |= 1 << UInt64(slot) }
    }

    private func confirm() {
        var slots = unconfirmedSlots
        while slots != 0 {
            let slot = slots.trailingZeroBitCount
            slots &= slots &- 1
            let acknowledged = hub.acknowledged(by: slot)
            while let first = unconfirmed[slot].first, first.number <= acknowledged { unconfirmed[slot].removeFirst() }
            if unconfirmed[slot].isEmpty { unconfirmedSlots &= ~(1 << UInt64(slot)) }
        }
    }

    /// The node is gone: what may not have reached it goes to another member. It may get there twice, as QoS 1 does.
    /// - Parameter acknowledged: the last batch that it has had.
    func nodeLost(_ slot: Int, acknowledged: UInt64) {
        congested &= ~(1 << UInt64(slot))
        replays.removeAll { $0.slot == slot }
        let lost = unconfirmed[slot]
        unconfirmed[slot] = []
        unconfirmedSlots &= ~(1 << UInt64(slot))
        for entry in lost where entry.number > acknowledged { shard.redispatch(entry.message, group: entry.group) }
    }

    private func redispatch(_ message: Message, _ group: UInt32) {
        nonisolated(unsafe) let message = message  // immutable
        shard.execute { $0.redispatch(message, group: group) }
    }

    // MARK: Replays

    func add(_ replay: Replay) {
        replays.removeAll { $0.slot == replay.slot && ($0.buckets == nil) == (replay.buckets == nil) }
        replays.append(replay)
    }

    /// A batch of each in a turn of the loop, while its link has room.
    private func replay() {
        var isWaiting = false
        for index in replays.indices.reversed() {
            let slot = replays[index].slot
            guard hub.mesh.backlog(of: slot) < hub.highWaterMark / 2 else {
                isWaiting = true
                continue
            }
            let isDone =
                replays[index].buckets == nil
                ? hub.postRouteChunk(to: slot)
                : hub.postRetainedChunk(to: slot, &replays[index].buckets, wall: shard.wall)
            if isDone { replays.remove(at: index) }
        }
        guard !replays.isEmpty else { return }
        if isWaiting { shard.node.scheduleWake(of: shard) } else { shard.execute { _ in } }
    }
}
