internal import Collections
internal import RuleEngine
internal import Synchronization

/// What shards, the worker's thread and onlookers share of a sink, under one mutex that is held for microseconds.
final class SinkInbox: Sendable {
    enum Phase: Equatable {
        case running
        /// Deliver what is there until that time, monotonic nanoseconds.
        case draining(until: Int64)
        case stopped
    }

    /// When a hand-over wakes the worker.
    enum Sleep {
        /// It is awake, or on its way.
        case none
        /// Anything does.
        case idle
        /// It sleeps for a batch to fill: so many bytes or records do, or a bound that is passed.
        case filling
        /// Nothing can be delivered now: only much new work does, or a bound that is passed.
        case blocked
    }

    struct State {
        var chunks = Deque<RecordChunk>()
        var spare: [RecordChunk] = []
        /// Bytes in ``chunks``.
        var bytes = 0
        /// Records in ``chunks``.
        var records = 0
        /// Bytes that the worker's scheduler has taken and not finished.
        var takenBytes = 0
        /// Bytes that the scheduler is to drop.
        var pendingDrop = 0
        var uses: [SinkCounters] = []
        var useKeys: [UseKey] = []
        var phase = Phase.running
        var sleep = Sleep.none
        var state = SinkStatus.State.connecting
        var lastError: String?
        /// Of what the scheduler holds.
        var oldestTaken: Int64?
    }

    let state = Mutex(State())
    private let congested = Atomic(false)
    private let maxBytes: Int
    private let onFull: FullPolicy
    private let wakeBytes: Int
    private let wakeRecords: Int
    private let wakeUp: @Sendable () -> Void

    /// - Parameter wakeUp: wakes the worker's thread; callable from any thread, never waits.
    init(settings: WorkerSettings, wakeUp: @escaping @Sendable () -> Void) {
        maxBytes = max(1, settings.maxBytes)
        onFull = settings.onFull
        wakeBytes = min(settings.batch.maxBytes, RecordChunk.size)
        wakeRecords = settings.batch.maxMessages
        self.wakeUp = wakeUp
    }

    var canCongest: Bool { onFull == .block }
    var isCongested: Bool { congested.load(ordering: .relaxed) }

    /// - Returns: the index of the use, the same for the same generation of the same rule.
    func use(ruleID: String, generation: Int) -> Int {
        state.withLock { state in
            let key = UseKey(ruleID: ruleID, generation: generation)
            if let known = state.useKeys.firstIndex(of: key) { return known }
            state.useKeys.append(key)
            state.uses.append(SinkCounters())
            return state.useKeys.count - 1
        }
    }

    /// What became of one use's records.
    func counters(use: Int) -> SinkCounters { state.withLock { $0.uses[use] } }

    /// Takes an appender's chunk and gives it an empty one. Called on the shard.
    func accept(_ chunk: inout RecordChunk, _ tally: AppendTally) {
        let filled = chunk
        let (empty, wakes) = state.withLock { state in
            count(tally, &state)
            let records = admit(filled, tally.rendered, &state)
            guard records > 0 else {
                filled.buffer.removeAll()
                return (filled, false)
            }
            let empty = store(filled, records, &state)
            let wakes = shouldWake(state)
            if wakes { state.sleep = .none }
            return (empty, wakes)
        }
        chunk = empty
        if wakes { wakeUp() }
    }

    private func count(_ tally: AppendTally, _ state: inout State) {
        for entry in tally.uses {
            state.uses[entry.use].received += entry.rendered + entry.failed
            state.uses[entry.use].failed += entry.failed
            state.uses[entry.use].queuing += entry.rendered
        }
        if let error = tally.lastError { state.lastError = "a record could not be rendered: \(error)" }
    }

    /// Applies the bound.
    /// - Returns: records left in the chunk.
    private func admit(_ chunk: RecordChunk, _ records: Int, _ state: inout State) -> Int {
        let bytes = chunk.buffer.count
        chunk.forEachRecord { state.uses[Int($0.header.use)].queuingBytes += $0.length }
        if state.phase == .stopped {
            chunk.forEachRecord { Self.drop($0, &state) { $0.droppedStopped += 1 } }
            return 0
        }
        let used = state.bytes + state.takenBytes - state.pendingDrop
        guard used + bytes > maxBytes else { return records }
        switch onFull {
        case .dropNewest: return keep(chunk, room: maxBytes - used, &state)
        case .block:
            congested.store(true, ordering: .relaxed)
            return keep(chunk, room: 2 * maxBytes - used, &state)
        case .dropOldest:
            makeRoom(used + bytes - maxBytes, &state)
            return records
        }
    }

    /// Keeps the records at the chunk's beginning that fit.
    private func keep(_ chunk: RecordChunk, room: Int, _ state: inout State) -> Int {
        var kept = 0
        var end = 0
        chunk.forEachRecord { record in
            // Once one is dropped all behind it are: order has no holes.
            if kept >= 0, end + record.length <= room {
                end += record.length
                kept += 1
            } else {
                if kept >= 0 { kept = ~kept }
                Self.drop(record, &state) { $0.droppedQueueFull += 1 }
            }
        }
        chunk.buffer.truncate(to: end)
        return kept < 0 ? ~kept : kept
    }

    private func makeRoom(_ overflow: Int, _ state: inout State) {
        var left = overflow
        let droppable = state.takenBytes - state.pendingDrop
        // The worker drops what is older than all that lies here. Only if it does not come round (a write that hangs),
        // this queue itself must stay within a bound.
        if droppable > 0, state.bytes < max(maxBytes / 8, 4 * RecordChunk.size) {
            let share = min(left, droppable)
            state.pendingDrop += share
            left -= share
        }
        while left > 0, let chunk = state.chunks.first, let start = chunk.buffer.bytes.baseAddress {
            let record = SinkRecord(start: start)
            let length = record.length
            Self.drop(record, &state) { $0.droppedQueueFull += 1 }
            left -= length
            state.bytes -= length
            state.records -= 1
            chunk.buffer.consume(length)
            if chunk.buffer.isEmpty { recycle(state.chunks.removeFirst(), &state) }
        }
        if left > 0 { state.pendingDrop += left }
    }

    private static func drop(_ record: SinkRecord, _ state: inout State, _ outcome: (inout SinkCounters) -> Void) {
        let use = Int(record.header.use)
        state.uses[use].queuing -= 1
        state.uses[use].queuingBytes -= record.length
        outcome(&state.uses[use])
    }

    /// - Returns: an empty chunk for the appender.
    private func store(_ chunk: RecordChunk, _ records: Int, _ state: inout State) -> RecordChunk {
        state.bytes += chunk.buffer.count
        state.records += records
        if let last = state.chunks.last, last.buffer.count + chunk.buffer.count <= RecordChunk.size {
            // Small hand-overs are packed, so that the queue takes no more memory than its records do.
            last.buffer.append(chunk.buffer.bytes)
            chunk.buffer.removeAll()
            return chunk
        }
        let empty = state.spare.popLast() ?? RecordChunk()
        let stored: RecordChunk
        if chunk.buffer.count >= RecordChunk.size / 2 {
            stored = chunk
        } else {
            // The appender keeps its chunk: a packed one is begun.
            stored = empty
            stored.buffer.append(chunk.buffer.bytes)
            chunk.buffer.removeAll()
        }
        stored.enqueuedAt = monotonicNanoseconds()
        state.chunks.append(stored)
        return stored === chunk ? empty : chunk
    }

    private func shouldWake(_ state: State) -> Bool {
        switch state.sleep {
        case .none: false
        case .idle: true
        case .blocked: state.bytes >= 4 * RecordChunk.size || state.pendingDrop > 0
        case .filling: state.bytes >= wakeBytes || state.records >= wakeRecords || state.pendingDrop > 0
        }
    }

    private func recycle(_ chunk: RecordChunk, _ state: inout State) {
        chunk.buffer.removeAll()
        if state.spare.count < 32, chunk.buffer.capacity <= 4 * RecordChunk.size { state.spare.append(chunk) }
    }
}

// The worker's side.
extension SinkInbox {
    /// What a round of the worker begins with.
    struct Round {
        var chunks: Deque<RecordChunk>
        var dropBytes: Int
        var phase: Phase
    }

    /// Publishes what the scheduler counted and takes what shards handed over.
    func beginRound(_ scheduler: DeliveryScheduler, _ connection: SinkStatus.State?) -> Round {
        state.withLock { state in
            publish(scheduler, connection, &state)
            state.sleep = .none
            var round = Round(chunks: [], dropBytes: state.pendingDrop, phase: state.phase)
            state.pendingDrop = 0
            swap(&round.chunks, &state.chunks)
            state.takenBytes += state.bytes
            state.bytes = 0
            state.records = 0
            return round
        }
    }

    /// Publishes what the scheduler counted.
    func publish(_ scheduler: DeliveryScheduler, _ connection: SinkStatus.State?) {
        state.withLock { publish(scheduler, connection, &$0) }
    }

    /// Publishes, and says whether the worker may sleep: nothing is here that it should take at once.
    func prepareToSleep(
        _ scheduler: DeliveryScheduler, _ connection: SinkStatus.State?, as sleep: Sleep, knownPhase: Phase
    ) -> Bool {
        state.withLock { state in
            publish(scheduler, connection, &state)
            guard state.phase == knownPhase, state.pendingDrop == 0 else { return false }
            state.sleep = sleep
            let wakes = state.bytes > 0 && shouldWake(state)
            if wakes { state.sleep = .none }
            return !wakes
        }
    }

    private func publish(_ scheduler: DeliveryScheduler, _ connection: SinkStatus.State?, _ state: inout State) {
        scheduler.takeDeltas { state.uses[$0] += $1 }
        state.takenBytes = scheduler.heldBytes
        state.oldestTaken = scheduler.oldestEnqueuedAt
        if let connection { state.state = connection }
        if let failure = scheduler.lastFailure { state.lastError = failure }
        for chunk in scheduler.takeSpent() { recycle(chunk, &state) }
        if isCongested, state.bytes + state.takenBytes < maxBytes / 5 * 4 { congested.store(false, ordering: .relaxed) }
    }

    /// - Returns: false when it was stopped before.
    func setPhase(_ phase: Phase) {
        let wakes = state.withLock { state in
            guard state.phase != .stopped else { return false }
            state.phase = phase
            if phase == .stopped { state.state = .stopped }
            state.sleep = .none
            return true
        }
        if wakes { wakeUp() }
    }

    /// The end: what the inbox still holds is counted as left over.
    func stop(_ scheduler: DeliveryScheduler) {
        state.withLock { state in
            publish(scheduler, .stopped, &state)
            discard(&state)
        }
    }

    /// The end, when the worker's thread does not answer.
    /// - Returns: records that are given up, those under way included.
    func giveUp() -> Int {
        state.withLock { state in
            discard(&state)
            state.state = .stopped
            return state.uses.reduce(0) { $0 + $1.queuing + $1.inflight }
        }
    }

    private func discard(_ state: inout State) {
        state.phase = .stopped
        while let chunk = state.chunks.popFirst() {
            chunk.forEachRecord { Self.drop($0, &state) { $0.droppedStopped += 1 } }
        }
        state.bytes = 0
        state.records = 0
        congested.store(false, ordering: .relaxed)
    }

    func status(name: String, type: String) -> SinkStatus {
        state.withLock { state in
            var sum = SinkCounters()
            for use in state.uses { sum += use }
            let oldest = [state.oldestTaken, state.chunks.first?.enqueuedAt].compactMap { $0 }.min()
            return SinkStatus(
                name: name, type: type, state: state.state, counters: sum,
                bufferedBytes: state.bytes + state.takenBytes,
                oldestAge: oldest.map { .nanoseconds(max(0, monotonicNanoseconds() - $0)) }, lastError: state.lastError,
                isCongested: isCongested,
                rules: Self.byRule(state.useKeys, state.uses))
        }
    }

    /// The counters of a rule's generations together.
    private static func byRule(_ keys: [UseKey], _ uses: [SinkCounters]) -> [(ruleID: String, counters: SinkCounters)] {
        var result: [(ruleID: String, counters: SinkCounters)] = []
        for (key, counters) in zip(keys, uses) {
            if let index = result.firstIndex(where: { $0.ruleID == key.ruleID }) {
                result[index].counters += counters
            } else {
                result.append((key.ruleID, counters))
            }
        }
        return result
    }
}

/// A rule that changed counts from zero, while what it had handed over before goes on being counted.
struct UseKey: Hashable {
    var ruleID: String
    var generation: Int
}
