/// What a client brings to prove who it is.
package struct AuthenticationRequest: Sendable {
    package var clientID: String
    package var username: String?
    package var password: [UInt8]?
    package var peerHost: String
    package var peerPort: Int
    package var listenerID: String
    package var protocolName: String
    /// Of a client that TLS has verified.
    package var certificate: PeerCertificate?

    package init(
        clientID: String, username: String?, password: [UInt8]?, peerHost: String = "", peerPort: Int = 0,
        listenerID: String = "", protocolName: String = "MQTT", certificate: PeerCertificate? = nil
    ) {
        self.clientID = clientID
        self.username = username
        self.password = password
        self.peerHost = peerHost
        self.peerPort = peerPort
        self.listenerID = listenerID
        self.protocolName = protocolName
        self.certificate = certificate
    }

    func value(of placeholder: Template.Placeholder) -> [UInt8]? {
        switch placeholder {
        case .clientID: clientID.bytes
        case .username: username?.bytes
        case .password: password
        case .peerHost: peerHost.bytes
        case .peerPort: "\(peerPort)".bytes
        case .commonName: certificate?.commonName?.bytes
        case .subject: certificate?.subject.bytes
        case .protocolName: protocolName.bytes
        case .listener: listenerID.bytes
        case .action, .topic, .qos, .retain: nil
        }
    }
}

/// What an authenticator that lets a client in says of it.
struct Grant: Sendable {
    var isSuperuser = false
    var rules: AccessRules?
    /// Seconds since 1970.
    var expiresAt: Int64?
    /// Who the session belongs to; nil for the user name.
    var owner: String?
}

/// Why a client is not let in.
package enum AuthenticationRefusal: Sendable, Equatable {
    /// Wrong or unknown user name or password, or a token that does not hold.
    case badCredentials
    case notAuthorized
    /// Whoever knows could not be asked.
    case unavailable
    /// Too many wait.
    case busy
}

enum AuthenticationStep: Sendable {
    /// Not one of mine: the next is asked.
    /// - Parameter sawCredentials: whether there was something to look at.
    case ignore(sawCredentials: Bool)
    case allow(Grant)
    case deny(AuthenticationRefusal)
}

/// One of the chain. Called on a thread that may compute for a while; `done` is called once, on any thread.
protocol Authenticator: Sendable {
    var id: String { get }
    /// Whether it waits for somebody else, so that what follows it goes back to the threads that compute.
    var isRemote: Bool { get }
    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void)
    /// Reads again what may have changed; on failure what was read before stays in force.
    func reload() throws(AccessFailure)
    /// Why whoever it depends on could not be asked the last time; nil when all was well.
    var problem: String? { get }
    func stop()
}

extension Authenticator {
    var isRemote: Bool { false }
    func reload() throws(AccessFailure) {}
    var problem: String? { nil }
    func stop() {}
}

/// TLS has verified the client's certificate; that is all there is to ask.
struct CertificateAuthenticator: Authenticator {
    let id = "client_certificate"

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        guard let certificate = request.certificate else {
            done(.ignore(sawCredentials: false))
            return
        }
        done(.allow(Grant(owner: request.username ?? certificate.commonName)))
    }
}
