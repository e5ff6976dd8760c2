extension YAMLNode {
    /// The node as compact JSON text, keys in file order. Numbers keep their spelling where JSON allows it.
    package var json: String {
        var result = ""
        writeJSON(to: &result, sortedKeys: false)
        return result
    }

    /// As `json` with sorted keys: two nodes that mean the same give the same text, wherever they stand.
    package var canonicalJSON: String {
        var result = ""
        writeJSON(to: &result, sortedKeys: true)
        return result
    }

    private func writeJSON(to result: inout String, sortedKeys: Bool) {
        switch content {
        case .scalar(let text): result += Self.scalarJSON(text, scalar ?? .null)
        case .sequence(let items):
            result += "["
            for (index, item) in items.enumerated() {
                if index > 0 { result += "," }
                item.writeJSON(to: &result, sortedKeys: sortedKeys)
            }
            result += "]"
        case .mapping(let entries):
            result += "{"
            for (index, entry) in (sortedKeys ? entries.sorted { $0.name < $1.name } : entries).enumerated() {
                if index > 0 { result += "," }
                result += jsonQuoted(entry.name) + ":"
                entry.value.writeJSON(to: &result, sortedKeys: sortedKeys)
            }
            result += "}"
        }
    }

    private static func scalarJSON(_ text: String, _ scalar: YAMLScalar) -> String {
        switch scalar {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .int(let value): String(value)
        case .float(let value) where value.isFinite: isJSONNumber(text) ? text : "\(value)"
        case .float: jsonQuoted(text)
        case .string(let value): jsonQuoted(value)
        }
    }

    /// Whether a number of YAML's core schema is one of JSON as it stands.
    private static func isJSONNumber(_ text: String) -> Bool {
        let digits = text.utf8.drop { $0 == UInt8(ascii: "-") }
        guard let first = digits.first, (0x30...0x39).contains(first),
            digits.last.map({ (0x30...0x39).contains($0) }) == true
        else { return false }
        if first == 0x30, let second = digits.dropFirst().first, (0x30...0x39).contains(second) { return false }
        return !text.contains(".e") && !text.contains(".E")
    }
}

/// A text as a JSON string with its quotes.
package func jsonQuoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"": result += "\\\""
        case "\\": result += "\\\\"
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case _ where scalar.value < 0x20:
            let hex = String(scalar.value, radix: 16)
            result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}
