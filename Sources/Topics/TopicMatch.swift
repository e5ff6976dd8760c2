package import Buffers

package enum TopicSyntax {
    /// The most bytes of a topic name or filter. [MQTT-4.7.3-3]
    package static let maximumLength = 65_535

    /// A topic name: not empty, no wildcard, no U+0000; UTF-8 is the codec's to check. [MQTT-4.7.3-1] [MQTT-3.3.2-2]
    package static func isName(_ bytes: Bytes) -> Bool {
        guard bytes.count > 0, bytes.count <= maximumLength else { return false }
        for byte in bytes where byte == UInt8(ascii: "+") || byte == UInt8(ascii: "#") || byte == 0 { return false }
        return true
    }

    /// A topic filter: `#` only as the last level, `+` only as a whole level. [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    package static func isFilter(_ bytes: Bytes) -> Bool {
        guard bytes.count > 0, bytes.count <= maximumLength else { return false }
        var levelStart = 0
        for index in 0...bytes.count {
            guard index == bytes.count || bytes[index] == UInt8(ascii: "/") else {
                if bytes[index] == 0 { return false }
                continue
            }
            for position in levelStart..<index {
                let byte = bytes[position]
                guard byte == UInt8(ascii: "+") || byte == UInt8(ascii: "#") else { continue }
                guard index - levelStart == 1 else { return false }
                if byte == UInt8(ascii: "#"), index != bytes.count { return false }
            }
            levelStart = index + 1
        }
        return true
    }

    package static func hasWildcard(_ bytes: Bytes) -> Bool {
        bytes.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }
    }

    /// Number of levels: separators and one.
    package static func levels(_ bytes: Bytes) -> Int {
        var count = 1
        for byte in bytes where byte == UInt8(ascii: "/") { count += 1 }
        return count
    }

    /// Whether the topic name matches the filter. A wildcard at the first level does not match a topic that begins
    /// with `$`. [MQTT-4.7.2-1]
    package static func matches(filter: Bytes, topic: Bytes) -> Bool {
        if let first = filter.first, topic.first == UInt8(ascii: "$"),
            first == UInt8(ascii: "+") || first == UInt8(ascii: "#")
        {
            return false
        }
        var f = 0
        var t = 0
        while f < filter.count {
            let byte = filter[f]
            let startsLevel = f == 0 || filter[f - 1] == UInt8(ascii: "/")
            if startsLevel, byte == UInt8(ascii: "#"), f == filter.count - 1 { return true }
            if startsLevel, byte == UInt8(ascii: "+"), f + 1 == filter.count || filter[f + 1] == UInt8(ascii: "/") {
                while t < topic.count, topic[t] != UInt8(ascii: "/") { t += 1 }
                f += 1
                continue
            }
            // `a/#` matches `a` as well. [MQTT-4.7.1-2]
            if t == topic.count {
                return byte == UInt8(ascii: "/") && f + 2 == filter.count && filter[f + 1] == UInt8(ascii: "#")
            }
            guard topic[t] == byte else { return false }
            f += 1
            t += 1
        }
        return t == topic.count
    }
}
