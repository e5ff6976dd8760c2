import ConfigSchema
package import RuleEngine

/// A rule's compiled form: what `sluice rules explain` shows.
package struct RuleExplanation: Sendable, Encodable {
    /// One entry of the rule's actions.
    package struct Action: Sendable, Encodable {
        package let name: String
        package let kind: String
        /// Where it goes, as far as that is fixed.
        package let target: String?
        package let isEnabled: Bool
        /// The condition on the row under which it acts.
        package var when: String?
        package let templates: [Template]
    }

    /// One template of an action.
    package struct Template: Sendable, Encodable {
        package let name: String
        package let text: String
        /// As they are written, each once, in their order.
        package let placeholders: [String]
    }

    package let id: String
    package let definedAt: String?
    package let sql: String
    package let isEnabled: Bool
    package let plan: RulePlan
    /// What it keeps from one event to the next.
    package let state: [String]
    package let actions: [Action]
    package private(set) var cost: RuleCost?
    /// Why there is no cost.
    package private(set) var notMeasured: String?

    /// A rule, measured on the sample, else on the first input of its inline tests that it listens to.
    package static func of(
        _ rule: RuleDefinition, _ loaded: LoadedRules, sample: RuleSample? = nil
    ) -> RuleExplanation {
        var explanation = RuleExplanation(rule, in: loaded.definition)
        let sample = sample ?? RuleSample.ofTests(rule, defaults: loaded.testDefaults)
        explanation.measure(rule.compiled, sample, rule.undefinedAs)
        return explanation
    }

    /// A statement that no rule file holds.
    ///
    /// - Returns: nil when it has errors; the findings as a person reads them.
    package static func of(sql: String, sample: RuleSample?) -> (explanation: RuleExplanation?, findings: String) {
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "sql")
        let findings = diagnostics.map { $0.rendered(in: sql) }.joined()
        guard let rule else { return (nil, findings) }
        var explanation = RuleExplanation(rule)
        explanation.measure(rule, sample, .text)
        return (explanation, findings)
    }

    private mutating func measure(_ rule: CompiledRule, _ sample: RuleSample?, _ undefinedAs: JSON.UndefinedEncoding) {
        guard let sample else {
            notMeasured = "there is no sample; give --payload, --topic or --sample"
            return
        }
        do {
            cost = try RuleCost.measure(rule, sample, undefinedAs: undefinedAs)
        } catch {
            notMeasured = error.explanation
        }
    }

    private init(_ rule: CompiledRule) {
        id = rule.id
        definedAt = nil
        sql = rule.sql
        isEnabled = true
        plan = rule.plan
        state = Self.state(rule.plan)
        actions = []
    }

    package init(_ rule: RuleDefinition, in definition: RuleSetDefinition) {
        id = rule.id
        definedAt = rule.origin.description
        sql = rule.sql
        isEnabled = rule.isEnabled
        plan = rule.compiled.plan
        state = (rule.gate?.lines ?? []).map { "holds back by \($0)" } + Self.state(rule.compiled.plan)
        actions = rule.actions.map { use in
            var action = Self.action(use, definition)
            action.when = use.when?.text
            return action
        }
    }

    private static func state(_ plan: RulePlan) -> [String] {
        var state: [String] = []
        if plan.impureFunctions.contains(where: { $0.hasPrefix("kv_store_") }) {
            state.append("kv_store_*: one table for the node, in memory")
        }
        if plan.impureFunctions.contains(where: { $0.hasPrefix("proc_dict_") }) {
            state.append("proc_dict_*: one table for each connection, in memory")
        }
        return state
    }

    // MARK: actions

    private static func action(_ use: RuleActionUse, _ definition: RuleSetDefinition) -> Action {
        switch use.kind {
        case .console:
            return Action(name: use.name, kind: "console", target: "standard output", isEnabled: true, templates: [])
        case .republish(let arguments):
            return Action(
                name: use.name, kind: "republish", target: arguments.topic, isEnabled: true,
                templates: templates(arguments))
        case .action(let id):
            guard let action = definition.action(id) else {
                return Action(name: use.name, kind: "broken", target: nil, isEnabled: false, templates: [])
            }
            return Action(
                name: use.name, kind: action.type, target: target(action), isEnabled: action.isEnabled,
                templates: templates(action))
        }
    }

    private static func target(_ action: ActionDefinition) -> String? {
        switch action.type {
        case "http":
            let parameters = action.values[HTTPActionFields.parameters]
            let method = parameters[HTTPParameterFields.method].rawValue.uppercased()
            return action.connector.map { "\(method) \($0.values[HTTPConnectorFields.url].origin)" }
        case "file": return action.values[FileActionFields.path]
        default: return action.connector.map { $0.values[DiskLogFields.filePath] }
        }
    }

    private static func templates(_ arguments: RepublishArguments) -> [Template] {
        var all = [("topic", arguments.topic), ("payload", arguments.payload)]
        if case .template(let text) = arguments.qos { all.append(("qos", text)) }
        if case .template(let text) = arguments.retain { all.append(("retain", text)) }
        all.append(("user_properties", arguments.userProperties))
        all += arguments.mqttProperties.map { ("mqtt_properties.\($0.name)", $0.value) }
        return all.compactMap { template($0.0, $0.1, arguments.extensions) }
    }

    private static func templates(_ action: ActionDefinition) -> [Template] {
        var all: [(String, String)] = []
        switch action.type {
        case "http":
            let parameters = action.values[HTTPActionFields.parameters]
            let base = action.connector?.values[HTTPConnectorFields.url].path ?? ""
            all.append(("path", base + parameters[HTTPParameterFields.path]))
            all += parameters[HTTPParameterFields.headers].map { ("headers.\($0.name)", $0.value) }
            if let body = parameters.node(HTTPParameterFields.body) {
                all += texts(body).map { ("body\($0.0)", $0.1) }
            } else {
                all.append(("body", "${.}"))
            }
        case "file":
            all = [
                ("path", action.values[FileActionFields.path]),
                ("template", action.values[FileActionFields.template] ?? "${.}"),
            ]
        default:
            let template = action.values[DiskLogFields.parameters][DiskLogFields.Parameters.template]
            all = [("template", template ?? "${.}")]
        }
        return all.compactMap { template($0.0, $0.1, action.extensions) }
    }

    /// The texts of a body with where they stand in it.
    private static func texts(_ node: YAMLNode) -> [(String, String)] {
        switch node.content {
        case .scalar(let text): [("", text)]
        case .sequence(let items):
            items.enumerated().flatMap { index, item in texts(item).map { ("[\(index + 1)]" + $0.0, $0.1) } }
        case .mapping(let entries):
            entries.flatMap { entry in texts(entry.value).map { (".\(entry.name)" + $0.0, $0.1) } }
        }
    }

    /// Nil without placeholders.
    private static func template(_ name: String, _ text: String, _ extensions: Bool) -> Template? {
        let bytes = Array(text.utf8)
        var seen: Set<String> = []
        let placeholders = RuleEngine.Template.compile(text, extensions: extensions).placeholders
            .sorted { $0.span.lowerBound < $1.span.lowerBound }
            .map { String(decoding: bytes[$0.span], as: UTF8.self) }.filter { seen.insert($0).inserted }
        return placeholders.isEmpty ? nil : Template(name: name, text: text, placeholders: placeholders)
    }
}

extension RuleExplanation {
    /// For people; ends with a line break.
    package var text: String {
        var text = "rule \(id)\(isEnabled ? "" : " (disabled)")\n"
        if let definedAt { text += "  defined at \(definedAt)\n" }
        text += plan.text
        text += "  keeps from one event to the next: \(state.isEmpty ? "nothing" : state.joined(separator: "; "))\n"
        if definedAt != nil {
            text += actions.isEmpty ? "  actions: none, the rule only counts\n" : "  actions, in order, for each row:\n"
        }
        for (index, action) in actions.enumerated() {
            let when = action.when.map { "  when \($0)" } ?? ""
            let target = action.target.map { " to \($0)" } ?? ""
            text +=
                "    \(index + 1). \(action.kind)\(target)  (\(action.name)\(action.isEnabled ? "" : ", disabled"))\(when)\n"
            for template in action.templates {
                text += "       \(template.name): \(template.placeholders.joined(separator: " "))\n"
            }
        }
        if let notMeasured { text += "  cost: not measured, \(notMeasured)\n" }
        return text + (cost?.text ?? "")
    }
}
