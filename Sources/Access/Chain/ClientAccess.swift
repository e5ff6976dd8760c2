package import Buffers

/// Who a client is, as authentication left it: what rules compare with. Immutable; shared by a connection, its session
/// and its messages.
package final class ClientAccess: Sendable {
    package let clientID: String
    package let username: String?
    /// The numeric address.
    package let peerHost: String
    package let listenerID: String
    package let certificate: PeerCertificate?
    package let isSuperuser: Bool
    /// Nobody asked who the client is.
    package let isAnonymous: Bool
    /// Rules that came with the client: a token's claim, an HTTP service's answer. Nil for none.
    package let ownRules: AccessRules?
    /// Seconds since 1970 at which the credentials end.
    package let expiresAt: Int64?
    /// Who the client's session belongs to; nil for nobody in particular.
    package let owner: String?

    package init(
        clientID: String, username: String? = nil, peerHost: String = "", listenerID: String = "",
        certificate: PeerCertificate? = nil, isSuperuser: Bool = false, isAnonymous: Bool = false,
        ownRules: AccessRules? = nil, expiresAt: Int64? = nil, owner: String? = nil
    ) {
        self.clientID = clientID
        self.username = username
        self.peerHost = peerHost
        self.listenerID = listenerID
        self.certificate = certificate
        self.isSuperuser = isSuperuser
        self.isAnonymous = isAnonymous
        self.ownRules = ownRules
        self.expiresAt = expiresAt
        self.owner = owner
    }

    func value(of placeholder: Template.Placeholder) -> String? {
        switch placeholder {
        case .clientID: clientID
        case .username: username
        case .peerHost: peerHost
        case .commonName: certificate?.commonName
        case .subject: certificate?.subject
        case .listener: listenerID
        case .password, .peerPort, .action, .topic, .qos, .retain, .protocolName: nil
        }
    }
}

package enum AccessAction: String, Sendable, CaseIterable { case publish, subscribe }

/// What a client wants to do; the topic is a topic, or a filter without `$share/…`.
package struct AccessRequest {
    package var action: AccessAction
    package var qos: UInt8
    package var isRetained: Bool
    package var topic: Bytes

    package init(_ action: AccessAction, topic: Bytes, qos: UInt8 = 0, isRetained: Bool = false) {
        self.action = action
        self.topic = topic
        self.qos = qos
        self.isRetained = isRetained
    }
}

/// Who decided, as EMQX names it.
package enum AccessSource: String, Sendable {
    case byDefault = "default"
    case superuser
    case clientInfo = "client_info"
    case file
    case builtIn = "built_in_database"
    case http
    case cache
}

/// What authorization decided, and who did. [EMQX: client.check_authz_complete]
package struct AccessDecision: Sendable {
    package var isAllowed: Bool
    package var source: AccessSource

    package init(isAllowed: Bool, source: AccessSource) {
        self.isAllowed = isAllowed
        self.source = source
    }

    /// Where no source has an opinion and none is configured.
    package static let byDefault = AccessDecision(isAllowed: true, source: .byDefault)

    package var text: StaticString { isAllowed ? "allow" : "deny" }
}
