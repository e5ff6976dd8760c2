package import RuleEngine
internal import Logging
internal import Synchronization

/// Queues, batches, retries, counts and drains for one sink.
///
/// `@unchecked Sendable`: ``scheduler``, ``sink`` and what is private below them belong to the thread of the loop that
/// runs this worker; the rest is immutable or the inbox's, which has its own mutex.
package final class SinkWorker: @unchecked Sendable {
    package let name: String
    package let type: String
    let settings: WorkerSettings
    let inbox: SinkInbox
    let scheduler: DeliveryScheduler
    let sink: any Sink
    private let renderer: any RecordRenderer
    private let orderSeed = UInt64.random(in: .min ... .max)
    private let logger: Logger
    private let done: EventSignal
    private let stateObserver: (@Sendable (SinkStatus.State) -> Void)?
    private let lost = Atomic(0)
    private var connection = SinkStatus.State.connecting
    private var phase = SinkInbox.Phase.running

    init(
        _ definition: SinkDefinition, sink: any Sink, sameTarget: Bool, logger: Logger,
        wakeUp: @escaping @Sendable () -> Void
    ) throws(SinkFailure) {
        name = definition.name
        type = definition.type
        settings = definition.worker
        renderer = definition.renderer
        stateObserver = definition.stateObserver
        self.sink = sink
        var logger = logger
        logger[metadataKey: "sink.name"] = "\(definition.type):\(definition.name)"
        self.logger = logger
        inbox = SinkInbox(settings: settings, wakeUp: wakeUp)
        scheduler = DeliveryScheduler(settings: settings, sameTarget: sameTarget)
        done = try EventSignal()
    }

    /// The use of this sink by a rule; the same for the same id and generation. Any thread, when rules are wired.
    /// - Parameter generation: changes with the rule, so that its counters begin anew.
    package func use(
        ruleID: String, undefinedAs: JSON.UndefinedEncoding = .text, payloadEncoding: PayloadEncoding = .utf8,
        generation: Int = 0
    ) -> RuleUse {
        RuleUse(
            ruleID: ruleID, undefinedAs: undefinedAs, payloadEncoding: payloadEncoding,
            index: inbox.use(ruleID: ruleID, generation: generation))
    }

    /// What became of the records of one use. Any thread.
    package func counters(of use: RuleUse) -> SinkCounters { inbox.counters(use: use.index) }

    /// A shard's end; one for each shard, to be used on its thread alone.
    package func makeAppender() -> SinkAppender {
        SinkAppender(inbox: inbox, renderer: renderer, order: settings.order, orderSeed: orderSeed)
    }

    /// Any thread.
    package func status() -> SinkStatus { inbox.status(name: name, type: type) }

    /// Whether the queue is full and `on_full: block` asks publishers to slow down; any thread.
    package var isCongested: Bool { inbox.isCongested }

    /// Delivers what is there until the deadline and stops; returns at once. Any thread.
    /// What is handed over later counts as dropped.
    package func beginDrain(until deadline: ContinuousClock.Instant) {
        let left = ContinuousClock.now.duration(to: deadline).nanoseconds
        inbox.setPhase(.draining(until: monotonicNanoseconds().addingSaturating(max(0, left))))
    }

    /// Waits until the drain is over. Blocks its thread: not for event loops.
    /// - Parameter deadline: when to stop waiting even if a write hangs; a second behind the drain's is sensible.
    /// - Returns: records that could not be delivered.
    package func waitUntilStopped(until deadline: ContinuousClock.Instant) -> Int {
        let left = ContinuousClock.now.duration(to: deadline).nanoseconds
        if done.wait(nanoseconds: max(0, left)) { return lost.load(ordering: .acquiring) }
        let given = inbox.giveUp()
        logger.error(
            "The sink did not stop in time; its records are lost.", metadata: ["sink.lost": "\(given)"])
        return given
    }
}

// The loop's side: on its thread alone.
extension SinkWorker {
    /// Takes what was handed over and drops what must go.
    func beginRound(_ now: Int64) {
        let round = inbox.beginRound(scheduler, connection)
        for chunk in round.chunks { scheduler.admit(chunk) }
        if round.dropBytes > 0 { scheduler.dropOldest(bytes: round.dropBytes) }
        scheduler.expire(now)
        phase = round.phase
        if case .draining = phase { scheduler.flush(now) }
    }

    func complete(_ batch: SinkBatch, _ verdict: Verdict, delivered: Int = 0, now: Int64) {
        scheduler.complete(batch, verdict, delivered: delivered, now: now)
        switch verdict {
        case .delivered, .permanent: note(.connected)
        case .retryable(let reason, _):
            if scheduler.breaker.failures >= 3 || !scheduler.breaker.isClosed { note(.disconnected(reason: reason)) }
        case .paused(let reason): note(.disconnected(reason: reason))
        }
    }

    func note(_ state: SinkStatus.State) {
        guard state != connection else { return }
        switch (connection, state) {
        case (.disconnected, .disconnected): break
        case (_, .disconnected(let reason)):
            logger.warning("The sink is not reachable; its records wait.", metadata: ["sink.reason": "\(reason)"])
        case (.disconnected, .connected): logger.notice("The sink is reachable again.")
        default: break
        }
        connection = state
        stateObserver?(state)
    }

    func publish() { inbox.publish(scheduler, connection) }

    /// Whether the worker has nothing more to do for ever.
    func isFinished(_ now: Int64) -> Bool {
        switch phase {
        case .running: false
        case .draining(let deadline): scheduler.isEmpty || now >= deadline
        case .stopped: true
        }
    }

    /// - Parameter other: when the sink itself wants to be called.
    /// - Returns: until when the loop may sleep; nil when there is something to do.
    func sleepDeadline(_ now: Int64, other: Int64?) -> Int64? {
        var deadline = min(scheduler.nextWake(now), other ?? .max)
        if case .draining(let until) = phase { deadline = min(deadline, until) }
        guard deadline > now else { return nil }
        let sleep: SinkInbox.Sleep = scheduler.isBlocked(now) ? .blocked : scheduler.isFilling(now) ? .filling : .idle
        return inbox.prepareToSleep(scheduler, connection, as: sleep, knownPhase: phase) ? deadline : nil
    }

    /// The end, after the sink was closed.
    func finish() {
        scheduler.abandonAll()
        inbox.stop(scheduler)
        let dropped = status().counters.droppedStopped
        lost.store(dropped, ordering: .releasing)
        if dropped > 0 {
            logger.error(
                "Records could not be delivered before the sink stopped and are lost.",
                metadata: ["sink.lost": "\(dropped)", "sink.reason": "\(scheduler.lastFailure ?? "out of time")"])
        }
        done.signal()
    }
}
