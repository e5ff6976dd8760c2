package import Buffers

/// `$delayed/seconds/topic`, taken apart. [EMQX: delayed publish]
package enum DelayedTopic {
    /// Not of this form: an ordinary topic.
    case none
    /// Begins like one, and has no number, no topic, or a time too far away.
    case malformed
    /// - dueAt: milliseconds since 1970.
    case delayed(topic: Bytes, dueAt: Int64)

    /// The longest delay, in seconds. A larger number is a time: seconds since 1970.
    package static let longest: Int64 = 4_294_967

    /// - Parameter now: milliseconds since 1970.
    package init(_ bytes: Bytes, now: Int64) {
        guard bytes.starts(with: "$delayed/".utf8) else {
            self = .none
            return
        }
        self = .malformed
        var position = "$delayed/".utf8.count
        let start = position
        var number: Int64 = 0
        while position < bytes.count, bytes[position] &- 0x30 < 10 {
            number = number * 10 + Int64(bytes[position] - 0x30)
            position += 1
            // Twelve digits are years beyond any time that is near enough.
            if position - start > 12 { return }
        }
        guard position > start, position + 1 < bytes.count, bytes[position] == UInt8(ascii: "/") else { return }
        let topic = Bytes(rebasing: bytes[(position + 1)...])
        if number <= Self.longest {
            self = .delayed(topic: topic, dueAt: now + number * 1000)
        } else if number <= now / 1000 + Self.longest {
            self = .delayed(topic: topic, dueAt: number * 1000)
        }
    }
}
