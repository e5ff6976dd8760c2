/// How a delivery went.
package enum Verdict: Sendable, Equatable {
    case delivered
    /// To be tried again; `after` is what the other side asked for.
    case retryable(reason: String, after: Duration? = nil)
    /// As ``retryable(reason:after:)``, and nothing else is to be tried before that: credentials that are refused.
    case paused(reason: String)
    /// Never to be tried again.
    case permanent(reason: String)
}

/// What `write` came to.
package enum WriteOutcome: Sendable, Equatable {
    /// - Parameter delivered: so many records from the batch's beginning arrived whatever the verdict says of the rest.
    case finished(Verdict, delivered: Int = 0)
    /// The verdict comes later, from the loop that runs this sink.
    case started
}

/// Why a sink cannot be opened; tried again with back-off.
package struct SinkFailure: Error, Sendable, Equatable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }
}

/// Where records go. Says only what is its own; queueing, batching, retries, counters and draining are the
/// ``SinkWorker``'s. Confined to the thread of its worker.
package protocol Sink: AnyObject {
    func open() throws(SinkFailure)
    /// - Parameter now: monotonic nanoseconds.
    func write(_ batch: SinkBatch, now: Int64) -> WriteOutcome
    /// Work that is due by time alone, such as a sync.
    /// - Returns: when to be called again at the latest, monotonic nanoseconds; nil for no need.
    func tick(now: Int64) -> Int64?
    /// Called once, after the last write; also without a successful ``open()``.
    func close()
}

extension Sink {
    package func open() throws(SinkFailure) {}
    package func tick(now: Int64) -> Int64? { nil }
    package func close() {}
}
