import Buffers
import ConfigSchema
import RuleEngine

/// Renders what a rule's actions would do with a row.
struct RuleTrialRenderer {
    let definition: RuleDefinition
    let rules: LoadedRules
    let context: EvaluationContext
    let input: RuleTestCase.Input

    mutating func render(_ row: Value, _ seen: inout RuleTrialResult) {
        for use in definition.actions {
            do throws(EvaluationError) {
                try render(use, row, &seen)
            } catch {
                seen.unrendered.append((use.name, error.explanation))
            }
        }
    }

    private func render(_ use: RuleActionUse, _ row: Value, _ seen: inout RuleTrialResult) throws(EvaluationError) {
        switch use.kind {
        case .console: break
        case .republish(let arguments): try republish(RepublishAction(arguments, ruleID: definition.id), row, &seen)
        case .action(let id):
            guard let action = rules.definition.action(id) else {
                let reasons = (rules.broken[id] ?? []).map(\.message)
                seen.unrendered.append(
                    (use.name, reasons.isEmpty ? "it cannot be read" : reasons.joined(separator: "; ")))
                return
            }
            guard action.isEnabled else { return }
            if action.type == "http" { try request(action, row, &seen) } else { try line(action, row, &seen) }
        }
    }

    private var templates: TemplateContext {
        TemplateContext(
            arena: context.arena, eventMilliseconds: context.nowNanoseconds / 1_000_000, ruleID: definition.id,
            deliveryID: "00000000000000000000000000000001", undefinedAs: definition.undefinedAs)
    }

    private func request(_ action: ActionDefinition, _ row: Value, _ seen: inout RuleTrialResult)
        throws(EvaluationError)
    {
        guard let connector = action.connector?.values else { return }
        let parameters = action.values[HTTPActionFields.parameters]
        let url = connector[HTTPConnectorFields.url]
        var options = HTTPRequestTemplate.Options()
        options.extensions = action.extensions
        options.missing = action.values[DeliveryFields.templates]
        func headers(_ named: [Named<String>]) -> [(name: String, value: String)] { named.map { ($0.name, $0.value) } }
        let defaults = [(name: "accept", value: "application/json"), (name: "content-type", value: "application/json")]
        let template = try HTTPRequestTemplate(
            connector: HTTPRequestParts(
                path: url.path, headers: defaults + headers(connector[HTTPConnectorFields.headers])),
            action: HTTPRequestParts(
                path: parameters[HTTPParameterFields.path], headers: headers(parameters[HTTPParameterFields.headers])),
            method: parameters[HTTPParameterFields.method].rawValue,
            body: HTTPBodySource(parameters[HTTPParameterFields.body]), options: options)
        let request = try template.request(row: row, context: templates)
        seen.requests.append(
            RuleTrialResult.Request(
                action: action.id, method: request.method.rawValue.uppercased(),
                url: url.origin + Self.text(request.target),
                headers: request.headers.map { (Self.text($0.name), Self.text($0.value)) },
                body: request.body.map { Array($0) }))
    }

    private func line(_ action: ActionDefinition, _ row: Value, _ seen: inout RuleTrialResult) throws(EvaluationError) {
        let text: String?
        var missing = MissingPolicy.compat
        if action.type == "file" {
            text = action.values[FileActionFields.template]
            missing = action.values[DeliveryFields.templates]
        } else {
            text = action.values[DiskLogFields.parameters][DiskLogFields.Parameters.template]
        }
        let template = Template.compile(text ?? "${.}", extensions: action.extensions, missing: missing)
        seen.lines.append(
            RuleTrialResult.Line(action: action.id, text: Array(try template.bytes(row: row, context: templates))))
    }

    private func republish(_ action: RepublishAction, _ row: Value, _ seen: inout RuleTrialResult)
        throws(EvaluationError)
    {
        var event = RepublishEvent()
        for (name, value) in input.columns {
            if name == "flags" { event.flags = try value.value(in: context.arena) }
            if name == "pub_props" { event.publishProperties = try value.value(in: context.arena) }
        }
        guard let message = try action.message(row: row, event: event, context: templates) else { return }
        seen.messages.append(
            RuleTrialResult.Message(
                topic: Array(message.topic), payload: Array(message.payload), qos: Int(message.qos),
                retain: message.retain,
                userProperties: message.userProperties.map { (Array($0.name), Array($0.value)) }))
    }

    private static func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }
}
