/// Names of clients inside topics and filters.
enum TopicPlaceholders {
    /// Whether a name can stand in a filter for itself alone: no wildcard, no level of its own. [CVE-2017-7650]
    static func isLiteral(_ name: String) -> Bool {
        !name.utf8.contains { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") || $0 == UInt8(ascii: "/") || $0 == 0 }
    }

    /// Puts the values in, each once: what a value brings is not looked at again.
    /// - Returns: nil when a value that is asked for could mean more than itself, or is absent.
    static func fill(_ text: String, _ values: [(name: String, value: String?)]) -> String? {
        var result: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            if byte == UInt8(ascii: "$"), let (name, value) = values.first(where: { rest.starts(with: $0.name.utf8) }) {
                guard let value, isLiteral(value) else { return nil }
                result += value.utf8
                rest = rest.dropFirst(name.utf8.count)
            } else {
                result.append(byte)
                rest = rest.dropFirst()
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
