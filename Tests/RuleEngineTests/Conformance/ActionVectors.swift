import Buffers
import RuleEngine

/// The cases of templates and actions: each function says what is wrong with a case, empty when nothing is.
enum ActionVectors {
    static func template(_ bench: Workbench, _ vector: Value) throws -> String {
        let template = vector.at("template")
        let compiled =
            switch vector.at("mode").string {
            case "payload": Template.compile(template.string, mode: .payload)
            case "body": template.kind == .null ? Template.wholeRow : Template.compile(template.string, mode: .body)
            default: Template.compile(template.string)
            }
        let context = TemplateContext(arena: bench.arena)
        let rendered = try compiled.bytes(row: try bench.material(vector.at("context")), context: context)
        let matches = try bench.matches(rendered, vector.at("expect").at("string"))
        return matches ? "" : "\(template.string) gave \(String(decoding: rendered, as: UTF8.self))"
    }

    static func republish(_ bench: Workbench, _ vector: Value) throws -> String {
        let action = RepublishAction(try arguments(vector.at("republish"), bench), ruleID: "rule1")
        let environment = try bench.material(vector.at("env"))
        var event = RepublishEvent()
        event.flags = environment.at("flags")
        event.publishProperties = environment.at("pub_props")
        let by = environment.at("headers").at("republish_by")
        event.republishedBy = by.isPresent ? by.string : nil
        let message = try action.message(
            row: try bench.material(vector.at("row")), event: event, context: TemplateContext(arena: bench.arena))
        return try difference(message, vector.at("expect").at("publish"), bench)
    }

    static func request(_ bench: Workbench, _ vector: Value) throws -> String {
        let action = vector.at("http").at("action")
        let template = try HTTPRequestTemplate(
            connector: parts(vector.at("http").at("connector")), action: parts(action),
            method: action.at("method").string,
            body: action.at("body").isPresent ? .text(action.at("body").string) : .row, options: .emqx)
        let row = try bench.material(vector.at("row"))
        var request: HTTPRequest?
        let error = failure { request = try template.request(row: row, context: TemplateContext(arena: bench.arena)) }
        if vector.at("expect").at("error").isPresent { return error == nil ? "gave a request" : "" }
        guard let request else { return "raised \(String(describing: error))" }
        return try difference(request, vector.at("expect").at("request"), bench)
    }

    static func result(_ bench: Workbench, _ vector: Value) -> String {
        let input = vector.at("http_result")
        let result: HTTPResult
        if input.at("status").isPresent {
            result = .status(input.at("status").integer)
        } else {
            let reason = input.at("error").isPresent ? input.at("error").string : input.at("shutdown").string
            let kinds: [String: HTTPResult.TransportFailure] = [
                "econnrefused": .connectionRefused, "timeout": .timeout, "closed": .closed, "normal": .closed,
            ]
            result = .failure(kinds[reason] ?? .other(reason))
        }
        let outcome = HTTPOutcome.emqx(result).rawValue
        return outcome == vector.at("expect").at("class").string ? "" : "gave \(outcome)"
    }
}

extension ActionVectors {
    private static func arguments(_ input: Value, _ bench: Workbench) throws -> RepublishArguments {
        var arguments = RepublishArguments(topic: input.at("topic").string)
        if input.at("payload").isPresent { arguments.payload = input.at("payload").string }
        if input.at("user_properties").isPresent { arguments.userProperties = input.at("user_properties").string }
        if let qos = argument(input.at("qos")) { arguments.qos = qos }
        if let retain = argument(input.at("retain")) { arguments.retain = retain }
        if let direct = argument(input.at("direct_dispatch")) { arguments.directDispatch = direct }
        arguments.mqttProperties = try input.at("mqtt_properties").members.map {
            (String(decoding: $0.key, as: UTF8.self), try bench.text($0.value))
        }
        return arguments
    }

    private static func argument(_ value: Value) -> RepublishArguments.Argument? {
        switch value.kind {
        case .integer: .integer(value.integer)
        case .boolean: .boolean(value.isTrue)
        case .string: .template(value.string)
        default: nil
        }
    }

    private static func difference(_ message: RepublishedMessage?, _ expected: Value, _ bench: Workbench) throws
        -> String
    {
        guard let message else { return expected.kind == .null ? "" : "published nothing" }
        if try !bench.matches(message.payload, expected.at("payload")) { return "payload" }
        if String(decoding: message.topic, as: UTF8.self) != expected.at("topic").string { return "topic" }
        if Int(message.qos) != expected.at("qos").integer { return "qos \(message.qos)" }
        if message.retain != expected.at("flags").at("retain").isTrue { return "retain" }
        if message.isDuplicate != expected.at("flags").at("dup").isTrue { return "dup" }
        if message.directDispatch != expected.at("bypass_hooks").isTrue { return "direct dispatch" }
        if String(decoding: message.from, as: UTF8.self) != expected.at("from").string { return "from" }
        let properties = expected.at("properties")
        let pairs = properties.at("User-Property").elements.map { "\($0.elements[0].string)=\($0.elements[1].string)" }
        let actual = message.userProperties.map {
            "\(String(decoding: $0.name, as: UTF8.self))=\(String(decoding: $0.value, as: UTF8.self))"
        }
        if pairs.sorted() != actual.sorted() { return "user properties \(actual)" }
        let values: [(String, String?)] = [
            ("Payload-Format-Indicator", message.payloadFormatIndicator.map { "\($0)" }),
            ("Message-Expiry-Interval", message.messageExpiryInterval.map { "\($0)" }),
            ("Content-Type", message.contentType.map { String(decoding: $0, as: UTF8.self) }),
            ("Response-Topic", message.responseTopic.map { String(decoding: $0, as: UTF8.self) }),
            ("Correlation-Data", message.correlationData.map { String(decoding: $0, as: UTF8.self) }),
        ]
        for (name, value) in values {
            let wanted = properties.at(name)
            if value != (wanted.isPresent ? try bench.text(wanted) : nil) {
                return "\(name) \(String(describing: value))"
            }
        }
        return ""
    }

    private static func parts(_ input: Value) -> HTTPRequestParts {
        HTTPRequestParts(
            path: input.at("path").string,
            headers: input.at("headers").members.map { (String(decoding: $0.key, as: UTF8.self), $0.value.string) })
    }

    private static func difference(_ request: HTTPRequest, _ expected: Value, _ bench: Workbench) throws -> String {
        if request.method.rawValue != expected.at("method").string { return "method" }
        let target = String(decoding: request.target, as: UTF8.self)
        if target != expected.at("path").string { return "path \(target)" }
        let headers = expected.at("headers").elements.map { "\($0.elements[0].string): \($0.elements[1].string)" }
        let actual = request.headers.map {
            "\(String(decoding: $0.name, as: UTF8.self)): \(String(decoding: $0.value, as: UTF8.self))"
        }
        if headers.sorted() != actual.sorted() { return "headers \(actual)" }
        guard let body = request.body else { return expected.at("body").isPresent ? "no body" : "" }
        return try expected.at("body").isPresent && bench.matches(body, expected.at("body")) ? "" : "body"
    }
}
