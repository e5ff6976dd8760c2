import ConfigSchema
import RuleEngine

/// Finds `${…}` that a rule's statement does not produce, and text that looks like a placeholder and is none.
enum TemplateCheck {
    static func problems(_ rule: RuleDefinition, _ definition: RuleSetDefinition) -> [ConfigProblem] {
        guard let outputs = CompiledRule.outputs(ofSQL: rule.sql) else { return [] }
        var check = Check(outputs: outputs, extensions: rule.extensions)
        for node in rule.references.templates { check.read(node) }
        for node in rule.references.members { check.readMember(node) }
        for use in rule.actions {
            switch use.kind {
            case .console: break
            case .republish:
                check.extensions = rule.extensions
                check.readRepublish(use.node)
            case .action(let id):
                guard let action = definition.action(id) else { continue }
                check.extensions = action.extensions
                for node in templates(action) { check.read(node) }
            }
        }
        return check.problems
    }

    /// Every field of an action that holds templates.
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
}

/// The check of one rule's templates.
private struct Check {
    let outputs: Set<String>
    var extensions: Bool
    private(set) var problems: [ConfigProblem] = []

    init(outputs: Set<String>, extensions: Bool) {
        self.outputs = outputs
        self.extensions = extensions
    }

    private var names: String { outputs.sorted().joined(separator: ", ") }

    /// Keys are read as well: names of headers and of JSON members may have placeholders.
    mutating func read(_ node: YAMLNode) {
        switch node.content {
        case .sequence(let items): for item in items { read(item) }
        case .mapping(let entries):
            for entry in entries {
                readText(entry.name, entry.key)
                read(entry.value)
            }
        case .scalar(let text): readText(text, node)
        }
    }

    mutating func readRepublish(_ node: YAMLNode) {
        guard let arguments = node["args"] ?? node["republish"], let entries = arguments.entries else { return }
        // What the event's own properties are copied by is no placeholder of the row.
        let copied = ["${pub_props.'User-Property'}", "${.pub_props.'User-Property'}"]
        for entry in entries where !copied.contains(entry.value.text ?? "") { read(entry.value) }
        guard arguments["payload"] == nil, !outputs.contains("payload") else { return }
        problems.append(
            node.problem(
                .templateUnknownField,
                "the republished payload is ${payload} unless it is given, and the rule's SELECT list (\(names)) does not produce it",
                severity: .warning, hint: "payload: \"${.}\" is the whole row"))
    }

    /// A plain name of a member, or a path into one.
    mutating func readMember(_ node: YAMLNode) {
        guard let text = node.text, let name = text.split(separator: ".").first.map(String.init),
            !outputs.contains(text), !outputs.contains(name)
        else { return }
        problems.append(
            node.problem(
                .templateUnknownField, "\"\(text)\" is not produced by the rule's SELECT list (\(names))",
                severity: .warning, hint: didYouMean(name, outputs.sorted()).map { "did you mean \"\($0)\"?" }))
    }

    private mutating func readText(_ text: String, _ node: YAMLNode) {
        guard text.contains("${") else { return }
        let placeholders = Template.compile(text, extensions: extensions).placeholders
        for placeholder in placeholders where placeholder.kind == .value && !placeholder.hasDefault {
            guard let name = placeholder.path.first, !outputs.contains(name) else { continue }
            let near = didYouMean(name, outputs.sorted()).map { "did you mean \"${\($0)}\"?" }
            let whole = placeholder.path.joined(separator: ".")
            report(
                .templateUnknownField, "${\(whole)} is not produced by the rule's SELECT list (\(names))", near, node,
                placeholder.span)
        }
        readStrays(Array(text.utf8), node, placeholders.map(\.span))
    }

    // MARK: text that looks like a placeholder

    private mutating func readStrays(_ text: [UInt8], _ node: YAMLNode, _ placeholders: [Range<Int>]) {
        var position = 0
        while let start = text[position...].firstIndex(of: UInt8(ascii: "$")) {
            position = start + 1
            guard position < text.count, text[position] == UInt8(ascii: "{"),
                !placeholders.contains(where: { $0.contains(start) }),
                let end = text[position...].firstIndex(of: UInt8(ascii: "}"))
            else { continue }
            let inside = text[(position + 1)..<end]
            // `${$}` is a dollar sign; what has another beginning in it, or lines, is hardly meant as one.
            guard inside.count <= 80, !inside.contains(UInt8(ascii: "$")), !inside.contains(UInt8(ascii: "\n")) else {
                continue
            }
            reportStray(String(decoding: inside, as: UTF8.self), node, start..<end + 1)
        }
    }

    private mutating func reportStray(_ inside: String, _ node: YAMLNode, _ span: Range<Int>) {
        let isExtension = !Template.compile("${\(inside)}", extensions: true).placeholders.isEmpty
        let hint =
            isExtension
            ? "it becomes one in a file that says \"version: 1\""
            : "names are made of letters, digits, \"_\" and \".\"; let SELECT give it such a name"
        report(.templateSyntax, "${\(inside)} is no placeholder and stays as it is", hint, node, span)
    }

    private mutating func report(
        _ code: ProblemCode, _ message: String, _ hint: String?, _ node: YAMLNode, _ span: Range<Int>
    ) {
        problems.append(
            ConfigProblem(
                code, message, severity: .warning, hint: hint, in: node.source,
                at: node.position(ofByteOffset: span.lowerBound),
                length: node.hasExactPositions ? span.count : node.markedLength))
    }
}
