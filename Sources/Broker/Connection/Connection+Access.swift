import Buffers
import MQTTCodec

/// What authentication decided about a client. [EMQX: client.check_authn_complete]
struct AuthenticationResult {
    /// `success`, or why not.
    var reason: ReasonCode
    var isAnonymous: Bool
    var isSuperuser: Bool

    /// Where nobody asks who a client is.
    static let anonymous = AuthenticationResult(reason: .success, isAnonymous: true, isSuperuser: false)
}

/// What a client wants to do with a topic.
enum AccessAction {
    case publish, subscribe

    var text: StaticString {
        switch self {
        case .publish: "publish"
        case .subscribe: "subscribe"
        }
    }
}

/// What authorization decided, and who did. [EMQX: client.check_authz_complete]
struct AuthorizationResult {
    var isAllowed: Bool
    var source: StaticString

    /// Where no source has an opinion.
    static let byDefault = AuthorizationResult(isAllowed: true, source: "default")

    var text: StaticString { isAllowed ? "allow" : "deny" }
}

/// The two seams of access control: what they decide is reported here and nowhere else.
extension Connection {
    /// Who the client is: no authenticator is there to ask, so everyone is let in.
    func checkAuthentication(_ packet: ConnectPacket) {
        shard.rules.authenticationChecked(self, packet: packet, result: .anonymous)
    }

    /// Whether the client may: no source is there to ask, so everything is allowed.
    /// - Parameter topic: a topic, or a topic filter without `$share/…`.
    @inline(__always)
    func checkAuthorization(_ action: AccessAction, topic: Bytes, session: Session) {
        guard shard.rules.wantsAuthorization else { return }
        shard.rules.authorizationChecked(self, session: session, action: action, topic: topic, result: .byDefault)
    }
}
