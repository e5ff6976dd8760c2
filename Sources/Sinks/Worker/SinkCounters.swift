/// What became of a sink's (or a rule's use of it) records. At any time
/// `received == success + failed + dropped + queuing + inflight`.
///
/// The names are EMQX's. Differs from EMQX: `dropped` is not part of `failed`. [EMQX rule-engine: action metrics]
package struct SinkCounters: Sendable, Equatable {
    /// Rows given to the sink, those included whose rendering failed.
    package var received = 0
    package var success = 0
    /// Refused for good, out of attempts, or not renderable.
    package var failed = 0
    package var droppedQueueFull = 0
    package var droppedExpired = 0
    /// Left over when the sink was stopped.
    package var droppedStopped = 0
    /// Waiting for their first attempt or for another.
    package var queuing = 0
    package var queuingBytes = 0
    /// Under way at this moment.
    package var inflight = 0
    /// Further attempts, in records.
    package var retried = 0
    package var retriedSuccess = 0
    package var retriedFailed = 0

    package init() {}

    package var dropped: Int { droppedQueueFull + droppedExpired + droppedStopped }
    /// What the sum in the type's description comes to.
    package var addsUp: Bool { received == success + failed + dropped + queuing + inflight }

    /// EMQX's metric names, in the order of its documentation.
    package var named: [(name: String, value: Int)] {
        [
            ("received", received), ("success", success), ("failed", failed), ("queuing", queuing),
            ("queuing_bytes", queuingBytes), ("inflight", inflight), ("retried", retried),
            ("retried.success", retriedSuccess), ("retried.failed", retriedFailed), ("dropped", dropped),
            ("dropped.expired", droppedExpired), ("dropped.queue_full", droppedQueueFull),
            ("dropped.resource_stopped", droppedStopped),
        ]
    }

    static func += (sum: inout SinkCounters, more: SinkCounters) {
        sum.received += more.received
        sum.success += more.success
        sum.failed += more.failed
        sum.droppedQueueFull += more.droppedQueueFull
        sum.droppedExpired += more.droppedExpired
        sum.droppedStopped += more.droppedStopped
        sum.queuing += more.queuing
        sum.queuingBytes += more.queuingBytes
        sum.inflight += more.inflight
        sum.retried += more.retried
        sum.retriedSuccess += more.retriedSuccess
        sum.retriedFailed += more.retriedFailed
    }
}

/// A consistent picture of a sink at one moment.
package struct SinkStatus: Sendable {
    package enum State: Sendable, Equatable {
        case connecting
        case connected
        case disconnected(reason: String)
        case stopped

        package var name: String {
            switch self {
            case .connecting: "connecting"
            case .connected: "connected"
            case .disconnected: "disconnected"
            case .stopped: "stopped"
            }
        }
    }

    package let name: String
    package let type: String
    package let state: State
    package let counters: SinkCounters
    /// Bytes in memory, those under way included.
    package let bufferedBytes: Int
    /// How long the oldest record has been waiting; nil when none is.
    package let oldestAge: Duration?
    /// Never holds a secret or a payload.
    package let lastError: String?
    package let isCongested: Bool
    /// By rule.
    package let rules: [(ruleID: String, counters: SinkCounters)]
}
