package import ConfigSchema

/// What an object of rule files is called and hashes to, before references to variables and secrets are looked up: the same on
/// every node that has the same files.
package struct RuleIndexEntry: Sendable, Equatable {
    /// `rule:alert`, `action:http:alerts`, `connector:http:hooks`.
    package var id: String
    /// Over what it says with its defaults, without its tests. [FNV-1a]
    package var hash: UInt64
    package var file: String
    package var line: Int
}

package enum RuleIndex {
    /// The objects of files that are right, in their order.
    package static func entries(_ sources: [SourceFile]) -> [RuleIndexEntry] {
        let documents = RuleDocuments(sources)
        let variables = documents.variables.map { "\($0.name)=\($0.value.canonicalJSON)" }.sorted().joined(
            separator: "\n")
        return documents.objects.map { object in
            let (rest, _) = object.node.merged(over: documents.defaults[defaultsKey(object)]).removing("tests")
            let says = rest.canonicalJSON
            var text = "\(object.kind.rawValue)\n\(object.extensions)\n\(says)"
            if says.contains("${var:") { text += "\n\(variables)" }
            return RuleIndexEntry(
                id: id(object), hash: fnv(text), file: object.key.source.name, line: object.key.start.line)
        }
    }

    private static func defaultsKey(_ object: RawObject) -> String {
        switch object.kind {
        case .connector: "connectors.\(object.type)"
        case .action: "actions.\(object.type)"
        default: "rules"
        }
    }

    /// The short forms are named after the rules that they become.
    private static func id(_ object: RawObject) -> String {
        switch object.kind {
        case .connector: "connector:\(object.type):\(object.name)"
        case .action: "action:\(object.type):\(object.name)"
        case .rule: "rule:\(object.name)"
        case .webhook: "rule:\(object.name)\(RootSugar.suffix(.webhook))"
        case .archive: "rule:\(object.name)\(RootSugar.suffix(.archive))"
        }
    }

    private static func fnv(_ text: String) -> UInt64 {
        text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
}

/// Files that stand on their own, of which some objects count.
package struct RuleFileSet: Sendable {
    package var sources: [SourceFile]
    /// Ids as in ``RuleIndexEntry/id``.
    package var accepted: Set<String>

    package init(sources: [SourceFile], accepted: Set<String>) {
        self.sources = sources
        self.accepted = accepted
    }

    fileprivate func accepts(action: ActionDefinition) -> Bool {
        accepted.contains(action.owner.map { "rule:\($0)" } ?? "action:\(action.id)")
    }

    fileprivate func accepts(connector: ConnectorDefinition) -> Bool {
        accepts(name: connector.name, otherwise: "connector:\(connector.id)")
    }

    /// What stands inside a rule bears its name, `<rule>~<n>`.
    private func accepts(name: String, otherwise id: String) -> Bool {
        guard let tilde = name.firstIndex(of: "~") else { return accepted.contains(id) }
        return accepted.contains("rule:\(name[..<tilde])")
    }

    fileprivate func accepts(broken id: String) -> Bool {
        if id.hasPrefix("rule:") { return accepted.contains(id) }
        let name = String(id.split(separator: ":").last ?? "")
        return accepts(name: name, otherwise: id.hasPrefix("connector:") ? id : "action:\(id)")
    }
}

extension RuleFileLoader {
    /// Several sets of files at once: of each what counts. What is wrong with an object is in ``LoadedRules/broken``; the others
    /// can run.
    package static func load(_ sets: [RuleFileSet], _ options: LoadOptions) -> LoadedRules {
        var result = LoadedRules()
        for set in sets {
            let loaded = load(set.sources, options)
            result.definition.rules += loaded.definition.rules.filter { set.accepted.contains("rule:\($0.id)") }
            result.definition.actions += loaded.definition.actions.filter { set.accepts(action: $0) }
            result.definition.connectors += loaded.definition.connectors.filter { set.accepts(connector: $0) }
            for (id, problems) in loaded.broken where set.accepts(broken: id) { result.broken[id] = problems }
            result.problems += loaded.problems
            result.files += loaded.files
        }
        return result
    }
}
