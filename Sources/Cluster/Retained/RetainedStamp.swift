/// When and where a topic's retained message was set or deleted: the later one wins on every node, the node's number
/// decides between two of the same time.
package struct RetainedStamp: Hashable, Sendable, Comparable {
    /// A reading of a ``HybridClock``.
    package var time: UInt64
    package var origin: UInt64

    package init(time: UInt64, origin: UInt64) {
        self.time = time
        self.origin = origin
    }

    package static func < (left: RetainedStamp, right: RetainedStamp) -> Bool {
        left.time != right.time ? left.time < right.time : left.origin < right.origin
    }
}

/// Wall clock and counter in one: 48 bits of milliseconds since 1970, 16 bits that count within one. Never goes back, and
/// is ahead of all that was seen of other nodes, so that what follows something is later than it, whatever the clocks say.
package struct HybridClock: Sendable {
    private static let counterBits: UInt64 = 16

    package private(set) var last: UInt64 = 0

    package init() {}

    /// - Parameter wall: milliseconds since 1970.
    package static func reading(wall: Int64) -> UInt64 { UInt64(clamping: wall) << counterBits }
    /// Milliseconds since 1970.
    package static func wall(of reading: UInt64) -> Int64 { Int64(reading >> counterBits) }

    /// The time of something that happens here and now.
    package mutating func now(wall: Int64) -> UInt64 {
        last = max(last &+ 1, Self.reading(wall: wall))
        return last
    }

    /// Another node has said this.
    package mutating func observe(_ reading: UInt64) { last = max(last, reading) }
}
