import Buffers
import ConfigSchema
import RuleEngine
import Sinks

/// Renders what a rule's actions would do with a row.
struct RuleTrialRenderer {
    let definition: RuleDefinition
    let rules: LoadedRules
    let context: EvaluationContext
    let input: RuleTestCase.Input
    let event: DictionaryEvent

    func render(_ row: Value, _ seen: inout RuleTrialResult) {
        for use in definition.actions {
            do throws(EvaluationError) {
                if let when = use.when, try !when.holds(for: row, event: event, in: context) { continue }
                try render(use, row, &seen)
            } catch {
                seen.unrendered.append((use.name, error.explanation))
            }
        }
    }

    /// What `on_error` does with an event that the statement raised on.
    func renderError(_ error: EvaluationError, _ seen: inout RuleTrialResult) {
        guard case .deadLetter(let id) = definition.onError else { return }
        do throws(EvaluationError) {
            let row = try error.row(of: event, ruleID: definition.id, in: context)
            let encoding = definition.payloadEncoding == .utf8 ? .auto : definition.payloadEncoding
            try render(actionID: id, name: id, row, encoding, &seen)
        } catch {
            seen.unrendered.append((id, error.explanation))
        }
    }

    private func render(_ use: RuleActionUse, _ row: Value, _ seen: inout RuleTrialResult) throws(EvaluationError) {
        switch use.kind {
        case .console: break
        case .republish(let arguments): try republish(RepublishAction(arguments, ruleID: definition.id), row, &seen)
        case .action(let id): try render(actionID: id, name: use.name, row, definition.payloadEncoding, &seen)
        }
    }

    private func render(
        actionID: String, name: String, _ row: Value, _ encoding: PayloadEncoding, _ seen: inout RuleTrialResult
    ) throws(EvaluationError) {
        guard let action = rules.definition.action(actionID) else {
            let reasons = (rules.broken[actionID] ?? []).map(\.message)
            seen.unrendered.append((name, reasons.isEmpty ? "it cannot be read" : reasons.joined(separator: "; ")))
            return
        }
        guard action.isEnabled else { return }
        let templates = self.templates
        templates.payloadEncoding = encoding
        if action.type == "http" {
            try request(action, row, templates, &seen)
        } else {
            try line(action, row, templates, &seen)
        }
    }

    private var templates: TemplateContext {
        TemplateContext(
            arena: context.arena, eventMilliseconds: context.nowNanoseconds / 1_000_000, ruleID: definition.id,
            deliveryID: "00000000000000000000000000000001", undefinedAs: definition.undefinedAs)
    }

    private func request(
        _ action: ActionDefinition, _ row: Value, _ templates: TemplateContext, _ seen: inout RuleTrialResult
    ) throws(EvaluationError) {
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

    /// The very renderer of the sink makes the line, its path as the action writes it: below the data directory it is
    /// relative.
    private func line(
        _ action: ActionDefinition, _ row: Value, _ templates: TemplateContext, _ seen: inout RuleTrialResult
    ) throws(EvaluationError) {
        let directory = "/data"
        let sink: SinkDefinition
        do throws(SinkFailure) {
            sink = try action.sinkDefinition(dataDirectory: directory)
        } catch {
            seen.unrendered.append((action.id, error.reason))
            return
        }
        guard let renderer = sink.renderer as? FileRenderer else { return }
        templates.utcOffset = renderer.utcOffset(at: templates.eventMilliseconds)
        let output = OutputBuffer()
        let use = RuleUse(
            ruleID: definition.id, undefinedAs: definition.undefinedAs, payloadEncoding: templates.payloadEncoding)
        let parts = try renderer.render(row: row, use: use, into: output, context: templates)
        let target = Bytes(rebasing: output.bytes[..<parts.target])
        let path = renderer.path(target: target)
        // The line's own end is not its text.
        let text = output.bytes[(parts.target + parts.headers)...].dropLast()
        seen.lines.append(
            RuleTrialResult.Line(
                action: action.id,
                path: path.hasPrefix(directory + "/") ? String(path.dropFirst(directory.count + 1)) : path,
                text: Array(text)))
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
