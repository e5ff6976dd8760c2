/// Collects the entries of one mapping: keys are unique scalars, `<<` adds what is not there. [YAML merge key]
struct YAMLMappingBuilder {
    private var entries: [YAMLEntry] = []
    private var places: [String: SourcePosition] = [:]
    private var merges: [YAMLEntry] = []
    private(set) var problems: [ConfigProblem] = []

    mutating func add(_ key: YAMLNode, _ value: YAMLNode) {
        guard let name = key.text else {
            problems.append(key.problem(.wrongType, "a key must be a text, not \(key.kindInWords)"))
            return
        }
        let names: [YAMLNode]? = name == "<<" && key.style == .plain ? value.items ?? [value] : nil
        if let names {
            for node in names {
                guard let merged = node.entries else {
                    problems.append(node.problem(.wrongType, "\"<<\" merges mappings, not \(node.kindInWords)"))
                    continue
                }
                merges += merged
            }
            return
        }
        if let first = places[name] {
            problems.append(
                key.problem(.duplicateKey, "the key \"\(name)\" stands twice", hint: "first at line \(first.line)"))
            return
        }
        places[name] = key.start
        entries.append(YAMLEntry(key: key, value: value))
    }

    /// The mapping's own entries in their order, then the merged ones; of these the first wins.
    mutating func finish() -> [YAMLEntry] {
        for entry in merges where places[entry.name] == nil {
            places[entry.name] = entry.key.start
            entries.append(entry)
        }
        return entries
    }
}
