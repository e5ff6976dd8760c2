import ConfigSchema
import RuleEngine

/// Finds `${…}` that a rule's statement does not produce.
enum TemplateCheck {
    /// Nothing for `SELECT *` and FOREACH without DO, whose rows depend on the event.
    static func problems(_ rule: RuleDefinition, _ definition: RuleSetDefinition) -> [ConfigProblem] {
        guard let outputs = CompiledRule.outputs(ofSQL: rule.sql) else { return [] }
        return rule.actions.flatMap { use -> [ConfigProblem] in
            switch use.kind {
            case .console: return []
            case .republish:
                let arguments = use.node["args"] ?? use.node["republish"]
                return arguments.map { problems($0, extensions: true, outputs) } ?? []
            case .action(let id):
                guard let action = definition.action(id) else { return [] }
                return templates(action).flatMap { problems($0, extensions: action.extensions, outputs) }
            }
        }
    }

    private static func templates(_ action: ActionDefinition) -> [YAMLNode] {
        switch action.type {
        case "http":
            let parameters = action.values[HTTPActionFields.parameters]
            return [
                action.connector?.values.node(HTTPConnectorFields.headers), parameters.node(HTTPParameterFields.path),
                parameters.node(HTTPParameterFields.headers), parameters.node(HTTPParameterFields.body),
                action.values.node(DeliveryFields.orderKey),
            ].compactMap { $0 }
        case "file":
            return [action.values.node(FileActionFields.path), action.values.node(FileActionFields.template)].compactMap
            { $0 }
        default:
            return [action.values[DiskLogFields.parameters].node(DiskLogFields.Parameters.template)].compactMap { $0 }
        }
    }

    private static func problems(_ node: YAMLNode, extensions: Bool, _ outputs: Set<String>) -> [ConfigProblem] {
        switch node.content {
        case .sequence(let items): return items.flatMap { problems($0, extensions: extensions, outputs) }
        case .mapping(let entries): return entries.flatMap { problems($0.value, extensions: extensions, outputs) }
        case .scalar(let text):
            return Template.compile(text, extensions: extensions).placeholders.compactMap { placeholder in
                guard placeholder.kind == .value, !placeholder.hasDefault, let name = placeholder.path.first,
                    !outputs.contains(name)
                else { return nil }
                return problem(node, placeholder, name, outputs)
            }
        }
    }

    private static func problem(
        _ node: YAMLNode, _ placeholder: Template.Placeholder, _ name: String, _ outputs: Set<String>
    ) -> ConfigProblem {
        let whole = placeholder.path.joined(separator: ".")
        let names = outputs.sorted()
        let near = didYouMean(name, names).map { "did you mean \"${\($0)}\"?" }
        return ConfigProblem(
            .templateUnknownField,
            "${\(whole)} is not produced by the rule's SELECT list (\(names.joined(separator: ", ")))",
            severity: .warning, hint: near, in: node.source,
            at: node.position(ofByteOffset: placeholder.span.lowerBound),
            length: node.hasExactPositions ? placeholder.span.count : node.markedLength)
    }
}
