import ConfigSchema
import RuleEngine

/// An event that a person describes on the command line; what is not given has the value that tests of rules have.
package struct TryRequest: Sendable {
    /// In any spelling; nil means what the statement listens to.
    package var event: String?
    /// Nil means one that the statement's FROM takes.
    package var topic: String?
    package var payload: [UInt8]?
    package var clientID: String?
    package var username: String?
    package var qos: Int?
    package var isRetained = false
    /// `column=value`. For a column of text or words the value is the text, a JSON string what it means; for others it is
    /// JSON.
    package var settings: [String] = []
    /// Since 1970.
    package var nowNanoseconds: Int64

    package init(nowNanoseconds: Int64) { self.nowNanoseconds = nowNanoseconds }

    /// What is wrong with the command line; a sentence's beginning without a full stop.
    package struct Mistake: Error, CustomStringConvertible {
        package let description: String
    }

    struct Resolved {
        let event: EventName
        let columns: [String: StoredValue]

        var topic: [UInt8] {
            if case .string(let topic)? = columns["topic"] { topic } else { [] }
        }
    }

    func resolved(for rule: CompiledRule) throws(Mistake) -> Resolved {
        let event = try eventName(rule)
        var columns = RuleTestInput.defaults(event, nowNanoseconds)
        if event.columns.contains("topic"), let topic = Self.topic(rule) { columns["topic"] = Self.text(topic) }
        if let topic, topic.isEmpty || topic.contains(where: { $0 == "+" || $0 == "#" }) {
            throw Mistake(description: "--topic: a message's topic is not empty and has no wildcards")
        }
        var given: [(column: String, option: String, value: StoredValue)] = []
        if let topic { given.append(("topic", "--topic", Self.text(topic))) }
        if let payload { given.append(("payload", "--payload", .string(payload))) }
        if let clientID { given.append(("clientid", "--clientid", Self.text(clientID))) }
        if let username { given.append(("username", "--username", Self.text(username))) }
        if let qos { given.append(("qos", "--qos", .integer(qos))) }
        if isRetained { given.append(("flags", "--retain", Self.flags(retain: true))) }
        for (column, option, value) in given {
            guard event.columns.contains(column) else {
                throw Mistake(description: "\(option): \(event.rawValue) has no column \"\(column)\"")
            }
            columns[column] = value
        }
        for setting in settings {
            let (column, value) = try Self.setting(setting, event)
            columns[column] = value
        }
        return Resolved(event: event, columns: columns)
    }

    private func eventName(_ rule: CompiledRule) throws(Mistake) -> EventName {
        if let event {
            let (found, hint) = RuleTestInput.event(named: event)
            guard let found else {
                throw Mistake(description: "--event: there is no event \"\(event)\"" + (hint.map { "; \($0)" } ?? ""))
            }
            return found
        }
        var events: [EventName] = []
        for topic in rule.topics {
            guard case .event(let event) = topic else { return .messagePublish }
            events.append(event)
        }
        return topic == nil && payload == nil ? events.first ?? .messagePublish : .messagePublish
    }

    /// The first filter with words for its wildcards.
    private static func topic(_ rule: CompiledRule) -> String? {
        for case .filter(let filter) in rule.topics {
            return filter.split(separator: "/", omittingEmptySubsequences: false)
                .map { $0 == "+" || $0 == "#" ? "1" : String($0) }.joined(separator: "/")
        }
        return nil
    }

    private static func setting(_ setting: String, _ event: EventName) throws(Mistake) -> (String, StoredValue) {
        guard let equals = setting.firstIndex(of: "=") else {
            throw Mistake(description: "--set takes column=value, not \"\(setting)\"")
        }
        let column = String(setting[..<equals])
        guard event.columns.contains(column) else {
            let hint = didYouMean(column, event.columns).map { "; did you mean \"\($0)\"?" }
            throw Mistake(
                description: "--set: \(event.rawValue) has no column \"\(column)\""
                    + (hint ?? "; it has \(event.columns.joined(separator: ", "))"))
        }
        let value = Array(setting[setting.index(after: equals)...].utf8)
        if column == "payload" { return (column, .string(value)) }
        let kind = EventDeclaration.of(event).columns.first { $0.name == column }?.kind ?? .text
        let decoded = json(value)
        switch (kind, decoded) {
        case (.text, .string(let text)?): return (column, .string(text))
        case (.word, .string(let text)?): return (column, .atom(text))
        case (.text, _): return (column, .string(value))
        case (.word, _): return (column, .atom(value))
        case (.integer, .integer?), (.boolean, .boolean?), (.object, .object?):
            if let decoded { return (column, decoded) }
            fallthrough
        default:
            throw Mistake(
                description: "--set: \(column) is \(kind == .boolean ? "true or false" : "an \(kind.rawValue)"), not "
                    + "\"\(String(decoding: value, as: UTF8.self))\"")
        }
    }

    private static func json(_ bytes: [UInt8]) -> StoredValue? {
        // The value's escaped strings lie in the arena until they are copied.
        let arena = Arena()
        return withExtendedLifetime(arena) {
            bytes.withUnsafeBytes { bytes in (try? JSON.decode(bytes, in: arena)).map { StoredValue($0) } }
        }
    }

    private static func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }

    private static func flags(retain: Bool) -> StoredValue {
        .object([
            StoredMember(key: Array("dup".utf8), value: .boolean(false)),
            StoredMember(key: Array("retain".utf8), value: .boolean(retain)),
        ])
    }
}
