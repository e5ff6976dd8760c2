import ConfigSchema

/// An object as the files write it, before it is read.
struct RawObject {
    enum Kind: String { case connector, action, rule, webhook, archive }

    var kind: Kind
    /// Empty for rules, webhooks and archives.
    var type: String
    var name: String
    var key: YAMLNode
    var node: YAMLNode
    /// Whether its file says `version: 1`.
    var extensions: Bool
    /// The rule an inline action stands in.
    var owner: String?
    /// What its text has wrong before it is read.
    var problems: [ConfigProblem] = []

    /// What `LoadedRules.broken` calls it.
    var id: String { kind == .rule ? "rule:\(name)" : "\(type):\(name)" }

    /// The keys to it, for messages.
    var path: [String] {
        switch kind {
        case .connector: ["connectors", type, name]
        case .action: owner == nil ? ["actions", type, name] : ["actions", name]
        case .rule: ["rules", name]
        case .webhook: ["webhooks", name]
        case .archive: ["archive", name]
        }
    }
}

/// The roots of all documents of all files in one name space.
struct RuleDocuments {
    private(set) var objects: [RawObject] = []
    private(set) var variables: [YAMLEntry] = []
    /// `connectors.<type>`, `actions.<type>` and `rules` to what is merged under each of these.
    private(set) var defaults: [String: YAMLNode] = [:]
    private(set) var testDefaults: YAMLNode?
    private(set) var problems: [ConfigProblem] = []
    private var taken: [String: YAMLNode] = [:]

    private static let roots = [
        "version", "vars", "defaults", "connectors", "actions", "sinks", "rules", "rule_engine", "webhooks", "archive",
        "test_defaults",
    ]

    init(_ sources: [SourceFile]) {
        for source in sources { add(source) }
    }

    private mutating func add(_ source: SourceFile) {
        let parsed = YAMLParser.parse(source)
        problems += parsed.problems
        let extensions = parsed.documents.contains { $0["version"]?.scalar == .int(1) }
        for document in parsed.documents where !document.isNull {
            guard let entries = document.entries else {
                problems.append(document.problem(.wrongType, "a rule file is a mapping of roots such as \"rules\""))
                continue
            }
            for entry in entries { add(entry, extensions) }
        }
    }

    private mutating func add(_ entry: YAMLEntry, _ extensions: Bool) {
        switch entry.name {
        case "version":
            if entry.value.scalar != .int(1) {
                problems.append(entry.value.problem(.badValue, "the only version of the format is 1"))
            }
        case "vars": addVariables(entry.value)
        case "defaults": addDefaults(entry.value)
        case "test_defaults": addTestDefaults(entry)
        case "connectors": addTyped(.connector, entry.value, extensions)
        case "actions", "sinks": addTyped(.action, entry.value, extensions)
        case "rules": addNamed(.rule, entry.value, extensions)
        case "rule_engine": addRuleEngine(entry.value, extensions)
        case "webhooks": addNamed(.webhook, entry.value, extensions)
        case "archive": addNamed(.archive, entry.value, extensions)
        case "compat":
            problems.append(entry.key.problem(.notSupported, "compat is not supported yet", hint: "leave it out"))
        case let name where name.hasPrefix("x-"): break
        case let name: unknown(entry.key, name, "the rule file", Self.roots)
        }
    }

    private mutating func unknown(_ key: YAMLNode, _ name: String, _ place: String, _ names: [String]) {
        let hint = didYouMean(name, names).map { "did you mean \"\($0)\"?" }
        problems.append(key.problem(.unknownKey, "unknown key \"\(name)\" in \(place)", hint: hint))
    }

    private mutating func entries(_ node: YAMLNode, _ place: String) -> [YAMLEntry] {
        if node.isNull { return [] }
        guard let entries = node.entries else {
            problems.append(node.problem(.wrongType, "\(place) takes a mapping, not \(node.kindInWords)"))
            return []
        }
        return entries.filter { !$0.name.hasPrefix("x-") }
    }

    /// False after a report that the name is taken.
    private mutating func take(_ id: String, _ key: YAMLNode, _ what: String) -> Bool {
        if let first = taken[id] {
            problems.append(
                key.problem(
                    .conflict, "\(what) is defined already", hint: "first at \(first.source.name):\(first.start)"))
            return false
        }
        taken[id] = key
        return true
    }

    // MARK: Roots

    private mutating func addVariables(_ node: YAMLNode) {
        for entry in entries(node, "vars") where take("vars.\(entry.name)", entry.key, "the variable \"\(entry.name)\"")
        {
            if entry.value.kind == .scalar {
                variables.append(entry)
            } else {
                problems.append(
                    entry.value.problem(.wrongType, "a variable is a text or a number, not \(entry.value.kindInWords)"))
            }
        }
    }

    private mutating func addDefaults(_ node: YAMLNode) {
        for entry in entries(node, "defaults") {
            switch entry.name {
            case "rules": addDefault("rules", entry)
            case "connectors", "actions", "sinks":
                let root = entry.name == "sinks" ? "actions" : entry.name
                for typed in entries(entry.value, "defaults.\(entry.name)") {
                    guard let type = SinkType.named(typed.name) else {
                        unknown(typed.key, typed.name, "defaults.\(entry.name)", SinkType.names)
                        continue
                    }
                    addDefault("\(root).\(type.name)", typed)
                }
            default: unknown(entry.key, entry.name, "defaults", ["rules", "connectors", "actions"])
            }
        }
    }

    private mutating func addDefault(_ id: String, _ entry: YAMLEntry) {
        guard take("defaults.\(id)", entry.key, "defaults.\(id)") else { return }
        if entry.value.kind == .mapping {
            defaults[id] = entry.value
        } else if !entry.value.isNull {
            problems.append(
                entry.value.problem(.wrongType, "defaults.\(id) takes a mapping, not \(entry.value.kindInWords)"))
        }
    }

    private mutating func addTestDefaults(_ entry: YAMLEntry) {
        guard take("test_defaults", entry.key, "test_defaults") else { return }
        testDefaults = entry.value
    }

    private mutating func addRuleEngine(_ node: YAMLNode, _ extensions: Bool) {
        for entry in entries(node, "rule_engine") {
            if entry.name == "rules" {
                addNamed(.rule, entry.value, extensions)
            } else {
                unknown(entry.key, entry.name, "rule_engine", ["rules"])
            }
        }
    }

    private mutating func addTyped(_ kind: RawObject.Kind, _ node: YAMLNode, _ extensions: Bool) {
        let root = kind == .connector ? "connectors" : "actions"
        for typed in entries(node, root) {
            guard let type = SinkType.named(typed.name) else {
                unknown(typed.key, typed.name, root, SinkType.names)
                continue
            }
            if kind == .connector, type.connector == nil {
                problems.append(typed.key.problem(.unknownKey, "the type \"\(typed.name)\" has no connectors"))
                continue
            }
            for entry in entries(typed.value, "\(root).\(typed.name)") { add(kind, type.name, entry, extensions) }
        }
    }

    private mutating func addNamed(_ kind: RawObject.Kind, _ node: YAMLNode, _ extensions: Bool) {
        let root = kind == .rule ? "rules" : kind == .webhook ? "webhooks" : "archive"
        for entry in entries(node, root) { add(kind, "", entry, extensions) }
    }

    private mutating func add(_ kind: RawObject.Kind, _ type: String, _ entry: YAMLEntry, _ extensions: Bool) {
        let what = "the \(kind.rawValue) \"\(type.isEmpty ? "" : type + ":")\(entry.name)\""
        guard take("\(kind.rawValue).\(type).\(entry.name)", entry.key, what) else { return }
        guard Self.isName(entry.name) else {
            problems.append(
                entry.key.problem(
                    .badValue, "\"\(entry.name)\" is no name", hint: "letters, digits, - and _, a letter or digit first"
                ))
            return
        }
        objects.append(
            RawObject(
                kind: kind, type: type, name: entry.name, key: entry.key, node: entry.value, extensions: extensions,
                owner: nil))
    }

    /// `^[A-Za-z0-9][A-Za-z0-9-_]*$`, as in EMQX.
    static func isName(_ name: String) -> Bool {
        guard let first = name.utf8.first, isAlphanumeric(first), name.utf8.count <= 255 else { return false }
        return name.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
    }
}
