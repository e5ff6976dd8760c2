/// What a scalar means. [YAML 1.2.2 §10.3 Core Schema]
package enum YAMLScalar: Sendable, Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case float(Double)
    case string(String)

    /// A plain scalar by the core schema: `yes`, `on` and `12:30` are strings. An integer beyond 64 bits is a float.
    package init(plain text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true", "True", "TRUE": self = .bool(true)
        case "false", "False", "FALSE": self = .bool(false)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": self = .float(.infinity)
        case "-.inf", "-.Inf", "-.INF": self = .float(-.infinity)
        case ".nan", ".NaN", ".NAN": self = .float(.nan)
        default: self = Self.number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> YAMLScalar? {
        let bytes = Array(text.utf8)
        for (prefix, radix) in [("0x", 16), ("0o", 8)] where text.hasPrefix(prefix) {
            let digits = text.dropFirst(2)
            // The standard library would take a sign here.
            return digits.first?.isHexDigit == true ? Int64(digits, radix: radix).map { .int($0) } : nil
        }
        var index = bytes.first == UInt8(ascii: "-") || bytes.first == UInt8(ascii: "+") ? 1 : 0
        func digits() -> Int {
            let start = index
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) { index += 1 }
            return index - start
        }
        let whole = digits()
        if index == bytes.count, whole > 0 {
            return Int64(text).map { .int($0) } ?? Double(text).map { .float($0) }
        }
        var fraction = 0
        if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
            index += 1
            fraction = digits()
        }
        guard whole + fraction > 0 else { return nil }
        if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
            index += 1
            if index < bytes.count, bytes[index] == UInt8(ascii: "-") || bytes[index] == UInt8(ascii: "+") {
                index += 1
            }
            guard digits() > 0 else { return nil }
        }
        guard index == bytes.count else { return nil }
        // `1.` is a float of the core schema; the standard library wants a digit behind the point.
        return Double(text.hasSuffix(".") ? text + "0" : text).map { .float($0) }
            ?? Double(text.replacing(".e", with: ".0e").replacing(".E", with: ".0E")).map { .float($0) }
    }
}

extension YAMLNode {
    /// What the scalar means; nil for mappings and sequences. A quoted or block scalar is a string, also when it looks like
    /// a number; a `!!str`, `!!int`, `!!float`, `!!bool` or `!!null` tag overrides.
    package var scalar: YAMLScalar? {
        guard case .scalar(let text) = content else { return nil }
        switch tag {
        case "tag:yaml.org,2002:str", "!": return .string(text)
        case .some: return YAMLScalar(plain: text)
        case nil: return style == .plain ? YAMLScalar(plain: text) : .string(text)
        }
    }

    /// As `scalar`, but a text that came from a load-time reference counts as plain: `"${env:SIZE}"` must be quoted in flow
    /// mappings and is a number all the same where one is wanted.
    package var resolvedScalar: YAMLScalar? {
        guard uninterpolated != nil, let text, tag == nil else { return scalar }
        return YAMLScalar(plain: text)
    }

    /// For messages: `a mapping`, `the text "abc"`, `the number 7`.
    package var kindInWords: String {
        switch content {
        case .mapping: return "a mapping"
        case .sequence: return "a list"
        case .scalar(let text):
            switch scalar {
            case .null: return "nothing"
            case .bool, .int, .float: return "\(text)"
            default: return "\"\(text.count > 40 ? text.prefix(40) + "…" : text)\""
            }
        }
    }
}
