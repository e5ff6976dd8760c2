extension CompiledRule {
    /// The names of the members that a statement's rows have, for the check of templates.
    ///
    /// - Returns: nil where they depend on the event (`*`, FOREACH without DO) or the statement cannot be read.
    package static func outputs(ofSQL sql: String) -> Set<String>? {
        guard let statement = Parser.parse(sql).0 else { return nil }
        let fields: [Field]
        switch statement.body {
        case .select(let list): fields = list
        case .foreach(_, let each, _):
            guard let each else { return nil }
            fields = each
        }
        var names: Set<String> = []
        for field in fields {
            guard case .expression(let expression) = field.value else { return nil }
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
}
