import Synchronization

/// The built-in access lists: of a client, of a user, of all; in one file of the data directory.
/// [EMQX authz: built_in_database]
package final class BuiltInRules: Sendable {
    package enum Subject: Sendable, Hashable {
        case clientID(String)
        case username(String)
        case all

        package var name: String {
            switch self {
            case .clientID(let id): "clientid \(id)"
            case .username(let name): "username \(name)"
            case .all: "all"
            }
        }

        fileprivate var kind: String {
            switch self {
            case .clientID: "clientid"
            case .username: "username"
            case .all: "all"
            }
        }

        fileprivate var value: String {
            switch self {
            case .clientID(let text), .username(let text): text
            case .all: ""
            }
        }
    }

    private struct Entry: Sendable {
        var source: [JSONText]
        var rules: AccessRules
    }

    private let path: String?
    private let entries: Mutex<[Subject: Entry]>

    package init(path: String?) throws(AccessFailure) {
        self.path = path
        var known: [Subject: Entry] = [:]
        if let path, let bytes = try SecretFile.read(path) {
            guard let list = JSONText(bytes)?["acl"]?.items else {
                throw AccessFailure("the file \(path) is damaged: it is no access list")
            }
            for (index, item) in list.enumerated() {
                guard let subject = Self.subject(item["for"]?.string ?? "", item["name"]?.string ?? ""),
                    let source = item["rules"]?.items
                else { throw AccessFailure("the file \(path) is damaged at entry \(index + 1)") }
                do throws(AccessRuleError) {
                    known[subject] = Entry(source: source, rules: try AccessRules(.list(source)))
                } catch { throw AccessFailure("the file \(path) is damaged at entry \(index + 1): \(error)") }
            }
        }
        entries = Mutex(known)
    }

    /// `clientid x`, `username x`, `all`; nil for anything else.
    package static func subject(_ kind: String, _ name: String) -> Subject? {
        switch kind {
        case "clientid": name.isEmpty ? nil : .clientID(name)
        case "username": name.isEmpty ? nil : .username(name)
        case "all": .all
        default: nil
        }
    }

    /// The client's rules first, then its user's, then everybody's; nil when none applies.
    func decide(_ client: ClientAccess, _ request: AccessRequest) -> Bool? {
        let found = entries.withLock { entries in
            [.clientID(client.clientID), client.username.map { Subject.username($0) }, .all].compactMap { subject in
                subject.flatMap { entries[$0]?.rules }
            }
        }
        for rules in found { if let decision = rules.decide(client, request) { return decision } }
        return nil
    }

    var looksAtFlags: Bool { entries.withLock { $0.values.contains { $0.rules.looksAtFlags } } }

    package var list: [(subject: Subject, rules: [JSONText])] {
        entries.withLock { $0.map { ($0.key, $0.value.source) } }.sorted { $0.subject.name < $1.subject.name }
    }

    /// Adds a rule behind those that the subject has.
    package func add(_ rule: JSONText, for subject: Subject) throws(AccessFailure) {
        do throws(AccessRuleError) { _ = try AccessRule(rule) } catch { throw AccessFailure("\(error)") }
        try change { entries throws(AccessFailure) in
            let source = (entries[subject]?.source ?? []) + [rule]
            do throws(AccessRuleError) {
                entries[subject] = Entry(source: source, rules: try AccessRules(.list(source)))
            } catch { throw AccessFailure("\(error)") }
        }
    }

    package func remove(_ subject: Subject) throws(AccessFailure) {
        try change { entries throws(AccessFailure) in
            guard entries.removeValue(forKey: subject) != nil else {
                throw AccessFailure("there are no rules for \(subject.name)")
            }
        }
    }

    private func change(_ body: (inout [Subject: Entry]) throws(AccessFailure) -> Void) throws(AccessFailure) {
        let result = entries.withLock { entries -> Result<Void, AccessFailure> in
            Result { () throws(AccessFailure) in
                var changed = entries
                try body(&changed)
                try write(changed)
                entries = changed
            }
        }
        try result.get()
    }

    private func write(_ entries: [Subject: Entry]) throws(AccessFailure) {
        guard let path else { return }
        let list = entries.sorted { $0.key.name < $1.key.name }.map { subject, entry in
            JSONText.object([
                "for": .text(subject.kind), "name": .text(subject.value), "rules": .list(entry.source),
            ])
        }
        try SecretFile.replace(path, with: JSONText.object(["acl": .list(list)]).encoded(pretty: true))
    }
}
