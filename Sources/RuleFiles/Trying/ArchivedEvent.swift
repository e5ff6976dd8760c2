import Buffers
import RuleEngine

/// A line of an archive as an event: the members of its object are the columns. One object for a whole file.
///
/// JSON's null and the text `undefined` stand for a column without a value, since that is how a file sink writes it.
final class ArchivedEvent: EventColumns {
    private(set) var kind = EventName.messagePublish
    private(set) var topic = Bytes(start: nil, count: 0)
    /// Milliseconds since 1970, when the line has a time that can be.
    private(set) var timestamp: Int?
    private(set) var present: [Column] = []
    private var values: [Value] = []
    private var last: [(key: [UInt8], column: Column)] = []
    private var known: [[UInt8]: Column] = [:]
    private let scratch = OutputBuffer()

    /// More names than these are left out: a column's name is kept for good.
    private static let maximumNames = 1000
    private static let kinds = Dictionary(
        uniqueKeysWithValues: EventName.allCases.map { (Array($0.rawValue.utf8), $0) })

    struct BadLine: Error { let reason: String }

    func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        for index in present.indices where present[index] == column { return values[index] }
        return .undefined
    }

    /// Becomes the event of a line, which must outlive it.
    func read(_ line: Bytes, in arena: Arena) throws(BadLine) {
        let root: Value
        do throws(EvaluationError) { root = try JSON.decode(line, in: arena) } catch {
            if case .decodeJSON(let offset) = error { throw BadLine(reason: "it is not JSON, at byte \(offset)") }
            throw BadLine(reason: error.explanation)
        }
        guard root.kind == .object else { throw BadLine(reason: "it is no JSON object") }
        present.removeAll(keepingCapacity: true)
        values.removeAll(keepingCapacity: true)
        (kind, timestamp, topic) = (.messagePublish, nil, Bytes(start: nil, count: 0))
        var hasEvent = false
        for (index, member) in root.members.enumerated() {
            guard let column = column(member.key, index) else { continue }
            var value = member.value
            switch column {
            case .payload: value = try payload(value, arena)
            case .event:
                try readKind(value)
                value = .atom(value.bytes)
                hasEvent = true
            case .topic: topic = value.bytes
            case .timestamp:
                if value.kind == .integer, (0..<9_000_000_000_000).contains(value.integer) { timestamp = value.integer }
            default: if value.kind == .null || isUndefined(value) { value = .undefined }
            }
            present.append(column)
            values.append(value)
        }
        if !hasEvent {
            present.append(.event)
            values.append(.atom("message.publish"))
        }
        guard kind != .messagePublish || !topic.isEmpty else { throw BadLine(reason: "it has no topic") }
    }

    /// Lines of a file have mostly the same members.
    private func column(_ key: Bytes, _ index: Int) -> Column? {
        if index < last.count, last[index].key.elementsEqual(key) { return last[index].column }
        let name = Array(key)
        guard let column = known[name] ?? intern(name) else { return nil }
        if index == last.count {
            last.append((name, column))
        } else if index < last.count {
            last[index] = (name, column)
        }
        return column
    }

    private func intern(_ name: [UInt8]) -> Column? {
        guard known.count < Self.maximumNames else { return nil }
        let column = Column(String(decoding: name, as: UTF8.self))
        known[name] = column
        return column
    }

    private func readKind(_ value: Value) throws(BadLine) {
        guard let kind = Self.kinds[Array(value.bytes)] else {
            throw BadLine(reason: "there is no event \"\(String(decoding: value.bytes, as: UTF8.self))\"")
        }
        self.kind = kind
    }

    /// Text as it is, anything else as its JSON text.
    private func payload(_ value: Value, _ arena: Arena) throws(BadLine) -> Value {
        guard value.kind != .string else { return value }
        scratch.removeAll()
        do throws(EvaluationError) {
            try JSON.append(value, to: scratch)
            return try arena.string(copying: scratch.bytes)
        } catch {
            throw BadLine(reason: error.explanation)
        }
    }

    private func isUndefined(_ value: Value) -> Bool {
        value.kind == .string && value.bytes.elementsEqual("undefined".utf8)
    }
}
