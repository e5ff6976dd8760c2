/// What a field tells of itself whatever its value's type; `Field` and `UnsupportedField` are the two kinds.
package protocol ConfigField: Sendable {
    var name: String { get }
    var doc: String { get }
    var aliases: [String] { get }
    var isHotReloadable: Bool { get }
    var isRequired: Bool { get }
    var noEffect: String? { get }
    /// What it takes, in words.
    var expectation: String { get }
    var defaultText: String? { get }
    var nested: FieldSet? { get }
    var isSecret: Bool { get }
    /// Whether the word `null` is a value of this key.
    var takesNull: Bool { get }

    /// The value; nil after a report.
    func read(_ node: YAMLNode, _ context: inout ReadContext) -> (any Sendable)?
    /// What stands for an absent key, nil when the declared default does.
    func readAbsent(at owner: YAMLNode, _ context: inout ReadContext) -> (any Sendable)?
}

/// The keys of one mapping. Keys beginning with `x-` are skipped, other unknown ones are errors.
package struct FieldSet: Sendable {
    /// As in messages: `actions.http`.
    package let name: String
    package let fields: [any ConfigField]
    /// Checks over several fields, run when each alone is right.
    private let check: @Sendable (ConfigValues, inout ReadContext) -> Void

    package init(
        _ name: String, _ fields: [any ConfigField],
        check: @escaping @Sendable (ConfigValues, inout ReadContext) -> Void = { _, _ in }
    ) {
        self.name = name
        self.fields = fields
        self.check = check
    }

    /// The values of a mapping; nil when there was an error in it, all of which are reported.
    package func read(_ node: YAMLNode, _ context: inout ReadContext) -> ConfigValues? {
        let before = context.errorCount
        let entries = mappingEntries(node, &context) ?? []
        var values = ConfigValues(node: node, path: context.path)
        for entry in entries { read(entry, into: &values, &context) }
        if node.kind == .mapping || node.isNull {
            for field in fields where values.nodes[field.name] == nil {
                readAbsent(field, node, into: &values, &context)
            }
        }
        if context.errorCount == before { check(values, &context) }
        return context.errorCount == before ? values : nil
    }

    /// As `read` for callers that collect problems in a list; `path` names the object in messages.
    package func read(_ node: YAMLNode, path: [String], _ problems: inout [ConfigProblem]) -> ConfigValues? {
        var context = ReadContext(path: path)
        let values = read(node, &context)
        problems += context.problems
        return values
    }

    package func field(named name: String) -> (any ConfigField)? {
        fields.first { $0.name == name || $0.aliases.contains(name) }
    }

    /// The same set with further fields, for options every object of a kind has.
    package func adding(_ more: [any ConfigField]) -> FieldSet {
        FieldSet(name, fields + more, check: check)
    }

    private func mappingEntries(_ node: YAMLNode, _ context: inout ReadContext) -> [YAMLEntry]? {
        if let entries = node.entries { return entries }
        if !node.isNull { context.reportWrongType(node, "a mapping") }
        return nil
    }

    private func read(_ entry: YAMLEntry, into values: inout ConfigValues, _ context: inout ReadContext) {
        guard let field = field(named: entry.name) else {
            if !entry.name.hasPrefix("x-") { reportUnknown(entry, &context) }
            return
        }
        if values.nodes[field.name] != nil {
            context.report(
                entry.key.problem(
                    .conflict, "\"\(entry.name)\" is another name of \"\(field.name)\", which is there too"))
            return
        }
        // A key without a value counts as absent, so that `dead_letter: null` says what it seems to say.
        if entry.value.isNull, entry.value.tag == nil, !(field.takesNull && entry.value.text == "null") { return }
        values.nodes[field.name] = entry.value
        if entry.value.isUnresolved { return context.countSilentError() }
        values.storage[field.name] = context.under(field.name) { field.read(entry.value, &$0) }
    }

    private func readAbsent(
        _ field: any ConfigField, _ node: YAMLNode, into values: inout ConfigValues, _ context: inout ReadContext
    ) {
        if field.isRequired {
            context.report(
                ConfigProblem(
                    .missingKey, "\(context.pathText) needs the key \"\(field.name)\"",
                    hint: "it takes \(field.expectation)", in: node.source, at: node.start))
            return
        }
        values.storage[field.name] = context.under(field.name) { field.readAbsent(at: node, &$0) }
    }

    /// A key one level down that the word may mean, such as `parameters.max_retries`.
    private func nearBelow(_ name: String) -> String? {
        for field in fields {
            guard let nested = field.nested, case let names = nested.fields.map(\.name) else { continue }
            if let near = names.contains(name) ? name : didYouMean(name, names) { return "\(field.name).\(near)" }
        }
        return nil
    }

    private func reportUnknown(_ entry: YAMLEntry, _ context: inout ReadContext) {
        let names = fields.filter { $0.noEffect == nil }.flatMap { [$0.name] + $0.aliases }
        let near = didYouMean(entry.name, names) ?? didYouMean(entry.name, fields.map(\.name)) ?? nearBelow(entry.name)
        if entry.key.source.isVariable {
            context.report(EnvironmentOverrides.unknownVariable(entry, near))
            return
        }
        context.report(
            entry.key.problem(
                .unknownKey, "unknown key \"\(entry.name)\" in \(context.path.isEmpty ? name : context.pathText)",
                hint: near.map { "did you mean \"\($0)\"?" }))
    }
}

/// The values of one mapping, read by the fields that declare them.
package struct ConfigValues: Sendable {
    /// The mapping itself; where it is absent, the place of what it would stand in.
    package let node: YAMLNode
    /// The keys from the root to here.
    package let path: [String]
    var storage: [String: any Sendable] = [:]
    var nodes: [String: YAMLNode] = [:]

    init(node: YAMLNode, path: [String]) {
        self.node = node
        self.path = path
    }

    /// The value or its default. The field must belong to the set that was read.
    package subscript<Value>(_ field: Field<Value>) -> Value {
        if let stored = storage[field.name] {
            guard let value = stored as? Value else {
                preconditionFailure("The field \(field.name) was declared with the type it is read with.")
            }
            return value
        }
        guard let fallback = field.fallback else {
            preconditionFailure("The field \(field.name) belongs to the set that was read.")
        }
        return fallback
    }

    /// True when the file (or a variable) says something for the field.
    package func isSet(_ field: some ConfigField) -> Bool { nodes[field.name] != nil }

    /// What the file says for a field, nil when it says nothing.
    package func node(_ field: some ConfigField) -> YAMLNode? { nodes[field.name] }

    /// A problem at a field's value, or at the mapping when the value is absent.
    package func problem(
        _ code: ProblemCode, _ message: String, severity: ConfigProblem.Severity = .error, hint: String? = nil,
        at field: some ConfigField
    ) -> ConfigProblem {
        (nodes[field.name] ?? node).problem(code, message, severity: severity, hint: hint, showsSource: !field.isSecret)
    }
}
