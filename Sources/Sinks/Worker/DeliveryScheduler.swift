internal import RuleEngine

/// Decides what is delivered when: lanes, batches, retries, expiry, the circuit breaker. Does no I/O and reads no clock.
///
/// Confined to the worker's thread. What happened is added to ``deltas``, one entry for each rule's use, which the owner
/// takes over into the published counters.
final class DeliveryScheduler {
    private let settings: WorkerSettings
    /// Whether all records of a batch must agree in target and headers: for sinks whose batch is one request.
    private let sameTarget: Bool
    /// Most batches under way; the sink may lower it.
    var window: Int
    private(set) var queue: RecordQueue
    private(set) var breaker: CircuitBreaker
    private var waiting: [ObjectIdentifier: SinkBatch] = [:]
    private var retries = RetryHeap()
    private var outstanding: [ObjectIdentifier: SinkBatch] = [:]
    private var pool: [SinkBatch] = []
    private var random: RandomSource
    private(set) var deltas: [SinkCounters] = []
    private(set) var hasDeltas = false
    private(set) var waitingBytes = 0
    /// Of what waits for a retry; looked up anew once a second, since it may have been delivered meanwhile.
    private var waitingOldest: Int64?
    private var nextWaitingCheck: Int64 = 0
    /// True while draining: nothing waits for a fuller batch.
    private var isFlushing = false
    private(set) var lastFailure: String?

    init(settings: WorkerSettings, sameTarget: Bool, random: RandomSource = .system) {
        self.settings = settings
        self.sameTarget = sameTarget
        self.random = random
        window = max(1, settings.inflightWindow)
        queue = RecordQueue(order: settings.order)
        breaker = CircuitBreaker(settings.breaker, firstPause: settings.retry.initial)
    }

    var inflightBatches: Int { outstanding.count }
    var isEmpty: Bool { queue.count == 0 && waiting.isEmpty && outstanding.isEmpty }
    /// Memory of all records, those under way included.
    var heldBytes: Int { queue.bytes + waitingBytes + outstandingBytes }
    private(set) var outstandingBytes = 0

    func admit(_ chunk: RecordChunk) { queue.admit(chunk) }

    /// The next batch to deliver, which counts as under way until ``complete(_:_:delivered:now:)``.
    func nextBatch(_ now: Int64) -> SinkBatch? {
        guard outstanding.count < window, breaker.blockedUntil(now) == nil else { return nil }
        if let batch = dueRetry(now) { return begin(batch, now) }
        guard queue.hasReady, isWorthABatch(now) else { return nil }
        let batch = pool.popLast() ?? SinkBatch()
        queue.fill(
            batch, maxMessages: max(1, settings.batch.maxMessages), maxBytes: settings.batch.maxBytes,
            sameTarget: sameTarget)
        guard batch.count > 0 else {
            pool.append(batch)
            return nil
        }
        return begin(batch, now)
    }

    /// - Parameter delivered: so many from the batch's beginning arrived, whatever became of the rest.
    func complete(_ batch: SinkBatch, _ verdict: Verdict, delivered: Int = 0, now: Int64) {
        guard outstanding.removeValue(forKey: ObjectIdentifier(batch)) != nil else { return }
        outstandingBytes -= batch.bytes
        count(batch.items[...]) { $0.inflight -= 1 }
        if delivered > 0, verdict != .delivered { finish(first: min(delivered, batch.count), of: batch) }
        switch verdict {
        case .delivered:
            lastFailure = nil
            succeeded(now)
            end(batch) { [isRetry = batch.attempt > 1] in
                $0.success += 1
                if isRetry { $0.retriedSuccess += 1 }
            }
        case .permanent(let reason):
            lastFailure = reason
            succeeded(now)
            fail(batch)
        case .retryable(let reason, let after): retry(batch, reason, after, opens: false, now)
        case .paused(let reason): retry(batch, reason, nil, opens: true, now)
        }
    }

    /// Drops what is too old.
    func expire(_ now: Int64) {
        guard let maxAge = settings.maxAge?.nanoseconds else { return }
        while let oldest = queue.oldestEnqueuedAt, oldest.addingSaturating(maxAge) <= now {
            dropOldest { $0.droppedExpired += 1 }
        }
        guard now >= nextWaitingCheck else { return }
        for batch in waiting.values where batch.enqueuedAt.addingSaturating(maxAge) <= now {
            drop(waiting: batch) { $0.droppedExpired += 1 }
        }
        waitingOldest = waiting.values.lazy.map(\.enqueuedAt).min()
        nextWaitingCheck = now.addingSaturating(min(1_000_000_000, max(1_000_000, maxAge / 8)))
    }

    /// Makes room by dropping the oldest that are not under way.
    func dropOldest(bytes: Int) {
        var left = bytes
        while left > 0, queue.count > 0 { left -= dropOldest { $0.droppedQueueFull += 1 } }
        while left > 0, let batch = waiting.values.min(by: { $0.enqueuedAt < $1.enqueuedAt }) {
            left -= batch.bytes
            drop(waiting: batch) { $0.droppedQueueFull += 1 }
        }
    }

    /// From here on batches do not wait to be full, and what waits for a retry is tried at once.
    func flush(_ now: Int64) {
        guard !isFlushing else { return }
        isFlushing = true
        breaker.hurry(now)
        hurryRetries(now, all: true)
    }

    /// Gives everything up, also what is under way.
    func abandonAll() {
        while queue.count > 0 { dropOldest { $0.droppedStopped += 1 } }
        for batch in Array(waiting.values) { drop(waiting: batch) { $0.droppedStopped += 1 } }
        for batch in Array(outstanding.values) {
            outstanding[ObjectIdentifier(batch)] = nil
            outstandingBytes -= batch.bytes
            count(batch.items[...]) { $0.inflight -= 1 }
            end(batch) { $0.droppedStopped += 1 }
        }
    }

    /// When ``nextBatch(_:)`` or ``expire(_:)`` may have something to do that has nothing to do now.
    func nextWake(_ now: Int64) -> Int64 {
        var wake = Int64.max
        if let maxAge = settings.maxAge?.nanoseconds, let oldest = queue.oldestEnqueuedAt {
            wake = oldest.addingSaturating(maxAge)
        }
        if let maxAge = settings.maxAge?.nanoseconds, !waiting.isEmpty, let oldest = waitingOldest {
            wake = min(wake, max(nextWaitingCheck, oldest.addingSaturating(maxAge)))
        }
        guard outstanding.count < window else { return wake }
        if let until = breaker.blockedUntil(now) { return isEmpty ? wake : min(wake, until) }
        if let retry = nextRetry() { wake = min(wake, retry) }
        if queue.hasReady, let oldest = queue.oldestEnqueuedAt {
            wake = min(wake, isWorthABatch(now) ? now : oldest.addingSaturating(settings.batch.maxWait.nanoseconds))
        }
        return wake
    }

    /// When the oldest record was handed over that has no final outcome.
    var oldestEnqueuedAt: Int64? {
        var oldest = queue.oldestEnqueuedAt ?? .max
        if !waiting.isEmpty, let first = waitingOldest { oldest = min(oldest, first) }
        for batch in outstanding.values { oldest = min(oldest, batch.enqueuedAt) }
        return oldest == .max ? nil : oldest
    }

    /// Whether deliverable records wait for a fuller batch.
    func isFilling(_ now: Int64) -> Bool { queue.hasReady && !isWorthABatch(now) }

    /// Whether nothing that is handed over could be delivered at once.
    func isBlocked(_ now: Int64) -> Bool { outstanding.count >= window || breaker.blockedUntil(now) != nil }

    /// Gives the counts since the last call to `body`, by use.
    func takeDeltas(_ body: (Int, SinkCounters) -> Void) {
        guard hasDeltas else { return }
        for index in deltas.indices {
            body(index, deltas[index])
            deltas[index] = SinkCounters()
        }
        hasDeltas = false
    }

    /// Chunks that may be filled again.
    func takeSpent() -> [RecordChunk] {
        guard !queue.spent.isEmpty else { return [] }
        defer { queue.spent.removeAll(keepingCapacity: true) }
        return queue.spent
    }
}

// The life of a batch.
extension DeliveryScheduler {
    private func isWorthABatch(_ now: Int64) -> Bool {
        guard settings.batch.maxWait > .zero, !isFlushing, queue.readyCount < settings.batch.maxMessages,
            queue.bytes < settings.batch.maxBytes, let oldest = queue.oldestEnqueuedAt
        else { return true }
        return oldest.addingSaturating(settings.batch.maxWait.nanoseconds) <= now
    }

    private func begin(_ batch: SinkBatch, _ now: Int64) -> SinkBatch {
        breaker.attempt(now)
        batch.attempt += 1
        outstanding[ObjectIdentifier(batch)] = batch
        outstandingBytes += batch.bytes
        count(batch.items[...]) { [isRetry = batch.attempt > 1] in
            $0.queuing -= 1
            $0.inflight += 1
            if isRetry { $0.retried += 1 }
        }
        return batch
    }

    private func succeeded(_ now: Int64) {
        // The other side is back: what waits for its retry need not wait longer.
        if breaker.succeeded() { hurryRetries(now, all: false) }
    }

    private func retry(_ batch: SinkBatch, _ reason: String, _ after: Duration?, opens: Bool, _ now: Int64) {
        lastFailure = reason
        if let most = settings.retry.maxAttempts, batch.attempt >= most {
            breaker.failed(now, notBefore: 0, opens: opens)
            return fail(batch)
        }
        var asked: Int64 = 0
        if settings.retry.respectsRetryAfter, let after {
            asked = now.addingSaturating(min(after, settings.retry.maxRetryAfter).nanoseconds)
        }
        breaker.failed(now, notBefore: asked, opens: opens)
        batch.isServerPaced = asked > 0
        batch.notBefore = max(asked, now.addingSaturating(delay(afterAttempt: batch.attempt)))
        count(batch.items[...]) { $0.queuing += 1 }
        if batch.attempt == 2 { detach(batch) }
        waiting[ObjectIdentifier(batch)] = batch
        waitingBytes += batch.bytes
        waitingOldest = min(waitingOldest ?? .max, batch.enqueuedAt)
        retries.push(batch)
    }

    private func delay(afterAttempt attempt: Int) -> Int64 {
        let retry = settings.retry
        let longest = Double(retry.max.nanoseconds)
        let full = min(longest, Double(retry.initial.nanoseconds) * pow(retry.multiplier, attempt - 1))
        switch retry.jitter {
        case .none: return Int64(full)
        case .full: return Int64(Double.random(in: 0...1, using: &random) * full)
        case .equal: return Int64((0.5 + Double.random(in: 0...0.5, using: &random)) * full)
        }
    }

    private func pow(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        for _ in 0..<min(max(0, exponent), 64) { result *= base }
        return result
    }

    /// Copies the records, so that a batch that waits long pins no chunk that others could use.
    private func detach(_ batch: SinkBatch) {
        let copy = RecordChunk()
        for item in batch.items { copy.buffer.append(.init(start: item.record.start, count: item.record.length)) }
        guard let start = copy.buffer.bytes.baseAddress else { return }
        var offset = 0
        for index in batch.items.indices {
            let item = batch.items[index]
            if item.chunk >= 0 { queue.releaseChunk(item.chunk) }
            batch.items[index].record = SinkRecord(start: start + offset)
            batch.items[index].chunk = -1
            offset += batch.items[index].record.length
        }
        batch.ownChunk = copy
    }

    private func fail(_ batch: SinkBatch) {
        end(batch) { [isRetry = batch.attempt > 1] in
            $0.failed += 1
            if isRetry { $0.retriedFailed += 1 }
        }
    }

    /// The records at the beginning arrived, the rest stays a batch.
    private func finish(first: Int, of batch: SinkBatch) {
        guard first < batch.count else { return }
        let done = batch.items[..<first]
        count(done) { $0.success += 1 }
        for item in done {
            batch.bytes -= item.record.length
            count(bytesOf: item)
        }
        queue.release(done, isLast: false)
        batch.items.removeFirst(first)
    }

    /// The batch has its final outcome.
    private func end(_ batch: SinkBatch, _ outcome: (inout SinkCounters) -> Void) {
        count(batch.items[...], outcome)
        for item in batch.items { count(bytesOf: item) }
        queue.release(batch.items[...], isLast: true)
        batch.items.removeAll(keepingCapacity: true)
        batch.attempt = 0
        batch.bytes = 0
        batch.generation += 1
        batch.ownChunk = nil
        if pool.count < 256 { pool.append(batch) }
    }

    private func drop(waiting batch: SinkBatch, _ outcome: (inout SinkCounters) -> Void) {
        waiting[ObjectIdentifier(batch)] = nil
        waitingBytes -= batch.bytes
        count(batch.items[...]) { $0.queuing -= 1 }
        end(batch, outcome)
    }

    /// - Returns: the bytes that became free.
    @discardableResult
    private func dropOldest(_ outcome: (inout SinkCounters) -> Void) -> Int {
        var length = 0
        queue.dropOldest { record in
            length = record.length
            change(record) {
                $0.queuing -= 1
                $0.queuingBytes -= length
                outcome(&$0)
            }
        }
        return length
    }
}

// Retries.
extension DeliveryScheduler {
    private func dueRetry(_ now: Int64) -> SinkBatch? {
        while let top = retries.top {
            guard let batch = waiting[top.id], batch.generation == top.generation, batch.notBefore == top.time else {
                retries.pop()
                continue
            }
            guard top.time <= now else { return nil }
            retries.pop()
            waiting[top.id] = nil
            waitingBytes -= batch.bytes
            return batch
        }
        return nil
    }

    private func nextRetry() -> Int64? {
        while let top = retries.top {
            if let batch = waiting[top.id], batch.generation == top.generation, batch.notBefore == top.time {
                return top.time
            }
            retries.pop()
        }
        return nil
    }

    private func hurryRetries(_ now: Int64, all: Bool) {
        for batch in waiting.values where batch.notBefore > now && (all || !batch.isServerPaced) {
            batch.notBefore = now
            retries.push(batch)
        }
    }
}

// Counting.
extension DeliveryScheduler {
    private func change(_ record: SinkRecord, _ body: (inout SinkCounters) -> Void) {
        let use = Int(record.header.use)
        while deltas.count <= use { deltas.append(SinkCounters()) }
        body(&deltas[use])
        hasDeltas = true
    }

    private func count(_ items: ArraySlice<SinkBatch.Item>, _ body: (inout SinkCounters) -> Void) {
        for item in items { change(item.record, body) }
    }

    private func count(bytesOf item: SinkBatch.Item) {
        change(item.record) { $0.queuingBytes -= item.record.length }
    }
}

/// When which batch is tried again, soonest first. Entries of batches that went another way stay in and are skipped.
private struct RetryHeap {
    struct Entry {
        var time: Int64
        var id: ObjectIdentifier
        var generation: Int
    }

    private var entries: [Entry] = []

    var top: Entry? { entries.first }

    mutating func push(_ batch: SinkBatch) {
        entries.append(Entry(time: batch.notBefore, id: ObjectIdentifier(batch), generation: batch.generation))
        var child = entries.count - 1
        while child > 0, entries[child].time < entries[(child - 1) / 2].time {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func pop() {
        guard entries.count > 1 else { return entries.removeAll(keepingCapacity: true) }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].time < entries[least].time { least = child }
            }
            if least == parent { return }
            entries.swapAt(parent, least)
            parent = least
        }
    }
}
