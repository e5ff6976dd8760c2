import Buffers
import RuleEngine
import Sinks

/// When rules are evaluated: at once, or under load a window of some milliseconds together.
extension RuleStage {
    /// So many messages within ``linger`` are a load under which the next ones gather.
    private static let windowLoad = 8

    /// Runs a topic's rules over a message that was published: now, or with those that follow.
    @inline(__always)
    func run(_ set: RuleSetRunner, message: MessageView) {
        windowCount &+= 1
        if isBatching, set.mayWait, RuleBacklog.accepts(message) {
            backlog.append(message, set, nanoseconds: context.nowNanoseconds)
            if backlog.isFull { evaluateBacklog() }
        } else {
            evaluate(set, message: message)
        }
    }

    @inline(never)
    private func evaluate(_ set: RuleSetRunner, message: MessageView) {
        evaluateBacklog()
        evaluatePublish(set, message)
    }

    private func evaluatePublish(_ set: RuleSetRunner, _ message: MessageView) {
        event.kind = .messagePublish
        event.message = message
        event.receiver = nil
        run(message, set)
    }

    /// What waits comes before anything else that rules are to see.
    func evaluateBacklog() {
        guard !backlog.isEmpty else { return }
        let (now, uptime) = (context.nowNanoseconds, context.uptimeNanoseconds)
        backlog.drain { set, message, nanoseconds in
            context.nowNanoseconds = nanoseconds
            // As much earlier, unless the wall clock was set meanwhile.
            context.uptimeNanoseconds = uptime - max(0, min(now - nanoseconds, linger * 1_000_000))
            evaluatePublish(set, message)
        }
        context.nowNanoseconds = now
        context.uptimeNanoseconds = uptime
    }

    /// Evaluates and gives to the sinks' workers what has gathered, unless it may gather on. At the end of each tick.
    @inline(__always)
    func endTick(now: Int64) {
        if now < windowEnd, isBatching, !dirtyAppenders.contains(where: \.isFull) {
            due = backlog.isEmpty && dirtyAppenders.isEmpty ? .max : windowEnd
        } else {
            finishTick(now: now)
        }
    }

    private func finishTick(now: Int64) {
        handOver()
        guard now >= windowEnd else { return }
        isBatching = linger > 0 && windowCount >= Self.windowLoad
        windowCount = 0
        windowEnd = now + linger
    }

    /// Evaluates what waits and gives what has been gathered to the sinks' workers.
    func handOver() {
        evaluateBacklog()
        due = .max
        guard !dirtyAppenders.isEmpty else { return }
        for appender in dirtyAppenders { appender.handOver() }
        dirtyAppenders.removeAll(keepingCapacity: true)
    }

    /// Whether a sink asks its publishers to wait.
    @inline(__always)
    var isCongested: Bool { canCongest && blockingAppenders.contains { $0.isCongested } }
}
