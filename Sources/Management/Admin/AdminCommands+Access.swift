import Access
import Broker
import ConfigSchema
import Glibc

extension AdminCommands {
    static let accessCommands: [Command] = [
        Command(
            name: "access reload", arguments: "",
            summary: "Read password files, keys and access lists again, as SIGHUP does"
        ) { c, _ throws(AdminError) in try c.reloadAccess() },
        Command(name: "users list", arguments: "", summary: "List built-in users") { c, _ throws(AdminError) in
            try c.userList()
        },
        Command(
            name: "users add", arguments: "<UserID> <Password|-> [superuser] [--scram]",
            summary: "Add a built-in user; - reads the password from standard input, --scram makes a SCRAM verifier"
        ) { c, a throws(AdminError) in try c.addUser(a) },
        Command(
            name: "users passwd", arguments: "<UserID> <Password|-> [--scram]",
            summary: "Give a built-in user another password"
        ) { c, a throws(AdminError) in try c.changePassword(a) },
        Command(
            name: "users del", arguments: "<UserID>", summary: "Remove a built-in user and end its sessions"
        ) { c, a throws(AdminError) in try c.removeUser(a) },
        Command(
            name: "users import", arguments: "<File> [plain|hash]",
            summary: "Add the users of a mosquitto_passwd file, or of EMQX's CSV or JSON"
        ) { c, a throws(AdminError) in try c.importUsers(a) },
        Command(name: "acl list", arguments: "", summary: "List built-in access rules") { c, _ throws(AdminError) in
            try c.aclList()
        },
        Command(
            name: "acl add", arguments: "clientid|username <Name> <Rule> | all <Rule>",
            summary: "Add a built-in rule, written as YAML: '{permission: allow, action: publish, topic: a/#}'"
        ) { c, a throws(AdminError) in try c.addRule(a) },
        Command(
            name: "acl del", arguments: "clientid|username <Name> | all", summary: "Remove the rules of one of them"
        ) { c, a throws(AdminError) in try c.removeRules(a) },
        Command(name: "banned list", arguments: "", summary: "List bans in force") { c, _ throws(AdminError) in
            try c.banList()
        },
        Command(
            name: "banned add",
            arguments:
                "clientid|username|peerhost|clientid_re|username_re|peerhost_net <Who> [<Duration>|infinity] [Reason]",
            summary: "Keep somebody out, and end its sessions"
        ) { c, a throws(AdminError) in try c.addBan(a) },
        Command(name: "banned del", arguments: "<As> <Who>", summary: "Lift a ban") { c, a throws(AdminError) in
            try c.removeBan(a)
        },
    ]

    private var access: AccessControl {
        get throws(AdminError) {
            guard let access = node.access else { throw .failed("the node runs without access control") }
            return access
        }
    }

    private var ok: Result { Result(text: "ok\n", data: .object(["result": .string("ok")])) }

    /// Runs a change; what it refuses is the operator's to read.
    @discardableResult
    private func change<R>(_ body: () throws(AccessFailure) -> R) throws(AdminError) -> R {
        do { return try body() } catch {
            let text = error.description
            throw text.hasPrefix("there is no ") || text.hasPrefix("there are no ") || text.hasSuffix("is not banned")
                ? .notFound(text) : text.hasPrefix("there is a user") ? .conflict(text) : .failed(text)
        }
    }

    private func reloadAccess() throws(AdminError) -> Result {
        _ = try access
        let problems = node.reloadAccess()
        guard problems.isEmpty else {
            throw .failed("what was read before stays in force:\n" + problems.joined(separator: "\n"))
        }
        return ok
    }

    // MARK: Users

    private func userList() throws(AdminError) -> Result {
        let users = try access.users.list
        return Result(
            text: users.isEmpty
                ? "No users.\n"
                : users.map { "User(\($0.id), is_superuser=\($0.isSuperuser))\n" }.joined(),
            data: .array(
                users.map { .object(["user_id": .string($0.id), "is_superuser": .boolean($0.isSuperuser)]) }))
    }

    private func addUser(_ arguments: [String]) throws(AdminError) -> Result {
        let options = arguments.dropFirst(2)
        guard arguments.count >= 2, Set(options).count == options.count,
            options.allSatisfy({ ["superuser", "--scram"].contains($0) })
        else { throw .usage("usage: sluice ctl users add <UserID> <Password|-> [superuser] [--scram]") }
        let access = try access
        let hash = try hash(arguments[1], access, forScram: options.contains("--scram"))
        try change { () throws(AccessFailure) in
            try access.users.apply([
                .add(arguments[0], UserRecord(hash: hash, isSuperuser: options.contains("superuser")))
            ])
        }
        return ok
    }

    private func changePassword(_ arguments: [String]) throws(AdminError) -> Result {
        guard arguments.count == 2 || arguments.count == 3 && arguments[2] == "--scram" else {
            throw .usage("usage: sluice ctl users passwd <UserID> <Password|-> [--scram]")
        }
        let access = try access
        let hash = try hash(arguments[1], access, forScram: arguments.count == 3)
        try change { () throws(AccessFailure) in try access.users.apply([.password(arguments[0], hash)]) }
        return ok
    }

    private func hash(_ password: String, _ access: AccessControl, forScram: Bool) throws(AdminError) -> PasswordHash {
        guard !password.isEmpty else { throw .usage("the password is empty") }
        let algorithm = forScram ? access.scramAlgorithm : access.passwordAlgorithm
        guard let hash = algorithm.hash(Array(password.utf8)) else {
            throw .failed("the configured algorithm can't take this password")
        }
        return hash
    }

    private func removeUser(_ arguments: [String]) throws(AdminError) -> Result {
        let id = try Self.one(arguments, "users del <UserID>")
        let access = try access
        try change { () throws(AccessFailure) in try access.users.apply([.remove(id)]) }
        node.expel(user: id)
        return ok
    }

    private func importUsers(_ arguments: [String]) throws(AdminError) -> Result {
        guard arguments.count == 1 || arguments.count == 2 && ["plain", "hash"].contains(arguments[1]) else {
            throw .usage("usage: sluice ctl users import <File> [plain|hash]")
        }
        guard let bytes = FileReading.bytes(ofFile: arguments[0]) else {
            throw .failed("the file \(arguments[0]) can't be read by the node")
        }
        let access = try access
        let algorithm = access.passwordAlgorithm
        let content: UserFile.Content = arguments.last == "plain" ? .plain(algorithm) : .hash(algorithm)
        let (added, all) = try change { () throws(AccessFailure) in
            let users = try UserFile.parse(bytes, content: content)
            let added = try access.users.apply(users.map { .add($0.id, $0.user) }, skipsKnown: true)
            return (added, users.count)
        }
        return Result(
            text: "\(added) of \(all) users were added; the others are there already.\n",
            data: .object(["added": .integer(added), "skipped": .integer(all - added)]))
    }

    // MARK: Access rules

    private func aclList() throws(AdminError) -> Result {
        let entries = try access.rules.list
        return Result(
            text: entries.isEmpty
                ? "No rules.\n"
                : entries.map { entry in
                    "\(entry.subject.name)\n"
                        + entry.rules.map { "  \(String(decoding: $0.encoded(), as: UTF8.self))\n" }.joined()
                }.joined(),
            data: .array(
                entries.map { entry in
                    .object([
                        "for": .string(entry.subject.name),
                        "rules": .array(entry.rules.map { .string(String(decoding: $0.encoded(), as: UTF8.self)) }),
                    ])
                }))
    }

    private func addRule(_ arguments: [String]) throws(AdminError) -> Result {
        let usage = "usage: sluice ctl acl add clientid|username <Name> <Rule>, or: acl add all <Rule>"
        let name = arguments.count == 3 ? arguments[1] : ""
        guard arguments.count == 3 || arguments.count == 2, let kind = arguments.first, let text = arguments.last,
            let subject = BuiltInRules.subject(kind, name)
        else { throw .usage(usage) }
        let parsed = YAMLParser.parse(SourceFile(name: "rule", text: text))
        guard let node = parsed.documents.first, !parsed.problems.contains(where: { $0.severity == .error }),
            let rule = JSONText(Array(node.json.utf8))
        else { throw .usage("the rule is no YAML; \(usage)") }
        let access = try access
        try change { () throws(AccessFailure) in try access.rules.add(rule, for: subject) }
        self.node.accessChanged()
        return ok
    }

    private func removeRules(_ arguments: [String]) throws(AdminError) -> Result {
        guard let kind = arguments.first, arguments.count == (kind == "all" ? 1 : 2),
            let subject = BuiltInRules.subject(kind, arguments.count == 2 ? arguments[1] : "")
        else { throw .usage("usage: sluice ctl acl del clientid|username <Name>, or: acl del all") }
        let access = try access
        try change { () throws(AccessFailure) in try access.rules.remove(subject) }
        node.accessChanged()
        return ok
    }

    // MARK: Bans

    private func banList() throws(AdminError) -> Result {
        let bans = try access.bans.list(now: Int64(time(nil)))
        func until(_ ban: Ban) -> String { ban.until.map { Timestamp.rfc3339(milliseconds: $0 * 1000) } ?? "infinity" }
        return Result(
            text: bans.isEmpty
                ? "Nobody is banned.\n"
                : bans.map {
                    "Banned(\($0.kind.rawValue) \($0.who), by=\($0.by), reason=\($0.reason), until=\(until($0)))\n"
                }.joined(),
            data: .array(
                bans.map { ban in
                    .object([
                        "as": .string(ban.kind.rawValue), "who": .string(ban.who), "by": .string(ban.by),
                        "reason": .string(ban.reason), "at": .integer(Int(ban.at)), "until": .string(until(ban)),
                    ])
                }))
    }

    private func addBan(_ arguments: [String]) throws(AdminError) -> Result {
        guard arguments.count >= 2, let kind = Ban.Kind(rawValue: arguments[0]) else {
            throw .usage(
                "usage: sluice ctl banned add \(Ban.Kind.allCases.map(\.rawValue).joined(separator: "|")) <Who> [<Duration>|infinity] [Reason]"
            )
        }
        let now = Int64(time(nil))
        var until: Int64?
        if arguments.count > 2, arguments[2] != "infinity" {
            guard let duration = Units.duration(arguments[2]), duration > .zero else {
                throw .usage("\"\(arguments[2])\" is no duration such as 10m or 2h, and not infinity")
            }
            until = now + max(1, duration.components.seconds)
        }
        let ban = Ban(
            kind: kind, who: arguments[1], by: "sluice ctl", reason: arguments.dropFirst(3).joined(separator: " "),
            at: now, until: until)
        let access = try access
        try change { () throws(AccessFailure) in try access.bans.add(ban) }
        node.accessChanged()
        return ok
    }

    private func removeBan(_ arguments: [String]) throws(AdminError) -> Result {
        guard arguments.count == 2, let kind = Ban.Kind(rawValue: arguments[0]) else {
            throw .usage("usage: sluice ctl banned del <As> <Who>")
        }
        let access = try access
        try change { () throws(AccessFailure) in try access.bans.remove(kind, arguments[1]) }
        return ok
    }
}
