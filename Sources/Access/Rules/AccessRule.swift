import Buffers
import ConfigSchema

/// One line of an access list: who may or may not do what with which topics. [EMQX acl.conf]
package struct AccessRule: Sendable {
    package enum Permission: String, Sendable { case allow, deny }

    indirect enum Who: Sendable {
        case all
        case username(String)
        case usernameMatches(AccessPattern)
        case clientID(String)
        case clientIDMatches(AccessPattern)
        case addresses([AddressRange])
        case and([Who])
        case or([Who])

        func matches(_ client: ClientAccess) -> Bool {
            switch self {
            case .all: true
            case .username(let name): client.username.map { $0.utf8.elementsEqual(name.utf8) } ?? false
            case .usernameMatches(let pattern): client.username.map(pattern.matches) ?? false
            case .clientID(let name): client.clientID.utf8.elementsEqual(name.utf8)
            case .clientIDMatches(let pattern): pattern.matches(client.clientID)
            case .addresses(let ranges): ranges.contains { $0.contains(host: client.peerHost) }
            case .and(let parts): parts.allSatisfy { $0.matches(client) }
            case .or(let parts): parts.contains { $0.matches(client) }
            }
        }
    }

    let permission: Permission
    let who: Who
    /// Nil: both.
    let action: AccessAction?
    /// A bit for each QoS.
    let qos: UInt8
    /// Nil: whether or not. Of PUBLISH only.
    let retain: Bool?
    /// Empty: all topics.
    let topics: [TopicPattern]

    /// Whether QoS or retain make a difference to this rule, so that a decision is not the same for all messages.
    var looksAtFlags: Bool { qos & 7 != 7 || retain != nil }

    func applies(_ client: ClientAccess, _ request: AccessRequest) -> Bool {
        guard action == nil || action == request.action, qos >> request.qos & 1 == 1,
            retain == nil || request.action == .publish && retain == request.isRetained, who.matches(client)
        else { return false }
        if topics.isEmpty { return true }
        return permission == .allow
            ? topics.contains { $0.covers(request.topic, for: client) }
            : topics.contains { $0.overlaps(request.topic, for: client) }
    }
}

/// Rules in their order: the first that applies decides.
package struct AccessRules: Sendable {
    package let rules: [AccessRule]
    package let looksAtFlags: Bool

    package init(_ rules: [AccessRule]) {
        self.rules = rules
        looksAtFlags = rules.contains { $0.looksAtFlags }
    }

    /// Whether it is allowed; nil when no rule applies.
    package func decide(_ client: ClientAccess, _ request: AccessRequest) -> Bool? {
        for rule in rules where rule.applies(client, request) { return rule.permission == .allow }
        return nil
    }
}
