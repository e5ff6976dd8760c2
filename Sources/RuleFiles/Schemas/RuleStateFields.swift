import ConfigSchema
import RuleEngine

/// What a rule remembers between messages: `on_change`, `suppress`, `throttle`. Beyond EMQX.
enum RuleStateFields {
    static let maximumKeys = Field(
        "max_keys", .int(1...10_000_000), default: RowGateSettings.defaultMaximumKeys, hotReload: true,
        doc: "How many keys are remembered, about 60 bytes each; beyond it the one used longest ago is forgotten.")

    enum OnChange {
        static let fields = Field(
            "fields", .list(.nonEmptyString), .required, hotReload: true, doc: "Members of the row, also a.b.")
        static let key = Field(
            "key", .nonEmptyString, hotReload: true,
            doc: "Template over the row; default the event's topic, or its client where it has no topic.")
        static let all = FieldSet("on_change", [fields, key, maximumKeys])
    }

    enum Suppress {
        static let key = Field(
            "key", .nonEmptyString, hotReload: true, doc: "Template over the row; default all rows of the rule.")
        static let window = Field(
            "for", .duration(.milliseconds(1) ... .seconds(366 * 86_400)), .required, hotReload: true,
            doc: "How long after a row has passed no other of its key does.")
        static let all = FieldSet("suppress", [key, window, maximumKeys])
    }

    enum Throttle {
        static let key = Field(
            "key", .nonEmptyString, hotReload: true, doc: "Template over the row; default all rows of the rule.")
        static let rate = Field(
            "rate", .rate, .required, hotReload: true, doc: "Such as 10/s: up to 10 at once, 10 a second on average.")
        static let all = FieldSet("throttle", [key, rate, maximumKeys])
    }

    /// The rule's gate as its keys say it; nil when every row passes.
    static func gate(_ values: ConfigValues, extensions: Bool) -> RowGateSettings? {
        var settings = RowGateSettings()
        settings.extensions = extensions
        settings.sample = values[RuleFields.sample]
        switch values[RuleFields.onChange] {
        case .first(let object):
            var option = RowGateSettings.OnChange(fields: object[OnChange.fields], key: object[OnChange.key])
            option.maximumKeys = object[maximumKeys]
            settings.onChange = option
        case .second(let fields): settings.onChange = fields.isEmpty ? nil : .init(fields: fields)
        case nil: break
        }
        if let object = values[RuleFields.suppress] {
            var option = RowGateSettings.Suppress(
                key: object[Suppress.key], window: object[Suppress.window].wholeNanoseconds)
            option.maximumKeys = object[maximumKeys]
            settings.suppress = option
        }
        if let object = values[RuleFields.throttle], let rate = object[Throttle.rate].finite {
            var option = RowGateSettings.Throttle(
                key: object[Throttle.key], count: rate.count, per: rate.per.wholeNanoseconds)
            option.maximumKeys = object[maximumKeys]
            settings.throttle = option
        }
        return settings.isOpen ? nil : settings
    }

    /// The scalars that hold templates, and those that name members of the row.
    static func references(_ values: ConfigValues) -> (templates: [YAMLNode], members: [YAMLNode]) {
        var templates: [YAMLNode?] = [
            values[RuleFields.suppress]?.node(Suppress.key), values[RuleFields.throttle]?.node(Throttle.key),
        ]
        var members: YAMLNode?
        switch values[RuleFields.onChange] {
        case .first(let object):
            templates.append(object.node(OnChange.key))
            members = object.node(OnChange.fields)
        case .second: members = values.node(RuleFields.onChange)
        case nil: break
        }
        return (templates.compactMap { $0 }, members.map { $0.items ?? [$0] } ?? [])
    }
}

extension Duration {
    fileprivate var wholeNanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
