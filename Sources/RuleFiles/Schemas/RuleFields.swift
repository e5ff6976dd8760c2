import ConfigSchema
import RuleEngine

/// What becomes of an event that a rule raised on.
package enum RuleErrorHandling: Sendable, Hashable {
    /// It is counted, and logged at debug level.
    case log
    /// Besides, its columns and the reason go to that action.
    case deadLetter(String)
}

/// `rules.<id>`. [EMQX rule_engine.rules]
enum RuleFields {
    enum UndefinedAs: String, Sendable, CaseIterable { case undefined, null }

    static let sql = Field(
        "sql", .nonEmptyString, .required, hotReload: true,
        doc: "The statement; a literal block (|) makes error columns exact.")
    static let actions = Field("actions", .any, hotReload: true, doc: "Where the selected rows go.")
    static let enable = Field(
        "enable", .bool, default: true, aliases: ["enabled"], hotReload: true, doc: "Whether it runs.")
    static let name = Field("name", .string, default: "", hotReload: true, doc: "Shown in the UI.")
    static let description = Field("description", .string, default: "", hotReload: true, doc: "Shown in the UI.")
    static let tags = Field("tags", .list(.string), default: [], hotReload: true, doc: "For searching.")
    static let undefinedAs = Field(
        "undefined_as", FieldType<UndefinedAs>.choice, default: .undefined, hotReload: true,
        doc: "Missing values in JSON: the text \"undefined\", as in EMQX, or null.")
    static let maximumHops = Field(
        "max_hops", .int(1...64), default: 8, hotReload: true, doc: "How often rules may republish one message.")
    static let consume = Field(
        "consume", .bool, default: false, hotReload: true,
        doc: "Whether a message that the rule listens to counts as received though nobody subscribes to its topic.")
    static let onError = Field(
        "on_error", .onError, default: .log, hotReload: true, doc: "What becomes of an event that the SQL raises on.")
    static let payloadEncoding = Field(
        "payload_encoding", FieldType<PayloadEncoding>.choice, default: .utf8, hotReload: true,
        doc: "How the payload enters JSON; auto writes what is not UTF-8 as base64 and says so.")
    static let sample = Field(
        "sample", .number(0...1), default: 1, hotReload: true, doc: "The fraction of matches that pass.")
    static let onChange = Field(
        "on_change", .either(.object(RuleStateFields.OnChange.all), whenKind: .mapping, or: .list(.nonEmptyString)),
        hotReload: true, doc: "A row passes when one of these fields differs from what last passed for its key.")
    static let suppress = Field(
        "suppress", .object(RuleStateFields.Suppress.all), hotReload: true,
        doc: "After a row has passed, others of its key do not for a while.")
    static let throttle = Field(
        "throttle", .object(RuleStateFields.Throttle.all), hotReload: true, doc: "So many rows of a key in a time.")
    static let metadata = Field(
        "metadata", .any, hotReload: true, doc: "Kept for EMQX's files; the dashboard writes it.")

    static let all = FieldSet(
        "rules",
        [
            sql, actions, enable, name, description, tags, undefinedAs, maximumHops, metadata, consume, onError,
            payloadEncoding, onChange, suppress, throttle, sample,
        ])
}

extension FieldType where Value == RuleErrorHandling {
    /// `log`, or `dead_letter:` and an action's id.
    static var onError: FieldType {
        .scalar(
            "log, or dead_letter:<action> such as dead_letter:file:bad",
            show: { if case .deadLetter(let id) = $0 { "dead_letter:\(id)" } else { "log" } }
        ) { text, _ in
            if text == "log" { return .log }
            let prefix = "dead_letter:"
            guard text.hasPrefix(prefix) else { return nil }
            let parts = text.dropFirst(prefix.count).split(separator: ":", maxSplits: 1).map(String.init)
            guard parts.count == 2, let type = SinkType.named(parts[0]) else { return nil }
            return .deadLetter("\(type.name):\(parts[1])")
        }
    }
}

/// `{function: console, args: …}`.
enum ConsoleFields {
    static let all = FieldSet(
        "console", [UnsupportedField("level", accepts: "info"), UnsupportedField("format", accepts: "json")])
}

/// `{function: republish, args: …}`. [EMQX rule-sql: republish]
enum RepublishFields {
    /// A literal or a template.
    private static func argument(
        _ expectation: String, _ accepts: @escaping @Sendable (YAMLScalar) -> RepublishArguments.Argument?
    )
        -> FieldType<RepublishArguments.Argument>
    {
        .scalar(expectation) { text, scalar in
            if let literal = accepts(scalar) { return literal }
            return text.contains("${") ? .template(text) : nil
        }
    }

    private static let flag = argument("true, false, or a template such as \"${retain}\"") {
        if case .bool(let value) = $0 { .boolean(value) } else { nil }
    }

    static let topic = Field(
        "topic", .nonEmptyString, .required, hotReload: true, doc: "Template over the selected row.")
    static let payload = Field(
        "payload", .string, default: "${payload}", hotReload: true, doc: "Template; empty is the whole row.")
    static let qos = Field(
        "qos",
        argument("0, 1, 2, or a template such as \"${qos}\"") {
            if case .int(let value) = $0, (0...2).contains(value) { .integer(Int(value)) } else { nil }
        }, default: .template("${qos}"), hotReload: true, doc: "0 when missing.")
    static let retain = Field(
        "retain", flag, default: .template("${retain}"), hotReload: true, doc: "false when missing.")
    static let directDispatch = Field(
        "direct_dispatch", flag, default: .boolean(false), hotReload: true, doc: "Past rules and retained messages.")
    static let userProperties = Field(
        "user_properties", .string, default: "${user_properties}", hotReload: true,
        doc: "A template that gives an object; `${pub_props.'User-Property'}` copies the event's.")
    static let properties = Field(
        "mqtt_properties", .map(.string), default: [], hotReload: true, doc: "Templates by the properties' MQTT names.")
    static let from = Field("from", .string, hotReload: true, doc: "Template: the sender's id; default the rule's.")

    static let propertyNames = [
        "Payload-Format-Indicator", "Message-Expiry-Interval", "Content-Type", "Response-Topic", "Correlation-Data",
    ]

    static let all = FieldSet(
        "republish",
        [
            topic, payload, qos, retain, directDispatch, userProperties, properties, from,
            UnsupportedField("delay", accepts: "0s", "0"),
        ]
    ) { values, context in
        for property in values[properties] where !propertyNames.contains(property.name) {
            let hint = didYouMean(property.name, propertyNames).map { "did you mean \"\($0)\"?" }
            context.report(
                property.key.problem(
                    .unknownKey, "a republished message has no property \"\(property.name)\"", hint: hint))
        }
    }

    static func arguments(_ values: ConfigValues, missing: MissingPolicy, extensions: Bool) -> RepublishArguments {
        var arguments = RepublishArguments(topic: values[topic])
        arguments.payload = values[payload]
        arguments.qos = values[qos]
        arguments.retain = values[retain]
        arguments.directDispatch = values[directDispatch]
        arguments.userProperties = values[userProperties]
        arguments.mqttProperties = values[properties].map { ($0.name, $0.value) }
        arguments.from = values[from]
        arguments.missing = missing
        arguments.extensions = extensions
        return arguments
    }
}
