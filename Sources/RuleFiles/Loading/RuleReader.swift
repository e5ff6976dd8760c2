import ConfigSchema
import RuleEngine

/// Reads one rule: its keys, its statement, its actions.
struct RuleReader {
    private let rule: PreparedRule
    private let declared: Set<String>
    private(set) var context: ReadContext

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
        let uses = rule.items.compactMap { use($0) }
        let cases = self.tests(tests)
        guard let values, let compiled, uses.count == rule.items.count else { return nil }
        return RuleDefinition(
            id: rule.object.name, name: values[RuleFields.name], description: values[RuleFields.description],
            tags: values[RuleFields.tags], isEnabled: values[RuleFields.enable], sql: values[RuleFields.sql],
            compiled: compiled, actions: uses, undefinedAs: values[RuleFields.undefinedAs] == .null ? .null : .text,
            maximumHops: values[RuleFields.maximumHops], tests: cases, origin: DefinitionOrigin(rule.object.key),
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
        switch item.item {
        case .reference(let type, let name, let node):
            let id = "\(type):\(name)"
            guard declared.contains(id) else {
                let known = declared.filter { !$0.contains("~") }.sorted()
                context.report(
                    node.problem(
                        .unknownReference, "the action \"\(id)\" is not defined",
                        hint: didYouMean(id, known).map { "did you mean \"\($0)\"?" }))
                return nil
            }
            return RuleActionUse(kind: .action(id), name: id, node: node)
        case .inline(let type, _, _, let node):
            return RuleActionUse(kind: .action("\(type):\(item.name)"), name: item.name, node: node)
        case .republish(let arguments, let templates, let node):
            return republish(arguments, templates).map {
                RuleActionUse(kind: .republish($0), name: item.name, node: node)
            }
        case .console(let arguments, let node):
            return read(ConsoleFields.all, arguments).map { _ in
                RuleActionUse(kind: .console, name: item.name, node: node)
            }
        }
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
