/// Lays variables such as `SLUICE_NODE__NAME` over a configuration tree: `__` parts the keys, the value is YAML.
package enum EnvironmentOverrides {
    package static let prefix = "SLUICE_"

    /// The tree with every `SLUICE_…` variable in it. A key of the file that differs only in case, or in `-` for `_`, is
    /// the one meant, so that `listeners.tcp.my-name` can be reached.
    package static func apply(_ variables: [String: String], to root: YAMLNode) -> YAMLNode {
        var root = root
        for (name, value) in variables.sorted(by: { $0.key < $1.key }) where name.hasPrefix(prefix) {
            let source = SourceFile(name: name, text: value, isVariable: true)
            let path = name.dropFirst(prefix.count).lowercased().split(separator: "_", omittingEmptySubsequences: false)
            set(&root, keys(path)[...], self.value(source, value), source)
        }
        return root
    }

    /// Joins what single underscores parted: `max__conn_rate` is `max`, `conn_rate`.
    private static func keys(_ parts: [Substring]) -> [String] {
        var keys: [String] = [""]
        var index = 0
        while index < parts.count {
            if index > 0, parts[index].isEmpty, index + 1 < parts.count {
                index += 1
                keys.append(String(parts[index]))
            } else {
                keys[keys.count - 1] += (index == 0 ? "" : "_") + parts[index]
            }
            index += 1
        }
        return keys
    }

    /// YAML where the text is YAML; a text that YAML would cut or refuse (`a #b`, `[::1]:1883`) is taken as it stands.
    private static func value(_ source: SourceFile, _ text: String) -> YAMLNode {
        let start = SourcePosition(line: 1, column: 1)
        let plain = YAMLNode(
            .scalar(text), style: .plain, source: source, start: start,
            end: SourcePosition(line: 1, column: text.unicodeScalars.count + 1))
        let parsed = YAMLParser.parse(source)
        guard parsed.problems.isEmpty, parsed.documents.count == 1 else { return plain }
        let node = parsed.documents[0]
        return node.kind == .scalar && node.style == .plain && node.text != text ? plain : node
    }

    private static func set(_ node: inout YAMLNode, _ keys: ArraySlice<String>, _ value: YAMLNode, _ source: SourceFile)
    {
        guard let name = keys.first else {
            node = value
            return
        }
        var entries = node.entries ?? []
        if let index = entries.firstIndex(where: { $0.name.lowercased().replacing("-", with: "_") == name }) {
            set(&entries[index].value, keys.dropFirst(), value, source)
        } else {
            let place = SourcePosition(line: 1, column: 1)
            func made(_ content: YAMLNode.Content) -> YAMLNode {
                YAMLNode(content, style: .plain, source: source, start: place, end: place)
            }
            var child = made(.mapping([]))
            set(&child, keys.dropFirst(), value, source)
            entries.append(YAMLEntry(key: made(.scalar(name)), value: child))
        }
        node.content = .mapping(entries)
    }

    /// The problem of a variable that names no key; `near` is the key it may mean.
    static func unknownVariable(_ entry: YAMLEntry, _ near: String?) -> ConfigProblem {
        let variable = entry.key.source.name
        let hint = near.map { near in
            "did you mean \(variable.replacing(entry.name.uppercased(), with: near.uppercased().replacing(".", with: "__"), maxReplacements: 1))?"
        }
        return ConfigProblem(
            .unknownKey, "the variable \(variable) names no configuration key", hint: hint, in: entry.key.source,
            at: entry.key.start, showsSource: false)
    }
}
