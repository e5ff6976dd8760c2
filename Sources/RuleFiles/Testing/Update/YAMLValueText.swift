import ConfigSchema
import RuleEngine

/// Writes values into YAML or JSON files, on one line.
struct YAMLValueText {
    /// The file is JSON: every text and key has double quotes.
    let isJSON: Bool

    /// Nil for what a test cannot write down: integers beyond 64 bits, bit strings, bytes that are no text.
    func text(_ value: StoredValue) -> String? {
        switch value {
        case .undefined: return isJSON ? "\"undefined\"" : "undefined"
        case .null: return "null"
        case .boolean(let value): return "\(value)"
        case .integer(let value): return "\(value)"
        case .float(let bits): return "\(Double(bitPattern: bits))"
        case .string(let bytes), .atom(let bytes): return String(validating: bytes, as: UTF8.self).map { scalar($0) }
        case .bigInteger, .bitString: return nil
        case .array(let elements):
            let texts = elements.compactMap(text)
            return texts.count == elements.count ? "[\(texts.joined(separator: ", "))]" : nil
        case .object(let members):
            let texts = members.compactMap { member -> String? in
                guard let key = String(validating: member.key, as: UTF8.self), let value = text(member.value) else {
                    return nil
                }
                return entry(key, value)
            }
            return texts.count == members.count ? "{\(texts.joined(separator: ", "))}" : nil
        }
    }

    /// `key: value`.
    func entry(_ key: String, _ value: String) -> String { "\(scalar(key)): \(value)" }

    /// A text in the style it had, where that can hold it.
    func scalar(_ text: String, like style: YAMLNode.Style = .plain) -> String {
        guard !isJSON else { return quoted(text) }
        switch style {
        case .plain where isPlain(text): return text
        case .singleQuoted where text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }):
            return "'\(text.replacing("'", with: "''"))'"
        default: return quoted(text)
        }
    }

    /// What nobody could take for anything but a text, in flow collections too.
    private func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, YAMLScalar(plain: text) == .string(text) else {
            return false
        }
        let isWord = { (byte: UInt8) in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
        }
        return isWord(first) && last != 0x20
            && text.utf8.allSatisfy { isWord($0) || [0x20, 0x2B, 0x2D, 0x2E, 0x2F, 0x40, 0x5F].contains($0) }
    }

    /// JSON's strings are YAML's, but for characters that YAML wants escaped.
    private func quoted(_ text: String) -> String {
        var result = ""
        for scalar in jsonQuoted(text).unicodeScalars {
            switch scalar.value {
            case 0x7F...0x9F, 0xFFFE, 0xFFFF:
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
