/// A configuration key, declared once: reading, checking, environment variables and the reference docs all come from here.
///
/// ```swift
/// enum WebhookFields {
///     static let url = Field("url", .nonEmptyString, .required, doc: "scheme://host[:port][/base]")
///     static let poolSize = Field("pool_size", .int(1...1024), default: 8, doc: "connections per node")
///     static let proxy = Field("proxy", .string, doc: "http:// or socks5h:// proxy")      // Field<String?>
///     static let all = FieldSet("connectors.http", [url, poolSize, proxy])
/// }
/// let url = values[WebhookFields.url]          // String
/// ```
package struct Field<Value: Sendable>: ConfigField {
    package let name: String
    package let doc: String
    package let aliases: [String]
    package let isHotReloadable: Bool
    package let isRequired: Bool
    /// Why the key has no effect, nil when it has one.
    package let noEffect: String?
    package let expectation: String
    package let defaultText: String?
    package let nested: FieldSet?
    package let isSecret: Bool
    package let takesNull: Bool
    /// What an absent key means; nil for required ones.
    let fallback: Value?
    let readsWhenAbsent: Bool
    private let readNode: @Sendable (YAMLNode, inout ReadContext) -> (any Sendable)?

    package enum Required { case required }

    /// A key that must be there.
    package init(
        _ name: String, _ type: FieldType<Value>, _: Required, aliases: [String] = [], hotReload: Bool = false,
        doc: String
    ) {
        self.init(name, type, fallback: nil, shown: nil, aliases, hotReload, nil, true, false, doc)
    }

    /// A key with a default.
    package init(
        _ name: String, _ type: FieldType<Value>, default value: Value, aliases: [String] = [], hotReload: Bool = false,
        noEffect: String? = nil, doc: String
    ) {
        self.init(name, type, fallback: value, shown: type.show(value), aliases, hotReload, noEffect, false, false, doc)
    }

    /// A key that may be absent: nil then.
    package init<Wrapped: Sendable>(
        _ name: String, _ type: FieldType<Wrapped>, aliases: [String] = [], hotReload: Bool = false, doc: String
    ) where Value == Wrapped? {
        self.init(name, type, fallback: .some(nil), shown: nil, aliases, hotReload, nil, false, false, doc)
    }

    private init<Read: Sendable>(
        _ name: String, _ type: FieldType<Read>, fallback: Value?, shown: String?, _ aliases: [String],
        _ hotReload: Bool,
        _ noEffect: String?, _ isRequired: Bool, _ readsWhenAbsent: Bool, _ doc: String
    ) {
        self.name = name
        self.doc = doc
        self.aliases = aliases
        self.isHotReloadable = hotReload
        self.isRequired = isRequired
        self.noEffect = noEffect
        self.expectation = type.expectation
        self.defaultText = shown
        self.nested = type.nested
        self.isSecret = type.isSecret
        self.takesNull = type.takesNull
        self.fallback = fallback
        self.readsWhenAbsent = readsWhenAbsent
        readNode = { type.read($0, &$1) }
    }

    package func read(_ node: YAMLNode, _ context: inout ReadContext) -> (any Sendable)? {
        let before = context.problems.count
        let value = readNode(node, &context)
        if isSecret {
            for index in before..<context.problems.count { context.problems[index].showsSource = false }
        }
        if let noEffect, value != nil {
            context.report(node.problem(.noEffect, "\(context.pathText) has no effect: \(noEffect)", severity: .info))
        }
        return value
    }

    package func readAbsent(at owner: YAMLNode, _ context: inout ReadContext) -> (any Sendable)? {
        guard readsWhenAbsent else { return nil }
        var empty = owner
        empty.content = .mapping([])
        return readNode(empty, &context)
    }
}

extension Field where Value == ConfigValues {
    /// A mapping whose fields have their defaults when it is absent.
    package init(group name: String, _ fields: FieldSet, aliases: [String] = [], hotReload: Bool = false, doc: String) {
        self.init(name, .object(fields), fallback: nil, shown: nil, aliases, hotReload, nil, false, true, doc)
    }
}

/// A key of another broker whose feature does not exist here: only the value that means "off" is taken.
package struct UnsupportedField: ConfigField {
    package let name: String
    package let doc: String
    private let accepted: [String]

    /// - Parameter accepted: the texts that change nothing; empty mappings and lists never do.
    package init(_ name: String, accepts accepted: String..., doc: String = "") {
        self.name = name
        self.accepted = accepted
        self.doc = doc
    }

    package var aliases: [String] { [] }
    package var isHotReloadable: Bool { false }
    package var isRequired: Bool { false }
    package var noEffect: String? { "not supported yet" }
    package var expectation: String { accepted.isEmpty ? "nothing yet" : "only \(accepted.joined(separator: " or "))" }
    package var defaultText: String? { accepted.first }
    package var nested: FieldSet? { nil }
    package var isSecret: Bool { false }
    package var takesNull: Bool { false }

    package func read(_ node: YAMLNode, _ context: inout ReadContext) -> (any Sendable)? {
        switch node.content {
        case .scalar(let text) where accepted.contains(text): return text
        case .sequence(let items) where items.isEmpty: return ""
        case .mapping(let entries) where entries.isEmpty: return ""
        default: break
        }
        let only = accepted.isEmpty ? "leave it out" : "leave it out, or write \(accepted.joined(separator: " or "))"
        var problem = node.problem(.notSupported, "\(context.pathText) is not supported yet", hint: only)
        problem.length = node.markedLength
        context.report(problem)
        return nil
    }

    package func readAbsent(at owner: YAMLNode, _ context: inout ReadContext) -> (any Sendable)? { nil }
}
