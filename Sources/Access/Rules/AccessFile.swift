package import ConfigSchema

/// An access list as a file: `rules:` with one rule an entry.
package enum AccessFile {
    /// - Throws: when it is not there, is empty, or has a rule that can't be understood: an access list that says nothing
    ///   is a mistake, not an open door. [CVE-2018-12550]
    package static func read(_ path: String) throws(AccessFailure) -> AccessRules {
        guard let bytes = try SecretFile.read(path) else { throw AccessFailure("the access list \(path) is not there") }
        let parsed = YAMLParser.parse(SourceFile(name: path, bytes: bytes))
        if let problem = parsed.problems.first(where: { $0.severity == .error }) {
            throw AccessFailure("the access list: \(problem.headline)")
        }
        guard parsed.documents.count == 1, let root = parsed.documents.first,
            let list = root.items == nil ? root["rules"] : root
        else { throw AccessFailure("the access list \(path) has no \"rules\"") }
        return try rules(list, name: path)
    }

    /// - Parameter name: what a problem's place begins with.
    package static func rules(_ list: YAMLNode, name: String) throws(AccessFailure) -> AccessRules {
        guard let items = list.items, !items.isEmpty else {
            throw AccessFailure("the access list \(name) has no rules")
        }
        var rules: [AccessRule] = []
        for item in items {
            do throws(AccessRuleError) {
                guard let json = JSONText(Array(item.json.utf8)) else { throw AccessRuleError("it can't be read") }
                rules.append(try AccessRule(json))
            } catch {
                throw AccessFailure("\(item.source.name):\(item.start.line):\(item.start.column): the rule: \(error)")
            }
        }
        return AccessRules(rules)
    }
}
