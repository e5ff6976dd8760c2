extension CompiledRule {
    /// The names of the members that a statement's rows can have, for the check of templates.
    ///
    /// - Returns: nil where the statement cannot be read, or `*` copies the columns of an event that nobody knows.
    package static func outputs(ofSQL sql: String) -> Set<String>? {
        guard let statement = Parser.parse(sql).0 else { return nil }
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
