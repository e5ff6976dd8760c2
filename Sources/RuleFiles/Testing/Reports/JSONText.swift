import ConfigSchema

/// JSON to be written, members in the order given.
package indirect enum JSONText: Sendable {
    case null
    case boolean(Bool)
    case integer(Int)
    case text(String)
    case array([JSONText])
    case object([(String, JSONText)])
    /// JSON already.
    case encoded(String)

    /// On one line.
    package var compact: String {
        switch self {
        case .null: "null"
        case .boolean(let value): "\(value)"
        case .integer(let value): "\(value)"
        case .text(let text): jsonQuoted(text)
        case .encoded(let text): text
        case .array(let elements): "[" + elements.map(\.compact).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(jsonQuoted($0.0)):\($0.1.compact)" }.joined(separator: ",") + "}"
        }
    }

    /// Indented by two spaces.
    package var pretty: String { Self.pretty(compact) }

    /// JSON text without white space, indented.
    package static func pretty(_ compact: String) -> String {
        var result: [UInt8] = []
        var depth = 0
        var isInText = false
        var isEscaped = false
        func lineBreak() { result += [0x0A] + [UInt8](repeating: 0x20, count: depth * 2) }
        for byte in compact.utf8 {
            if isInText {
                result.append(byte)
                isInText = isEscaped || byte != UInt8(ascii: "\"")
                isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
                continue
            }
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                result.append(byte)
                depth += 1
                lineBreak()
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                let isEmpty = result.reversed().first { $0 != 0x20 && $0 != 0x0A }
                if isEmpty == UInt8(ascii: "{") || isEmpty == UInt8(ascii: "[") {
                    while result.last == 0x20 || result.last == 0x0A { result.removeLast() }
                } else {
                    lineBreak()
                }
                result.append(byte)
            case UInt8(ascii: ","):
                result.append(byte)
                lineBreak()
            case UInt8(ascii: ":"): result += [byte, 0x20]
            default:
                result.append(byte)
                isInText = byte == UInt8(ascii: "\"")
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
