import ConfigSchema

extension YAMLNode {
    /// The mapping with what `defaults` has and it has not, through all levels; its own values win.
    func merged(over defaults: YAMLNode?) -> YAMLNode {
        guard let defaults, let base = defaults.entries, let own = entries else { return self }
        var result = self
        var merged = own.map { entry in
            YAMLEntry(key: entry.key, value: entry.value.merged(over: defaults[entry.name]))
        }
        for entry in base where self[entry.name] == nil && !entry.name.hasPrefix("x-") { merged.append(entry) }
        result.content = .mapping(merged)
        return result
    }

    /// The mapping without a key, and that key's value.
    func removing(_ key: String) -> (rest: YAMLNode, removed: YAMLNode?) {
        guard let entries, let removed = self[key] else { return (self, nil) }
        var rest = self
        rest.content = .mapping(entries.filter { $0.name != key })
        return (rest, removed)
    }

    /// The mapping with one more key.
    func adding(_ key: String, _ value: YAMLNode) -> YAMLNode {
        var result = self
        result.content = .mapping((entries ?? []) + [YAMLEntry(key: made(.scalar(key)), value: value)])
        return result
    }

    /// A node of another content at the place of this one.
    func made(_ content: Content, style: Style = .plain) -> YAMLNode {
        YAMLNode(content, style: style, source: source, start: start, end: end)
    }
}
