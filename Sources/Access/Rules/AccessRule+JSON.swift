import ConfigSchema

extension AccessRule {
    private static let keys: Set<String> = [
        "permission", "who", "action", "topic", "topics", "qos", "retain", "username", "username_re", "clientid",
        "clientid_re", "ipaddr", "ipaddrs", "and", "or",
    ]

    /// A rule as YAML and JSON write it:
    ///
    /// ```
    /// {permission: allow, who: {username: app}, action: publish, qos: [0, 1], retain: false, topics: ["a/${clientid}/#"]}
    /// ```
    ///
    /// `username`, `clientid`, `ipaddr` and their like may also stand in the rule itself. [EMQX authz rule]
    /// - Throws: what is wrong with it; a key that is not known might have been a condition.
    package init(_ json: JSONText) throws(AccessRuleError) {
        guard let members = json.members else { throw AccessRuleError("a rule is a mapping with \"permission\"") }
        if let unknown = members.keys.sorted().first(where: { !Self.keys.contains($0) && !$0.hasPrefix("x-") }) {
            throw AccessRuleError("unknown key \"\(unknown)\"")
        }
        guard let permission = members["permission"]?.string.flatMap(Permission.init) else {
            throw AccessRuleError("\"permission\" takes allow or deny")
        }
        self.permission = permission
        action = try Self.action(members["action"])
        qos = try Self.qos(members["qos"])
        retain = try Self.retain(members["retain"])
        topics = try Self.topics(members["topics"], members["topic"])
        var conditions = try Self.conditions(members.filter { $0.key != "who" })
        if let who = members["who"] { conditions.append(try Self.who(who)) }
        who = conditions.isEmpty ? .all : conditions.count == 1 ? conditions[0] : .and(conditions)
    }

    private static func action(_ json: JSONText?) throws(AccessRuleError) -> AccessAction? {
        switch json?.string {
        case nil where json == nil: return nil
        case "all", "pubsub": return nil
        case let text?:
            if let action = AccessAction(rawValue: text) { return action }
        case nil: break
        }
        throw AccessRuleError("\"action\" takes publish, subscribe or all")
    }

    private static func qos(_ json: JSONText?) throws(AccessRuleError) -> UInt8 {
        guard let json else { return 7 }
        var levels: [JSONText] = json.items ?? [json]
        if let text = json.string { levels = text.split(separator: ",").map { .text(String($0)) } }
        var mask: UInt8 = 0
        for level in levels {
            let trimmed = level.string.flatMap { Int64($0.filter { $0 != " " }) }
            guard let number = level.seconds ?? trimmed, (0...2).contains(number) else {
                throw AccessRuleError("\"qos\" takes 0, 1, 2 or a list of them")
            }
            mask |= 1 << UInt8(number)
        }
        guard mask != 0 else { throw AccessRuleError("\"qos\" is an empty list") }
        return mask
    }

    private static func retain(_ json: JSONText?) throws(AccessRuleError) -> Bool? {
        switch json {
        case nil, .text("all"): return nil
        case .bool(let value): return value
        case .text("true"), .integer(1): return true
        case .text("false"), .integer(0): return false
        default: throw AccessRuleError("\"retain\" takes true, false or all")
        }
    }

    private static func topics(_ many: JSONText?, _ one: JSONText?) throws(AccessRuleError) -> [TopicPattern] {
        guard many == nil || one == nil else { throw AccessRuleError("\"topic\" and \"topics\" stand there both") }
        guard let json = many ?? one else { return [] }
        if json == .text("all") { return [] }
        let items = json.items ?? [json]
        guard !items.isEmpty else { throw AccessRuleError("\"topics\" is an empty list; leave it out for all topics") }
        var patterns: [TopicPattern] = []
        for item in items {
            if let text = item.string {
                patterns.append(try TopicPattern(text))
            } else if let text = item["eq"]?.string {
                patterns.append(try TopicPattern("eq \(text)"))
            } else {
                throw AccessRuleError("a topic is a text, or {eq: text}")
            }
        }
        return patterns
    }

    private static func who(_ json: JSONText) throws(AccessRuleError) -> Who {
        if json == .text("all") { return .all }
        guard let members = json.members, !members.isEmpty else {
            throw AccessRuleError("\"who\" takes all, or a mapping such as {username: app}")
        }
        let known: Set<String> = [
            "username", "user", "username_re", "clientid", "client", "clientid_re", "ipaddr", "ipaddrs", "and", "or",
        ]
        if let unknown = members.keys.sorted().first(where: { !known.contains($0) }) {
            throw AccessRuleError("unknown key \"\(unknown)\" in \"who\"")
        }
        let parts = try conditions(members)
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private static func conditions(_ members: [String: JSONText]) throws(AccessRuleError) -> [Who] {
        var parts: [Who] = []
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            switch key {
            case "username", "user": parts.append(try named(key, value, { .username($0) }, { .usernameMatches($0) }))
            case "clientid", "client": parts.append(try named(key, value, { .clientID($0) }, { .clientIDMatches($0) }))
            case "username_re": parts.append(.usernameMatches(try AccessPattern(try text(key, value))))
            case "clientid_re": parts.append(.clientIDMatches(try AccessPattern(try text(key, value))))
            case "ipaddr", "ipaddrs":
                var ranges: [AddressRange] = []
                for item in value.items ?? [value] { ranges.append(try AddressRange(rule: try text(key, item))) }
                parts.append(.addresses(ranges))
            case "and", "or":
                guard let items = value.items, !items.isEmpty else {
                    throw AccessRuleError("\"\(key)\" takes a list")
                }
                var inner: [Who] = []
                for item in items { inner.append(try who(item)) }
                parts.append(key == "and" ? .and(inner) : .or(inner))
            default: continue
            }
        }
        return parts
    }

    /// `{username: x}`, or `{username: {re: ^x}}`.
    private static func named(
        _ key: String, _ value: JSONText, _ equal: (String) -> Who, _ matches: (AccessPattern) -> Who
    ) throws(AccessRuleError) -> Who {
        if let pattern = value["re"] { return matches(try AccessPattern(try text(key, pattern))) }
        return equal(try text(key, value))
    }

    private static func text(_ key: String, _ value: JSONText) throws(AccessRuleError) -> String {
        switch value {
        case .text(let text): return text
        case .integer(let number): return "\(number)"
        default: throw AccessRuleError("\"\(key)\" takes a text")
        }
    }
}

extension AccessRules {
    /// A list of rules; what is wrong names the rule by its number, from 1.
    package init(_ json: JSONText) throws(AccessRuleError) {
        guard let items = json.items else { throw AccessRuleError("rules are a list") }
        var rules: [AccessRule] = []
        for (index, item) in items.enumerated() {
            do throws(AccessRuleError) { rules.append(try AccessRule(item)) } catch {
                throw AccessRuleError("rule \(index + 1): \(error)")
            }
        }
        self.init(rules)
    }

    /// The `acl` of a token or of an HTTP service: a list of rules, or `{pub: […], sub: […], all: […]}`, which denies what
    /// it does not name. [EMQX jwt: acl]
    package init(claim json: JSONText) throws(AccessRuleError) {
        guard let members = json.members else {
            try self.init(json)
            return
        }
        var rules: [AccessRule] = []
        for (key, action) in [("pub", "publish"), ("sub", "subscribe"), ("all", "all")] {
            guard let topics = members[key] else { continue }
            guard topics.items != [] else { continue }
            rules.append(
                try AccessRule(
                    .object(["permission": .text("allow"), "action": .text(action), "topics": topics])))
        }
        if let unknown = members.keys.sorted().first(where: { !["pub", "sub", "all"].contains($0) }) {
            throw AccessRuleError("unknown key \"\(unknown)\"")
        }
        rules.append(try AccessRule(.object(["permission": .text("deny")])))
        self.init(rules)
    }
}
