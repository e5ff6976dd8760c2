/// A shared subscription's filter, taken apart: `$share/group/filter`, or EMQX's `$queue/filter` with one implicit group.
/// [MQTT-4.8.2-1]
package struct SharedFilter: Hashable, Sendable {
    package let group: String
    package let filter: String

    /// - Returns: nil for an ordinary filter. The codec has refused malformed ones ([MQTT-4.8.2-2]).
    package init?(_ text: String) {
        // By bytes: as characters, a slash and a combining mark behind it would be one.
        let bytes = text.utf8
        if bytes.starts(with: "$queue/".utf8) {
            group = "$queue"
            filter = String(Substring(bytes.dropFirst("$queue/".utf8.count)))
            return
        }
        guard bytes.starts(with: "$share/".utf8) else { return nil }
        let rest = bytes.dropFirst("$share/".utf8.count)
        guard let slash = rest.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        group = String(Substring(rest[..<slash]))
        filter = String(Substring(rest[rest.index(after: slash)...]))
    }

    package init(group: String, filter: String) {
        self.group = group
        self.filter = filter
    }

    package static func == (a: SharedFilter, b: SharedFilter) -> Bool {
        ByteString(a.group) == ByteString(b.group) && ByteString(a.filter) == ByteString(b.filter)
    }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(ByteString(group))
        hasher.combine(ByteString(filter))
    }
}

/// Text that is the same only byte for byte, as MQTT compares client identifiers, filters and groups: `String` takes
/// different bytes for equal when Unicode does. [MQTT-1.5.4-1]
package struct ByteString: Hashable, Sendable {
    package let text: String

    package init(_ text: String) { self.text = text }

    package static func == (a: ByteString, b: ByteString) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8(0xFF))
    }
}
