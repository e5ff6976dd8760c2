/// A shared subscription's filter, taken apart: `$share/group/filter`, or EMQX's `$queue/filter` with one implicit group.
/// [MQTT-4.8.2-1]
package struct SharedFilter: Hashable, Sendable {
    package let group: String
    package let filter: String

    /// - Returns: nil for an ordinary filter. The codec has refused malformed ones ([MQTT-4.8.2-2]).
    package init?(_ text: String) {
        if text.hasPrefix("$queue/") {
            group = "$queue"
            filter = String(text.dropFirst("$queue/".count))
            return
        }
        guard text.hasPrefix("$share/") else { return nil }
        let rest = text.dropFirst("$share/".count)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        group = String(rest[..<slash])
        filter = String(rest[rest.index(after: slash)...])
    }
}
