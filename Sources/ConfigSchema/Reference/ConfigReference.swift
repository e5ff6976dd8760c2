/// The reference page of the configuration, made of the declared fields: docs/reference/config.md.
package enum ConfigReference {
    /// A key as the page shows it.
    package struct Row: Sendable {
        /// From the root: `listeners.tcp.<name>.bind`, `rewrite[].re`.
        package let path: String
        package let field: any ConfigField
    }

    /// A heading and the keys below it.
    package struct Section: Sendable {
        package let title: String
        package let doc: String
        package let rows: [Row]
    }

    /// One for each root, and one for each kind of listener, authenticator and source.
    package static let sections: [Section] = BrokerFields.all.fields.filter { !($0 is UnsupportedField) }.flatMap {
        root -> [Section] in
        let kinds = variants.filter { $0.path == root.name || $0.path.hasPrefix(root.name + ".") }
        let kindSections = kinds.map { kind in
            Section(title: "\(kind.path): \(kind.title)", doc: "", rows: rows(kind.set, below: kind.path + "[]"))
        }
        if root.name == "listeners" {
            return [Section(title: root.name, doc: root.doc, rows: [])]
                + (root.nested?.fields ?? []).filter { !($0 is UnsupportedField) }.map { kind in
                    Section(title: "listeners.\(kind.name)", doc: kind.doc, rows: rows(kind, below: "listeners"))
                }
        }
        return [Section(title: root.name, doc: root.doc, rows: rows(root, below: ""))] + kindSections
    }

    /// EMQX's other features, whose roots are answered with "not supported yet".
    package static let unsupportedRoots = BrokerFields.all.fields.filter { $0 is UnsupportedField }.map(\.name)

    /// The sets of keys among which a value in the entry decides.
    private static let variants: [(path: String, title: String, set: FieldSet)] =
        BrokerFields.Authentication.kinds.map { kind in
            ("authentication", [kind.mechanism, kind.backend].compactMap { $0 }.joined(separator: ", "), kind.set)
        } + [
            ("authorization.sources", "file", BrokerFields.Authorization.file),
            ("authorization.sources", "built_in_database", BrokerFields.Authorization.builtIn),
            ("authorization.sources", "http", BrokerFields.Authorization.http),
        ]

    private static func rows(_ set: FieldSet, below path: String) -> [Row] {
        set.fields.flatMap { rows($0, below: path) }
    }

    private static func rows(_ field: any ConfigField, below path: String) -> [Row] {
        let own = path.isEmpty ? field.name : "\(path).\(field.name)"
        guard let nested = field.nested else { return [Row(path: own, field: field)] }
        // A group is its keys; a list or a mapping of names is a key as well.
        let isMap = field.expectation.hasPrefix("a mapping of names")
        let isList = field.expectation.hasPrefix("a list")
        let inside = rows(nested, below: isMap ? own + ".<name>" : isList ? own + "[]" : own)
        return (isMap || isList ? [Row(path: own, field: field)] : []) + inside
    }
}

extension ConfigReference {
    /// Where a key is not EMQX's own under that very path: EMQX's name for it, nil where EMQX has none. By the path, or by
    /// its end behind a list or a listener's name.
    package static let emqxNames: [String: String?] = [
        "node.shards": nil, "durability": "durable_sessions.enable", "shutdown.drain_timeout": nil,
        "rules.paths": nil, "rules.tests_on_load": nil,
        "log.level": "log.console.level", "log.format": "log.console.formatter",
        "allow_anonymous": nil, "<name>.allow_anonymous": nil, "<name>.transport": nil,
        "<name>.proxy_trusted_addresses": nil, "ssl_options.crlfile": nil, "sni_hosts": nil,
        "sni_hosts.<name>.certfile": nil, "sni_hosts.<name>.keyfile": nil, "sni_hosts.<name>.password": nil,
        "mqtt.max_mqueue_bytes": nil, "delayed.max_delayed_bytes": nil,
        "retainer.max_retained_messages": "retainer.backend.max_retained_messages",
        "authentication[].path": nil, "password_hash_algorithm.rounds": nil, "password_hash_algorithm.block_size": nil,
        "password_hash_algorithm.parallelism": nil, "sources[].rules": nil,
    ]

    /// `same`, another name, or `—` for a key that EMQX does not have.
    package static func emqxName(of path: String) -> String {
        let known = emqxNames.first { path == $0.key || path.hasSuffix("." + $0.key) }
        guard let known else { return "same" }
        return known.value.map { "`\($0)`" } ?? "—"
    }

    package static func markdown() -> String {
        var page = """
            # Configuration keys

            Made by `make config-page` from the fields that the broker reads; do not edit. Every key can also be set by a
            variable: `SLUICE_` and its path in capitals with `__` between the parts. Values take `${env:NAME}` and
            `${file:/path}`. The last column is EMQX 5's name of the key.


            """
        for section in sections {
            page += "\(section.title.contains(".") || section.title.contains(":") ? "###" : "##") \(section.title)\n\n"
            if !section.doc.isEmpty { page += section.doc + "\n\n" }
            let rows = section.rows.filter { !($0.field is UnsupportedField) }
            if !rows.isEmpty {
                page += "| key | takes | default | what it is | EMQX |\n| --- | --- | --- | --- | --- |\n"
                for row in rows { page += line(row) }
                page += "\n"
            }
            let others = section.rows.filter { $0.field is UnsupportedField }
            if !others.isEmpty {
                page += "Not supported yet, and accepted where it changes nothing: "
                page += others.map { "`\($0.path)`" }.joined(separator: ", ") + ".\n\n"
            }
        }
        page += "## Other roots of EMQX\n\nNot supported yet: "
        return page + unsupportedRoots.map { "`\($0)`" }.joined(separator: ", ") + ".\n"
    }

    private static func line(_ row: Row) -> String {
        let field = row.field
        var doc = field.doc
        if !field.aliases.isEmpty {
            doc += " Also named \(field.aliases.map { "`\($0)`" }.joined(separator: ", "))."
        }
        if let noEffect = field.noEffect { doc += " No effect: \(noEffect)." }
        let shown = field.isRequired ? "required" : field.defaultText.map { "`\($0.isEmpty ? "\"\"" : $0)`" } ?? "none"
        let cells = ["`\(row.path)`", field.expectation, shown, doc, emqxName(of: row.path)]
        return "| " + cells.map { $0.replacing("|", with: "\\|") }.joined(separator: " | ") + " |\n"
    }
}
