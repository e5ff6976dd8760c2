extension CompiledRule {
    /// The names of the members that a statement's rows can have, for the check of templates.
    ///
    /// - Returns: nil where the statement cannot be read, or `*` copies the columns of an event that nobody knows.
    package static func outputs(ofSQL sql: String) -> Set<String>? {
        let parsed = Parser.parse(sql)
        guard parsed.isValid, let statement = parsed.statement else { return nil }
        switch statement.body {
        case .select(let fields): return outputs(of: fields, statement)
        case .foreach(let fields, let each, _):
            if let each { return outputs(of: each, statement) }
            // The columns, and what FOREACH itself has named.
            guard let columns = columns(statement), var names = outputs(of: fields, statement) else { return nil }
            names.insert(fields.last?.alias?.name ?? "item")
            return names.union(columns)
        }
    }

    private static func outputs(of fields: [Field], _ statement: Statement) -> Set<String>? {
        var names: Set<String> = []
        for field in fields {
            guard case .expression(let expression) = field.value else {
                guard let columns = columns(statement) else { return nil }
                names.formUnion(columns)
                continue
            }
            if let alias = field.alias {
                names.insert(alias.name)
                continue
            }
            switch expression.kind {
            case .reference(let reference), .rangeOf(let reference, _, _): names.insert(reference.name)
            case .literal(.string(let bytes)): names.insert(String(decoding: bytes, as: UTF8.self))
            default: continue
            }
        }
        return names
    }

    /// What `*` copies, over all events that FROM names.
    private static func columns(_ statement: Statement) -> Set<String>? {
        let topics = statement.topics.flatMap { RuleTopic.resolve($0).topics }
        guard !topics.isEmpty else { return nil }
        var names: Set<String> = ["metadata"]
        for topic in topics {
            if case .event(let event) = topic {
                names.formUnion(event.columns)
            } else {
                names.formUnion(EventName.messagePublish.columns)
            }
        }
        return names
    }
}

extension CompiledRule {
    /// What is known of an output's type without an event.
    package enum OutputKind: Sendable {
        case text
        /// A number or a boolean.
        case scalar
        case unknown
    }

    /// The types of a statement's outputs by name, as far as the statement tells.
    package static func outputKinds(ofSQL sql: String) -> [String: OutputKind] {
        let parsed = Parser.parse(sql)
        guard parsed.isValid, let statement = parsed.statement else { return [:] }
        var kinds: [String: OutputKind] = [:]
        let fields: [Field]
        switch statement.body {
        case .select(let list): fields = list
        case .foreach(let list, let each, _): fields = each ?? list.dropLast()
        }
        for field in fields {
            guard case .expression(let value) = field.value else {
                for name in textColumns { kinds[name] = .text }
                for name in scalarColumns { kinds[name] = .scalar }
                continue
            }
            if let alias = field.alias {
                kinds[alias.name] = alias.steps.isEmpty ? kind(value, kinds) : .unknown
            } else if case .reference(let reference) = value.kind {
                kinds[reference.name] = reference.steps.isEmpty ? kind(value, kinds) : .unknown
            }
        }
        return kinds
    }

    private static let textColumns = [
        "event", "node", "id", "clientid", "topic", "peerhost", "peername", "sockname", "proto_name", "from_clientid",
        "reason", "action",
    ]
    private static let scalarColumns = ["timestamp", "qos", "publish_received_at", "connected_at", "disconnected_at"]

    private static func kind(_ value: Expression, _ kinds: [String: OutputKind]) -> OutputKind {
        switch value.kind {
        case .literal(.string): return .text
        case .literal, .negate, .comparison: return .scalar
        case .reference(let reference) where reference.steps.isEmpty:
            if let known = kinds[reference.name] { return known }
            return textColumns.contains(reference.name)
                ? .text : scalarColumns.contains(reference.name) ? .scalar : .unknown
        case .arithmetic(let operation, let left, let right):
            guard operation == .add else { return .scalar }
            let both = [kind(left, kinds), kind(right, kinds)]
            return both.contains(.text) ? .text : both.contains(.unknown) ? .unknown : .scalar
        case .call(let name, _, _):
            switch FunctionTable.entry(named: Checker.functionName(name))?.returns {
            case .string?: return .text
            case .number?, .integer?, .float?, .boolean?: return .scalar
            default: return .unknown
            }
        case .choice(_, let branches, let otherwise):
            let all = Set(branches.map { kind($0.then, kinds) } + (otherwise.map { [kind($0, kinds)] } ?? [.unknown]))
            return all.count == 1 ? all.first ?? .unknown : .unknown
        default: return .unknown
        }
    }
}

extension CompiledRule {
    /// Whether the output `topic` is the event's column as it is.
    package static func selectsTopic(ofSQL sql: String) -> Bool {
        let parsed = Parser.parse(sql)
        guard parsed.isValid, let statement = parsed.statement else { return false }
        let fields: [Field]
        switch statement.body {
        case .select(let list): fields = list
        case .foreach(_, let each, _):
            guard let each else { return true }
            fields = each
        }
        var isColumn = false
        for field in fields {
            guard case .expression(let value) = field.value else {
                isColumn = true
                continue
            }
            let isReference =
                if case .reference(let one) = value.kind { one.name == "topic" && one.steps.isEmpty } else { false }
            if let alias = field.alias {
                if alias.name == "topic" { isColumn = isReference && alias.steps.isEmpty }
            } else if isReference {
                isColumn = true
            }
        }
        return isColumn
    }
}
