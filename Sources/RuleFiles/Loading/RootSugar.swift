import ConfigSchema

/// Turns `webhooks.<name>` and `archive.<name>` into a rule with an inline action.
enum RootSugar {
    private static let trigger = Field(
        "trigger", .list(.nonEmptyString), default: ["#"], aliases: ["topics"],
        doc: "Topic filters and `$events/…`; `all` is every message.")
    private static let enable = Field("enable", .bool, default: true, doc: "Whether it works.")
    private static let description = Field("description", .string, default: "", doc: "Shown in the UI.")
    private static let own = ["trigger", "topics", "enable", "description"]

    /// - Returns: the rule; its id is that of EMQX's dashboard for webhooks. Nil after a report.
    static func rule(_ object: RawObject, _ context: inout ReadContext) -> RawObject? {
        guard let entries = object.node.entries else {
            context.reportWrongType(object.node, "a mapping")
            return nil
        }
        let head = object.node.made(.mapping(entries.filter { own.contains($0.name) }), style: .block)
        let fields = FieldSet(object.kind == .webhook ? "webhooks" : "archive", [trigger, enable, description])
        guard let values = fields.read(head, &context) else { return nil }
        var rest = object.node
        rest.content = .mapping(entries.filter { !own.contains($0.name) })
        let action = object.node.made(.mapping([])).adding(object.kind == .webhook ? "webhook" : "file", rest)
        var rule = object.node.made(.mapping([]), style: .block)
        let place = values.node(trigger) ?? object.key
        rule = rule.adding("sql", place.made(.scalar(sql(values[trigger])), style: .folded))
        rule = rule.adding("actions", place.made(.sequence([action])))
        for field in ["enable", "description"] {
            if let value = object.node[field] { rule = rule.adding(field, value) }
        }
        return RawObject(
            kind: .rule, type: "", name: object.name + suffix(object.kind), key: object.key,
            node: rule, extensions: object.extensions, owner: nil)
    }

    /// What the rule's name has behind that of the short form.
    static func suffix(_ kind: RawObject.Kind) -> String { kind == .webhook ? "_WH_D" : "_AR_D" }

    private static func sql(_ topics: [String]) -> String {
        let from = topics.map { "\"\($0 == "all" ? "#" : $0.replacing("\"", with: ""))\"" }
        return "SELECT * FROM \(from.joined(separator: ", "))"
    }
}
