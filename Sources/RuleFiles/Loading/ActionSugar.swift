import ConfigSchema

/// What one entry of a rule's `actions` says.
enum ActionItem {
    case reference(type: String, name: String, node: YAMLNode)
    /// A definition that stands in the rule; the connector is there for types that have one.
    case inline(type: String, action: YAMLNode, connector: YAMLNode?, node: YAMLNode)
    case republish(YAMLNode, templates: YAMLNode?, node: YAMLNode)
    case console(YAMLNode, node: YAMLNode)

    /// Where it stands.
    var node: YAMLNode {
        switch self {
        case .reference(_, _, let node), .inline(_, _, _, let node), .republish(_, _, let node), .console(_, let node):
            node
        }
    }
}

/// Reads the forms that an entry of `actions` can have, and splits short objects into connector and action.
enum ActionSugar {
    private static let forms = ["use", "function", "webhook", "http", "file", "republish", "console"]

    /// Nil after a report.
    static func item(_ node: YAMLNode, _ context: inout ReadContext) -> ActionItem? {
        if let text = node.text { return reference(text, node, &context) }
        guard let entries = node.entries else {
            context.report(node.problem(.wrongType, "an action is a name such as \"http:name\" or a mapping"))
            return nil
        }
        if let entry = node.entry("on_error") {
            context.report(
                entry.key.problem(
                    .notSupported, "on_error of a single action is not supported yet", hint: "the rule's own is"))
        }
        let named = entries.filter { forms.contains($0.name) }
        guard let form = named.first else {
            let near = entries.lazy.compactMap { entry in didYouMean(entry.name, forms) }.first
            context.report(
                node.problem(
                    .unknownKey, "an action needs one of the keys \(forms.joined(separator: ", "))",
                    hint: near.map { "did you mean \"\($0)\"?" }))
            return nil
        }
        for other in named.dropFirst() {
            context.report(other.key.problem(.conflict, "\"\(other.name)\" and \"\(form.name)\" exclude each other"))
        }
        let known = [form.name, "when", "on_error", "templates"] + (form.name == "function" ? ["args"] : [])
        for entry in entries
        where !known.contains(entry.name) && !forms.contains(entry.name) && !entry.name.hasPrefix("x-") {
            let hint = didYouMean(entry.name, known).map { "did you mean \"\($0)\"?" }
            context.report(entry.key.problem(.unknownKey, "unknown key \"\(entry.name)\" in the action", hint: hint))
        }
        return item(form, node, &context)
    }

    private static func item(_ form: YAMLEntry, _ node: YAMLNode, _ context: inout ReadContext) -> ActionItem? {
        let templates = node["templates"]
        switch form.name {
        case "use":
            if let entry = node.entry("templates") {
                context.report(
                    entry.key.problem(.notSupported, "templates of a named action are its own", hint: "set them there"))
            }
            guard let text = form.value.text else {
                context.reportWrongType(form.value, "a name such as \"http:name\"")
                return nil
            }
            return reference(text, form.value, &context)
        case "function": return function(form.value, node, templates, &context)
        case "republish": return .republish(form.value, templates: templates, node: node)
        case "console": return .console(form.value, node: node)
        case "file":
            return .inline(type: "file", action: withTemplates(form.value, templates), connector: nil, node: node)
        default: return webhook(form.value, templates, node, &context)
        }
    }

    private static func withTemplates(_ action: YAMLNode, _ templates: YAMLNode?) -> YAMLNode {
        guard let templates, action["templates"] == nil else { return action }
        return action.adding("templates", templates)
    }

    private static func function(
        _ name: YAMLNode, _ node: YAMLNode, _ templates: YAMLNode?, _ context: inout ReadContext
    ) -> ActionItem? {
        let arguments = node["args"] ?? node.made(.mapping([]))
        switch name.text {
        case "republish": return .republish(arguments, templates: templates, node: node)
        case "console": return .console(arguments, node: node)
        case let other:
            let hint = didYouMean(other ?? "", ["republish", "console"]).map { "did you mean \"\($0)\"?" }
            context.report(name.problem(.badValue, "the functions are republish and console", hint: hint))
            return nil
        }
    }

    /// `http:name`.
    private static func reference(_ text: String, _ node: YAMLNode, _ context: inout ReadContext) -> ActionItem? {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty else {
            context.report(node.problem(.badValue, "an action is named as \"type:name\", such as \"http:name\""))
            return nil
        }
        guard let type = SinkType.named(parts[0]) else {
            let hint = didYouMean(parts[0], SinkType.names).map { "did you mean \"\($0):\(parts[1])\"?" }
            context.report(
                node.problem(
                    .unknownReference, "there is no action type \"\(parts[0])\"",
                    hint: hint ?? "the types are \(SinkType.names.joined(separator: ", "))"))
            return nil
        }
        return .reference(type: type.name, name: parts[1], node: node)
    }

    /// A URL or a mapping of connector, parameter and action keys side by side.
    static func webhook(
        _ value: YAMLNode, _ templates: YAMLNode?, _ node: YAMLNode, _ context: inout ReadContext
    ) -> ActionItem? {
        if value.kind == .scalar, !value.isNull {
            let object = value.made(.mapping([])).adding("url", value)
            return webhook(object, templates, node, &context)
        }
        guard let entries = value.entries else {
            context.reportWrongType(value, "a URL or a mapping")
            return nil
        }
        var connector = value.made(.mapping([]), style: .block)
        var parameters: [YAMLEntry] = []
        var action: [YAMLEntry] = []
        for entry in entries {
            if entry.name == "parameters", let own = entry.value.entries {
                parameters += own
            } else if HTTPParameterFields.all.field(named: entry.name) != nil {
                parameters.append(entry)
            } else if HTTPActionFields.all.field(named: entry.name) == nil,
                HTTPConnectorFields.all.field(named: entry.name) != nil
            {
                connector.content = .mapping((connector.entries ?? []) + [entry])
            } else {
                action.append(entry)
            }
        }
        splitURL(&connector, &parameters)
        var result = value
        result.content = .mapping(action)
        result = result.adding("parameters", value.made(.mapping(parameters), style: .block))
        return .inline(type: "http", action: withTemplates(result, templates), connector: connector, node: node)
    }

    /// The connector keeps the origin, the rest of the URL is the action's path.
    private static func splitURL(_ connector: inout YAMLNode, _ parameters: inout [YAMLEntry]) {
        guard let entries = connector.entries, let index = entries.firstIndex(where: { $0.name == "url" }),
            let text = entries[index].value.text, !parameters.contains(where: { $0.name == "path" }),
            let slashes = text.firstRange(of: "://")?.upperBound,
            let slash = text[slashes...].firstIndex(where: { $0 == "/" || $0 == "?" })
        else { return }
        var changed = entries
        changed[index].value.content = .scalar(String(text[..<slash]))
        connector.content = .mapping(changed)
        var path = entries[index].value
        path.content = .scalar(String(text[slash...]))
        parameters.append(YAMLEntry(key: entries[index].key.made(.scalar("path")), value: path))
    }
}
