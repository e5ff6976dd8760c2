import ConfigSchema
import RuleEngine

/// Reads one rule: its keys, its statement, its actions.
struct RuleReader {
    private let rule: PreparedRule
    private let declared: Set<String>
    private(set) var context: ReadContext
    /// The members of the rule's rows, where they are known.
    private var outputs: Set<String>?

    init(_ rule: PreparedRule, declared: Set<String>) {
        self.rule = rule
        self.declared = declared
        context = ReadContext(path: rule.object.path)
    }

    /// Nil after a report.
    mutating func read() -> RuleDefinition? {
        let (node, tests) = rule.node.removing("tests")
        let values = RuleFields.all.read(node, &context)
        let compiled = (node["sql"]).flatMap { compile($0) }
        outputs = node["sql"]?.text.flatMap { CompiledRule.outputs(ofSQL: $0) }
        let uses = rule.items.compactMap { use($0) }
        let cases = self.tests(tests)
        if let values, case .deadLetter(let id) = values[RuleFields.onError], !declared.contains(id) {
            reportUndefined(id, values.node(RuleFields.onError) ?? node)
            return nil
        }
        guard let values, let compiled, uses.count == rule.items.count else { return nil }
        return RuleDefinition(
            id: rule.object.name, name: values[RuleFields.name], description: values[RuleFields.description],
            tags: values[RuleFields.tags], isEnabled: values[RuleFields.enable], sql: values[RuleFields.sql],
            compiled: compiled, actions: uses, undefinedAs: values[RuleFields.undefinedAs] == .null ? .null : .text,
            payloadEncoding: values[RuleFields.payloadEncoding], maximumHops: values[RuleFields.maximumHops],
            consumes: values[RuleFields.consume], onError: values[RuleFields.onError],
            gate: RuleStateFields.gate(values, extensions: rule.object.extensions), extensions: rule.object.extensions,
            references: RuleStateFields.references(values), tests: cases, origin: DefinitionOrigin(rule.object.key),
            content: DefinitionContent(
                node.canonicalJSON, rule.object.node["actions"]?.canonicalJSON ?? "", "\(rule.object.extensions)"))
    }

    private mutating func compile(_ node: YAMLNode) -> CompiledRule? {
        guard let sql = node.text, !sql.isEmpty else { return nil }
        let (compiled, diagnostics) = CompiledRule.compile(sql: sql, id: rule.object.name)
        for diagnostic in diagnostics { context.report(diagnostic.problem(in: node)) }
        return compiled
    }

    private mutating func tests(_ node: YAMLNode?) -> [YAMLNode] {
        guard let node, !node.isNull else { return [] }
        guard let items = node.items else {
            context.report(node.problem(.wrongType, "tests is a list, not \(node.kindInWords)"))
            return []
        }
        return items
    }

    // MARK: Actions

    private mutating func use(_ item: PreparedRule.Item) -> RuleActionUse? {
        let when = item.when.map { condition($0) }
        guard let kind = kind(item), when == nil || when.flatMap({ $0 }) != nil else { return nil }
        return RuleActionUse(kind: kind, when: when.flatMap { $0 }, name: item.name, node: item.item.node)
    }

    private mutating func kind(_ item: PreparedRule.Item) -> RuleActionUse.Kind? {
        switch item.item {
        case .reference(let type, let name, let node):
            let id = "\(type):\(name)"
            guard declared.contains(id) else {
                reportUndefined(id, node)
                return nil
            }
            return .action(id)
        case .inline(let type, _, _, _): return .action("\(type):\(item.name)")
        case .republish(let arguments, let templates, _):
            return republish(arguments, templates).map { .republish($0) }
        case .console(let arguments, _): return read(ConsoleFields.all, arguments).map { _ in .console }
        }
    }

    private mutating func reportUndefined(_ id: String, _ node: YAMLNode) {
        let known = declared.filter { !$0.contains("~") }.sorted()
        context.report(
            node.problem(
                .unknownReference, "the action \"\(id)\" is not defined",
                hint: didYouMean(id, known).map { "did you mean \"\($0)\"?" }))
    }

    /// Nil after a report.
    private mutating func condition(_ node: YAMLNode) -> RowCondition? {
        guard let text = node.text else {
            context.reportWrongType(node, "a condition such as \"temp > 40\"")
            return nil
        }
        let (condition, diagnostics) = RowCondition.compile(text, ruleID: rule.object.name, outputs: outputs)
        for diagnostic in diagnostics { context.report(diagnostic.problem(in: node)) }
        return condition
    }

    private mutating func republish(_ arguments: YAMLNode, _ templates: YAMLNode?) -> RepublishArguments? {
        let values = read(RepublishFields.all, arguments)
        var missing = MissingPolicy.compat
        if let templates {
            let policy = context.under("actions") { context in
                context.under("templates") { FieldType<MissingPolicy>.choice.read(templates, &$0) }
            }
            guard let policy else { return nil }
            missing = policy
        }
        return values.map { RepublishFields.arguments($0, missing: missing, extensions: rule.object.extensions) }
    }

    private mutating func read(_ fields: FieldSet, _ arguments: YAMLNode) -> ConfigValues? {
        context.under("actions") { fields.read(arguments, &$0) }
    }
}

extension Diagnostic {
    /// The finding at its place in the rule file; beside the scalar where that is not exact.
    func problem(in node: YAMLNode) -> ConfigProblem {
        let start = node.position(ofByteOffset: span.lowerBound)
        let end = node.position(ofByteOffset: span.upperBound)
        var shown = message
        if !node.hasExactPositions, let text = node.text {
            let (line, column) = Self.position(of: span.lowerBound, in: text)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            if line <= lines.count {
                shown += " (at \(line):\(column) of the statement: \(lines[line - 1].prefix(80)))"
            }
        }
        return ConfigProblem(
            ProblemCode(code.rawValue), shown, severity: severity == .error ? .error : .warning, hint: hint,
            in: node.source,
            at: start, length: end.line == start.line ? end.column - start.column : 1)
    }
}
