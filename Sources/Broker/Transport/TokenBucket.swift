/// So many in a time: tokens that come at an even rate, up to as many as the rate says for its time.
package struct TokenBucket: Sendable {
    /// A rate as the configuration says it.
    package struct Rate: Sendable {
        /// Tokens that a full bucket holds.
        package var burst: Double
        package var perMillisecond: Double

        package init(burst: Double, perMillisecond: Double) {
            self.burst = burst
            self.perMillisecond = perMillisecond
        }
    }

    private let rate: Rate
    /// Below zero after more has come than there were tokens for.
    private var tokens: Double
    private var updatedAt: Int64

    /// Full at first.
    /// - Parameter now: monotonic milliseconds, as everywhere here.
    package init(_ rate: Rate, now: Int64) {
        self.rate = rate
        tokens = rate.burst
        updatedAt = now
    }

    /// Takes tokens whether they are there or not.
    /// - Returns: whether at least one is left.
    @discardableResult
    package mutating func take(_ count: Int, now: Int64) -> Bool {
        refill(now)
        tokens -= Double(count)
        return tokens >= 1
    }

    /// Milliseconds until there is a token; 0 when there is one.
    package mutating func wait(now: Int64) -> Int64 {
        refill(now)
        guard tokens < 1 else { return 0 }
        // A year is as good as for ever, and fits.
        return Int64(min(31_536_000_000, max(1, ((1 - tokens) / rate.perMillisecond).rounded(.up))))
    }

    private mutating func refill(_ now: Int64) {
        guard now > updatedAt else { return }
        tokens = min(rate.burst, tokens + Double(now - updatedAt) * rate.perMillisecond)
        updatedAt = now
    }
}

/// The limits on what a client sends. Confined to its shard's thread.
final class ReceiveLimiter {
    private var messages: TokenBucket?
    private var bytes: TokenBucket?

    /// Nil where nothing is limited.
    init?(messages: TokenBucket.Rate?, bytes: TokenBucket.Rate?, now: Int64) {
        guard messages != nil || bytes != nil else { return nil }
        self.messages = messages.map { TokenBucket($0, now: now) }
        self.bytes = bytes.map { TokenBucket($0, now: now) }
    }

    /// - Returns: whether the client may go on.
    func received(bytes count: Int, now: Int64) -> Bool { bytes?.take(count, now: now) ?? true }
    func receivedMessage(now: Int64) -> Bool { messages?.take(1, now: now) ?? true }

    /// Milliseconds until the client may go on.
    func wait(now: Int64) -> Int64 { max(messages?.wait(now: now) ?? 0, bytes?.wait(now: now) ?? 0) }
}
