import ConfigSchema
import RuleEngine

/// Brings what one test expects in line with what it saw: values change, what the test looks at does not.
struct ExpectedValues {
    private(set) var edits: YAMLEdits
    /// `file:line:column: rule: test: output.temp: 41 → 42`.
    private(set) var changes: [String] = []
    /// What differs and is left as it is, with the reason.
    private(set) var refusals: [ConfigProblem] = []
    private let label: String
    private let text: YAMLValueText
    private let seen: RuleTrialResult

    init(_ expect: RuleExpectation, _ seen: RuleTrialResult, source: SourceFile, label: String) {
        edits = YAMLEdits(source)
        text = YAMLValueText(isJSON: source.name.hasSuffix(".json"))
        self.label = label
        self.seen = seen
        run(expect)
    }

    private mutating func run(_ expect: RuleExpectation) {
        guard isInPlace(expect.node, "expect") else { return }
        if let node = expect.error {
            guard let name = seen.errors.first?.name else {
                return refuse(node, "nothing raised; write what is expected now")
            }
            update(node, .string(Array(name.utf8)), "error")
        } else if let error = seen.errors.first {
            return refuse(
                expect.node, "it raised \(error.name): \(error.explanation)",
                hint: "if that is right, write `error: \(error.name)`")
        }
        if let node = expect.matched { update(node, .boolean(seen.passes.contains(true)), "matched") }
        if let node = expect.passes { update(node, .array(seen.passes.map { .boolean($0) }), "passes") }
        if let node = expect.output { updateRows(node, seen.rows, "output", allowsMore: false) }
        if let node = expect.outputContains { updateRows(node, seen.rows, "output_contains", allowsMore: true) }
        if let node = expect.requests { updateEffects(node, seen.requests.map(RuleTestCheck.value), "requests") }
        if let node = expect.published { updateEffects(node, seen.messages.map(RuleTestCheck.value), "published") }
        if let node = expect.lines { updateEffects(node, seen.lines.map(RuleTestCheck.value), "lines") }
    }

    private mutating func refuse(_ node: YAMLNode, _ reason: String, hint: String? = nil) {
        refusals.append(node.problem(.failedTest, "\(label): not changed: \(reason)", hint: hint))
    }

    private mutating func note(_ node: YAMLNode, _ path: String, _ change: String) {
        changes.append("\(node.source.name):\(node.start): \(label): \(path)\(change)")
    }

    /// Makes the changes of one place, all or none.
    private mutating func attempt(
        _ node: YAMLNode, _ path: String, _ change: String, _ edit: (inout YAMLEdits) throws(YAMLEdits.Refusal) -> Void
    ) {
        var made = edits
        do throws(YAMLEdits.Refusal) {
            try edit(&made)
            edits = made
            note(node, path, change)
        } catch {
            refuse(node, "\(path): \(error.reason)")
        }
    }

    // MARK: Rows

    /// A mapping means one row, a list the rows in order.
    private mutating func updateRows(_ node: YAMLNode, _ rows: [StoredValue], _ path: String, allowsMore: Bool) {
        if node.kind != .sequence, rows.count == 1 { return update(node, rows[0], path, allowsMore) }
        update(node, .array(rows), path, allowsMore)
    }

    // MARK: Effects

    private mutating func updateEffects(_ node: YAMLNode, _ effects: [StoredValue], _ path: String) {
        let wanted = node.items ?? [node]
        if effects.count < wanted.count, let hidden = seen.unrendered.first {
            return refuse(node, "\(path): \(hidden.action) cannot be rendered: \(hidden.reason)")
        }
        guard node.kind == .sequence else {
            if effects.count == 1 { return updateEffect(node, effects[0], path) }
            return replace(node, .array(effects.map(Self.shortened)), path)
        }
        guard isInPlace(node, path) else { return }
        for (index, pair) in zip(wanted, effects).enumerated() {
            updateEffect(pair.0, pair.1, "\(path)[\(index + 1)]")
        }
        resize(node, wanted, effects.map(Self.shortened), path)
    }

    private mutating func updateEffect(_ node: YAMLNode, _ effect: StoredValue, _ path: String) {
        guard case .object(let members) = effect, let entries = node.entries, isInPlace(node, path) else { return }
        for entry in entries {
            let name = entry.name == "file" ? "action" : entry.name
            guard var value = members.first(where: { $0.key.elementsEqual(name.utf8) })?.value else { continue }
            if ["body", "payload", "json"].contains(name), entry.value.kind != .scalar || name == "json",
                case .string(let bytes) = value
            {
                value = RuleTestCheck.decoded(bytes) ?? value
            }
            update(entry.value, value, "\(path).\(name)", ["headers", "json", "user_properties"].contains(name))
        }
    }

    /// An effect without what seldom matters, JSON as such: what a person would write.
    private static func shortened(_ effect: StoredValue) -> StoredValue {
        guard case .object(let members) = effect else { return effect }
        let isLine = members.contains { $0.key.elementsEqual("text".utf8) }
        return .object(
            members.compactMap { member in
                let name = String(decoding: member.key, as: UTF8.self)
                switch (name, member.value) {
                case ("headers", _), ("body", .null), ("retain", .boolean(false)), ("user_properties", .object([])):
                    return nil
                case ("json", _) where isLine: return nil
                case ("body", .string(let bytes)), ("payload", .string(let bytes)):
                    return StoredMember(key: member.key, value: structure(bytes) ?? member.value)
                default: return member
                }
            })
    }

    private static func structure(_ bytes: [UInt8]) -> StoredValue? {
        switch RuleTestCheck.decoded(bytes) {
        case .some(.object(let members)): .object(members)
        case .some(.array(let elements)): .array(elements)
        default: nil
        }
    }

    // MARK: Values

    private mutating func update(_ node: YAMLNode, _ actual: StoredValue, _ path: String, _ allowsMore: Bool = false) {
        let matcher = ValueMatcher(allowsMore: allowsMore)
        guard let difference = matcher.difference(node, actual, path) else { return }
        if ValueMatcher.matchers(node) != nil {
            return refuse(node, "\(difference.text); a matcher is yours to change")
        }
        guard isInPlace(node, path) else { return }
        switch (node.content, actual) {
        case (.mapping(let entries), .object(let members)): update(node, entries, members, path, allowsMore)
        case (.sequence(let items), .array(let elements)):
            for (index, pair) in zip(items, elements).enumerated() {
                update(pair.0, pair.1, "\(path)[\(index + 1)]", allowsMore)
            }
            resize(node, items, elements, path)
        default: replace(node, actual, path)
        }
    }

    private mutating func update(
        _ node: YAMLNode, _ entries: [YAMLEntry], _ members: [StoredMember], _ path: String, _ allowsMore: Bool
    ) {
        var removed: Set<Int> = []
        var words: [String] = []
        for (index, entry) in entries.enumerated() {
            if let member = members.first(where: { $0.key.elementsEqual(entry.name.utf8) }) {
                update(entry.value, member.value, "\(path).\(entry.name)", allowsMore)
            } else {
                removed.insert(index)
                words.append("\(entry.name) removed")
            }
        }
        var added: [String] = []
        for member in members where !allowsMore {
            let name = String(decoding: member.key, as: UTF8.self)
            guard !entries.contains(where: { $0.name == name }) else { continue }
            guard let value = text.text(member.value) else {
                return refuse(node, "\(path).\(name) holds what cannot be written here")
            }
            added.append(text.entry(name, value))
            words.append("\(name) added: \(Self.cut(value))")
        }
        guard !removed.isEmpty || !added.isEmpty else { return }
        attempt(node, path, ": " + words.joined(separator: ", ")) { (edits) throws(YAMLEdits.Refusal) in
            let ranges = entries.map { entry in
                edits.range(entry.key).lowerBound..<edits.range(entry.value).upperBound
            }
            try edits.change(node, ranges, removing: removed, adding: added)
        }
    }

    /// Cuts a list that is too long at its end, and adds what it has not.
    private mutating func resize(_ node: YAMLNode, _ items: [YAMLNode], _ elements: [StoredValue], _ path: String) {
        guard items.count != elements.count else { return }
        let added = elements.dropFirst(items.count).map { text.text($0) }
        guard let texts = added as? [String] else { return refuse(node, "\(path) holds what cannot be written here") }
        let removed = Set(items.indices.dropFirst(elements.count))
        attempt(node, path, ": \(items.count) → \(elements.count) elements") { (edits) throws(YAMLEdits.Refusal) in
            var ranges: [Range<Int>] = []
            for item in items {
                let range = edits.range(item)
                let start = node.style == .flow ? range.lowerBound : try Self.dash(range.lowerBound, node.source)
                ranges.append(start..<range.upperBound)
            }
            try edits.change(node, ranges, removing: removed, adding: texts)
        }
    }

    /// The dash in front of a list's element.
    private static func dash(_ offset: Int, _ source: SourceFile) throws(YAMLEdits.Refusal) -> Int {
        var position = offset - 1
        while position >= 0, source.bytes[position] == 0x20 { position -= 1 }
        guard position >= 0, source.bytes[position] == UInt8(ascii: "-") else {
            throw YAMLEdits.Refusal(reason: "the list is written in a way that is not changed")
        }
        return position
    }

    private mutating func replace(_ node: YAMLNode, _ actual: StoredValue, _ path: String) {
        guard isInPlace(node, path) else { return }
        guard var value = text.text(actual) else { return refuse(node, "\(path) holds what cannot be written here") }
        let change = ": \(Self.cut(node.json)) → \(Self.cut(value))"
        if case .string(let bytes) = actual {
            let string = String(decoding: bytes, as: UTF8.self)
            if let indent = Self.literalIndent(node, string) {
                return attempt(node, path, change) { (edits) throws(YAMLEdits.Refusal) in
                    edits.replaceLiteral(
                        node, with: String(string.hasSuffix("\n") ? string.dropLast() : string[...]), indent: indent)
                }
            }
            value = text.scalar(string, like: node.style)
        }
        attempt(node, path, change) { (edits) throws(YAMLEdits.Refusal) in try edits.replace(node, with: value) }
    }

    /// The indentation of a literal block that can hold the new text as well; nil when it cannot.
    private static func literalIndent(_ node: YAMLNode, _ text: String) -> Int? {
        guard node.style == .literal, let old = node.text, !old.isEmpty, text.hasSuffix("\n") == old.hasSuffix("\n"),
            !text.hasSuffix("\n\n"), !old.hasSuffix("\n\n"), let first = text.unicodeScalars.first,
            ![" ", "\t", "\n"].contains(first), !old.hasPrefix(" "),
            text.unicodeScalars.allSatisfy({ $0 == "\n" || $0 == "\t" || ($0.value >= 0x20 && $0.value != 0x7F) })
        else { return nil }
        return node.position(ofByteOffset: 0).column - 1
    }

    /// Refuses what an alias or a merge brought here: its text is somewhere else, where others use it.
    private mutating func isInPlace(_ node: YAMLNode, _ path: String) -> Bool {
        var last = node.start
        var isOrdered = node.source === edits.source
        for entry in node.entries ?? [] {
            isOrdered = isOrdered && entry.key.start >= last && entry.value.start >= entry.key.end
            last = entry.key.end
        }
        for (index, item) in (node.items ?? []).enumerated() {
            isOrdered = isOrdered && (index == 0 ? item.start >= last : item.start > last)
            last = item.start
        }
        if !isOrdered { refuse(node, "\(path): part of it comes from an alias") }
        return isOrdered
    }

    private static func cut(_ text: String) -> String { text.count > 60 ? text.prefix(59) + "…" : text }
}
