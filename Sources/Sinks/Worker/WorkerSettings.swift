package import RuleEngine

/// Which records of a sink keep their order among each other: at most one request of a key is under way.
package enum DeliveryOrder: Sendable {
    case none
    case client
    case topic
    /// By what the template shows.
    case key(Template)
    case total
}

/// What happens to records when the queue is full.
package enum FullPolicy: String, Sendable, CaseIterable {
    case dropOldest = "drop_oldest"
    case dropNewest = "drop_newest"
    /// Publishers are slowed down: `isCongested` is true until the queue is four fifths full. At twice the bound the
    /// newest are dropped all the same.
    case block
}

package enum RetryJitter: String, Sendable, CaseIterable { case none, full, equal }

/// When a delivery is tried again.
package struct RetrySettings: Sendable {
    package var initial: Duration = .seconds(1)
    package var max: Duration = .seconds(300)
    package var multiplier: Double = 2
    package var jitter: RetryJitter = .full
    /// Attempts in all; nil for no limit but the age.
    package var maxAttempts: Int?
    package var respectsRetryAfter = true
    package var maxRetryAfter: Duration = .seconds(3600)

    package init() {}
}

/// After so many failures in a row nothing is tried for a while, then one delivery alone.
package struct BreakerSettings: Sendable {
    /// 0 switches it off.
    package var failures = 10
    /// The longest pause; the first one is as long as the first retry delay and they double.
    package var openFor: Duration = .seconds(30)

    package init() {}
}

package struct BatchSettings: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case jsonArray = "json_array"
        case ndjson
    }

    package var maxMessages = 1
    package var maxBytes = 1 << 20
    /// How long a batch that is not full waits for more.
    package var maxWait: Duration = .zero
    package var format = Format.jsonArray

    package init() {}
}

/// What the worker does for every sink, whatever its type.
package struct WorkerSettings: Sendable {
    package var maxBytes = 1 << 30
    package var onFull = FullPolicy.dropOldest
    /// Counted from the hand-over; nil for no limit.
    package var maxAge: Duration? = .seconds(86_400)
    package var order = DeliveryOrder.client
    /// Most deliveries under way at a time.
    package var inflightWindow = 100
    package var batch = BatchSettings()
    package var retry = RetrySettings()
    package var breaker = BreakerSettings()

    package init() {}
}
