import ConfigSchema
import Synchronization

/// Who is kept out. [EMQX banned]
package struct Ban: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case clientID = "clientid"
        case username
        case peerHost = "peerhost"
        case clientIDPattern = "clientid_re"
        case usernamePattern = "username_re"
        case network = "peerhost_net"
    }

    package var kind: Kind
    package var who: String
    package var by: String
    package var reason: String
    /// Seconds since 1970.
    package var at: Int64
    /// Seconds since 1970; nil for ever.
    package var until: Int64?

    package init(kind: Kind, who: String, by: String, reason: String = "", at: Int64, until: Int64?) {
        self.kind = kind
        self.who = who
        self.by = by
        self.reason = reason
        self.at = at
        self.until = until
    }
}

/// The bans of a node, in one file of its data directory. Looked at once a CONNECT.
package final class BanTable: Sendable {
    private struct Key: Hashable, Sendable {
        var kind: Ban.Kind
        var who: [UInt8]
    }

    private enum Matcher: Sendable {
        case pattern(AccessPattern)
        case network(AddressRange)
    }

    private struct State: Sendable {
        var bans: [Key: Ban] = [:]
        /// Of those that are no plain names.
        var matchers: [Key: Matcher] = [:]
    }

    private let path: String?
    private let state: Mutex<State>
    package static let maximumBans = 100_000

    package init(path: String?) throws(AccessFailure) {
        self.path = path
        var known = State()
        if let path, let bytes = try SecretFile.read(path) {
            guard let list = JSONText(bytes)?["banned"]?.items else {
                throw AccessFailure("the file \(path) is damaged: it is no list of bans")
            }
            for (index, item) in list.enumerated() {
                guard let kind = item["as"]?.string.flatMap(Ban.Kind.init), let who = item["who"]?.string,
                    let at = item["at"]?.seconds
                else { throw AccessFailure("the file \(path) is damaged at ban \(index + 1)") }
                try Self.add(
                    Ban(
                        kind: kind, who: who, by: item["by"]?.string ?? "", reason: item["reason"]?.string ?? "",
                        at: at, until: item["until"]?.seconds), to: &known)
            }
        }
        state = Mutex(known)
    }

    private static func add(_ ban: Ban, to state: inout State) throws(AccessFailure) {
        guard !ban.who.isEmpty else { throw AccessFailure("a ban needs to say whom it is for") }
        let key = Key(kind: ban.kind, who: ban.who.bytes)
        do throws(AccessRuleError) {
            switch ban.kind {
            case .clientIDPattern, .usernamePattern: state.matchers[key] = .pattern(try AccessPattern(ban.who))
            case .network: state.matchers[key] = .network(try AddressRange(rule: ban.who))
            case .peerHost: _ = try AddressRange(rule: ban.who)
            case .clientID, .username: break
            }
        } catch { throw AccessFailure("\(error)") }
        state.bans[key] = ban
    }

    /// Adds or replaces a ban. A full table refuses more.
    /// - Parameter persists: whether it is written to the file; short ones of the node itself need not be.
    package func add(_ ban: Ban, persists: Bool = true) throws(AccessFailure) {
        let result = state.withLock { state -> Result<Void, AccessFailure> in
            Result { () throws(AccessFailure) in
                var changed = state
                Self.dropExpired(&changed, now: ban.at)
                guard changed.bans.count < Self.maximumBans else {
                    throw AccessFailure("there are \(Self.maximumBans) bans already")
                }
                try Self.add(ban, to: &changed)
                if persists { try write(changed) }
                state = changed
            }
        }
        try result.get()
    }

    package func remove(_ kind: Ban.Kind, _ who: String) throws(AccessFailure) {
        let result = state.withLock { state -> Result<Void, AccessFailure> in
            Result { () throws(AccessFailure) in
                var changed = state
                let key = Key(kind: kind, who: who.bytes)
                guard changed.bans.removeValue(forKey: key) != nil else {
                    throw AccessFailure("\(kind.rawValue) \(who) is not banned")
                }
                changed.matchers[key] = nil
                try write(changed)
                state = changed
            }
        }
        try result.get()
    }

    /// - Parameter now: seconds since 1970.
    package func isBanned(clientID: String, username: String?, peerHost: String, now: Int64) -> Bool {
        state.withLock { state in
            guard !state.bans.isEmpty else { return false }
            func holds(_ key: Key) -> Bool { state.bans[key].map { ($0.until ?? .max) > now } ?? false }
            if holds(Key(kind: .clientID, who: clientID.bytes)) || holds(Key(kind: .peerHost, who: peerHost.bytes)) {
                return true
            }
            if let username, holds(Key(kind: .username, who: username.bytes)) { return true }
            return state.matchers.contains { key, matcher in
                let matches =
                    switch (matcher, key.kind) {
                    case (.network(let range), _): range.contains(host: peerHost)
                    case (.pattern(let pattern), .usernamePattern): username.map(pattern.matches) ?? false
                    case (.pattern(let pattern), _): pattern.matches(clientID)
                    }
                return matches && holds(key)
            }
        }
    }

    /// Those in force.
    package func list(now: Int64) -> [Ban] {
        state.withLock { $0.bans.values.filter { ($0.until ?? .max) > now } }
            .sorted { ($0.kind.rawValue, $0.who) < ($1.kind.rawValue, $1.who) }
    }

    private static func dropExpired(_ state: inout State, now: Int64) {
        for (key, ban) in state.bans where (ban.until ?? .max) <= now {
            state.bans[key] = nil
            state.matchers[key] = nil
        }
    }

    private func write(_ state: State) throws(AccessFailure) {
        guard let path else { return }
        let list = state.bans.values.sorted { ($0.kind.rawValue, $0.who) < ($1.kind.rawValue, $1.who) }.map { ban in
            var members: [String: JSONText] = [
                "as": .text(ban.kind.rawValue), "who": .text(ban.who), "by": .text(ban.by), "reason": .text(ban.reason),
                "at": .integer(ban.at),
            ]
            if let until = ban.until { members["until"] = .integer(until) }
            return JSONText.object(members)
        }
        try SecretFile.replace(path, with: JSONText.object(["banned": .list(list)]).encoded(pretty: true))
    }
}
