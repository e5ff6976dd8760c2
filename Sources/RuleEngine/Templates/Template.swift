/// Text with placeholders, compiled once and rendered for each row. [EMQX rule-sql: templates]
///
/// `${name}` and `${a.b.c}` (also with a leading dot) are values of the row, `${.}` and `${}` the whole row as JSON,
/// `${$}` a `$`; anything else is plain text, so that compiling never fails. With extensions also `${x:-default}`,
/// `${json:x}`, `${url:x}`, `${base64:x}`, `${hex:x}`, `${date:%Y-%m-%d}` and `${meta.rule_id}`, `${meta.attempt}`,
/// `${meta.delivery_id}`. Immutable; a class, so that a rendering counts one reference and not those of all its tables.
package final class Template: Sendable {
    package enum Mode: Sendable {
        /// Any text.
        case string
        /// A message's payload: the empty template is the whole row as JSON.
        case payload
        /// A request's body: the empty template is an empty body.
        case body
        /// The path of a file: literal text is a ``DatePattern`` for the event's time. Values never are, whatever they
        /// hold; render it with ``TemplateEscaping/fileName``.
        case filePath
    }

    /// One placeholder, for the check of templates against what a rule selects.
    package struct Placeholder: Sendable, Equatable {
        /// The keys of its path; empty for the whole row and for dates.
        package let path: [String]
        /// Its bytes in the template, from `$` to `}`.
        package let span: Range<Int>
        package let hasDefault: Bool
        package let kind: Kind

        package init(path: [String], span: Range<Int>, hasDefault: Bool, kind: Kind) {
            self.path = path
            self.span = span
            self.hasDefault = hasDefault
            self.kind = kind
        }

        package enum Kind: Sendable {
            case value
            case row
            case date
            /// `meta.…`, which needs no column.
            case meta
        }
    }

    /// What a value is written as.
    enum Filter: UInt8, BitwiseCopyable { case text, json, url, base64, hex }

    enum PartKind: UInt8, BitwiseCopyable { case literal, row, value, date, ruleID, attempt, deliveryID }

    /// Plain bytes, so that rendering counts no references.
    struct Part: BitwiseCopyable {
        var kind: PartKind
        var filter: Filter = .text
        /// A literal's bytes in ``pool``, a value's keys in ``steps``, a date's pattern in ``dates``.
        var start = 0
        var count = 0
        /// The default's bytes in ``pool``; negative when there is none.
        var defaultStart = -1
        var defaultCount = 0
        /// Where the value is when the first key leads to JSON text: the group of placeholders and the slot in it.
        var group = -1
        var slot = 0
    }

    struct Step: BitwiseCopyable {
        let start: Int
        let count: Int
    }

    /// Placeholders that step into the same column: if it is text, one pass over it reads them all.
    struct Group: Sendable {
        let paths: JSONPathSet
        let firstSlot: Int
    }

    let parts: [Part]
    let pool: [UInt8]
    let steps: [Step]
    let dates: [DatePattern]
    let groups: [Group]
    let slotCount: Int
    let missing: MissingPolicy
    package let placeholders: [Placeholder]

    /// - Parameters:
    ///   - extensions: whether the placeholders that EMQX does not know are ones.
    ///   - missing: what a placeholder without a value becomes.
    package static func compile(
        _ text: String, mode: Mode = .string, extensions: Bool = false, missing: MissingPolicy = .compat
    ) -> Template {
        if mode == .payload, text.isEmpty { return wholeRow }
        var parser = TemplateParser(Array(text.utf8), extensions: extensions)
        parser.parse()
        if mode == .filePath { parser.makeLiteralsDates() }
        return Template(parser, missing)
    }

    /// The body of an action without a body template.
    package static let wholeRow = compile("${.}")

    private init(_ parser: TemplateParser, _ missing: MissingPolicy) {
        var parts = parser.parts
        var groups: [Group] = []
        slotCount = Template.group(&parts, parser, &groups)
        self.parts = parts
        self.groups = groups
        pool = parser.pool
        steps = parser.steps
        dates = parser.dates
        placeholders = parser.placeholders
        self.missing = missing
    }

    /// The text when it has no placeholder and no date.
    package var constant: [UInt8]? {
        guard parts.allSatisfy({ $0.kind == .literal }) else { return nil }
        return parts.flatMap { pool[$0.start..<$0.start + $0.count] }
    }

    /// Whether it is exactly one placeholder for a value or the row, whose type can be kept.
    package var isSingleValue: Bool {
        parts.count == 1 && parts[0].kind != .literal && parts[0].kind != .date && parts[0].filter == .text
    }

    /// Whether a part is the placeholder of the payload as a whole.
    func isPayload(_ part: Part) -> Bool {
        part.kind == .value && part.count == 1 && steps[part.start].count == 7 && key(part.start) == "payload"
    }

    /// - Parameter step: of a placeholder's path.
    func key(_ step: Int) -> String {
        String(decoding: pool[steps[step].start..<steps[step].start + steps[step].count], as: UTF8.self)
    }

    private static func group(_ parts: inout [Part], _ parser: TemplateParser, _ groups: inout [Group]) -> Int {
        var members: [[UInt8]: [Int]] = [:]
        for (index, part) in parts.enumerated() where part.kind == .value && part.count > 1 {
            members[parser.key(part.start), default: []].append(index)
        }
        var slots = 0
        for (_, indexes) in members.sorted(by: { $0.value[0] < $1.value[0] }) {
            let paths = JSONPathSet(
                indexes.map { index in
                    (parts[index].start + 1..<parts[index].start + parts[index].count).map { .key(parser.key($0)) }
                }, decodesText: false)
            for (number, index) in indexes.enumerated() {
                parts[index].group = groups.count
                parts[index].slot = slots + paths.slot(ofPath: number)
            }
            groups.append(Group(paths: paths, firstSlot: slots))
            slots += paths.slotCount
        }
        return slots
    }
}
