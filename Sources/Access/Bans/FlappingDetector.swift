import Synchronization

/// Counts how often clients go, within a window that begins with the first time. [EMQX flapping_detect]
package final class FlappingDetector: Sendable {
    private struct Count: Sendable {
        var since: Int64
        var count: Int
    }

    private let maximum: Int
    private let window: Int64
    private let counts = Mutex<[[UInt8]: Count]>([:])
    /// Beyond it, those whose window is over are forgotten, then all: what is lost is a count, not a ban.
    private static let capacity = 100_000

    /// - Parameter window: in milliseconds.
    package init(maximum: Int, window: Int64) {
        self.maximum = maximum
        self.window = window
    }

    /// - Parameter now: in milliseconds, of any clock.
    /// - Returns: true when this was once too often; the count begins anew then.
    package func disconnected(_ clientID: String, now: Int64) -> Bool {
        let key = clientID.bytes
        return counts.withLock { counts in
            var count = counts[key] ?? Count(since: now, count: 0)
            if now - count.since > window { count = Count(since: now, count: 0) }
            count.count += 1
            guard count.count < maximum else {
                counts[key] = nil
                return true
            }
            if counts[key] == nil, counts.count >= Self.capacity {
                counts = counts.filter { now - $0.value.since <= window }
                if counts.count >= Self.capacity { counts = [:] }
            }
            counts[key] = count
            return false
        }
    }
}
