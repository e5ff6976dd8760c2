/// A column of an event, declared once: the checker, inline tests, `sluice rules events` and the reference page read
/// this entry.
package struct EventColumn: Sendable {
    package enum Kind: String, Sendable {
        case text
        /// Text in output and for `=`; `IN` and `is_str` do not take it for a string. [EMQX rule-sql: quirk]
        case word
        case integer, boolean, object
    }

    package let name: String
    package let kind: Kind
    /// Undefined for some of these events.
    package let isOptional: Bool
    /// One sentence.
    package let doc: String

    init(_ name: String, _ kind: Kind, optional: Bool = false, _ doc: String) {
        self.name = name
        self.kind = kind
        isOptional = optional
        self.doc = doc
    }
}

/// An event with its names and columns.
package struct EventDeclaration: Sendable {
    package let event: EventName
    /// What FROM writes for it, the usual spelling first.
    package let topics: [String]
    /// When it happens; one or two sentences.
    package let doc: String
    /// What `WHERE reason = …` and the like can meet, by column.
    package let words: [(column: String, words: [String])]
    /// Those that every event has at the front.
    package let columns: [EventColumn]
    package let columnNames: [String]

    init(
        _ event: EventName, _ topics: [String], _ doc: String, words: [(column: String, words: [String])] = [],
        _ columns: [EventColumn]
    ) {
        self.event = event
        self.topics = topics
        self.doc = doc
        self.words = words
        self.columns = Self.common + columns
        columnNames = self.columns.map(\.name)
    }

    /// What every event has.
    static let common = [
        EventColumn("event", .word, "The event's name."),
        EventColumn("timestamp", .integer, "When the event happened, in milliseconds since 1970."),
        EventColumn("node", .text, "The node's name."),
    ]

    package static func of(_ event: EventName) -> EventDeclaration {
        guard let declaration = byEvent[event] else { preconditionFailure("Every event is declared in the table.") }
        return declaration
    }

    private static let byEvent = Dictionary(uniqueKeysWithValues: all.map { ($0.event, $0) })

    /// Columns that are undefined in some events.
    static let optionalColumns = Set(all.flatMap { $0.columns.filter(\.isOptional).map(\.name) })
}
