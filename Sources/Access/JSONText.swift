import Foundation

/// A JSON value: what tokens, user files and HTTP services hand in. Bounded by its source; Foundation's decoder refuses
/// more than 512 levels.
package indirect enum JSONText: Sendable, Equatable, Codable {
    case null
    case bool(Bool)
    case integer(Int64)
    case number(Double)
    case text(String)
    case list([JSONText])
    case object([String: JSONText])

    /// Nil for what is no JSON.
    package init?(_ bytes: [UInt8]) {
        do { self = try JSONDecoder().decode(JSONText.self, from: Data(bytes)) } catch { return nil }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .integer(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .text(value)
        } else if let value = try? container.decode([JSONText].self) {
            self = .list(value)
        } else {
            self = .object(try container.decode([String: JSONText].self))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .integer(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .text(let value): try container.encode(value)
        case .list(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    /// Compact, or with sorted keys and line feeds for files that people read.
    package func encoded(pretty: Bool = false) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting =
            pretty ? [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes] : [.sortedKeys, .withoutEscapingSlashes]
        // Fails for numbers that JSON has no words for alone; none come from a decoder.
        do { return Array(try encoder.encode(self)) } catch { return Array("null".utf8) }
    }

    package subscript(_ key: String) -> JSONText? {
        if case .object(let members) = self { members[key] } else { nil }
    }

    package var string: String? { if case .text(let text) = self { text } else { nil } }
    package var items: [JSONText]? { if case .list(let items) = self { items } else { nil } }
    package var members: [String: JSONText]? { if case .object(let members) = self { members } else { nil } }
    package var boolean: Bool? { if case .bool(let value) = self { value } else { nil } }

    /// A number as whole seconds, rounded down; nil for anything else and for what no Int64 holds.
    package var seconds: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): value.isFinite && abs(value) < 9e15 ? Int64(value.rounded(.down)) : nil
        default: nil
        }
    }
}
