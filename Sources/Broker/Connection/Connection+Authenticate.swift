import Access
import Buffers
import MQTTCodec

/// What authentication decided about a client. [EMQX: client.check_authn_complete]
struct AuthenticationResult {
    /// `success`, or why not.
    var reason: ReasonCode
    var isAnonymous: Bool
    var isSuperuser: Bool
}

/// The seam of authentication: what is decided is reported here and nowhere else.
extension Connection {
    /// The longest that a chain of authenticators may take: longer than some of their own limits together.
    static let longestAuthentication: Int64 = 30_000

    /// Puts names of the client's certificate in the place of those in CONNECT, where the node is told to.
    /// [EMQX peer_cert_as_username]
    /// - Returns: false for a TLS client that has no such name.
    func takeNames(ofCertificateInto packet: inout ConnectPacket) -> Bool {
        let settings = shard.settings
        guard settings.certificateAsUsername != .disabled || settings.certificateAsClientID != .disabled else {
            return true
        }
        guard let certificate = endpoints.certificate else { return !listener.usesTLS }
        if settings.certificateAsUsername != .disabled {
            guard let name = certificate.name(settings.certificateAsUsername) else { return false }
            packet.username = name
        }
        if settings.certificateAsClientID != .disabled {
            guard let name = certificate.name(settings.certificateAsClientID) else { return false }
            packet.clientID = name
        }
        return true
    }

    /// Finds out who the client is, then admits or refuses it. Bans come first: they cost nobody a hash.
    func identify(_ packet: ConnectPacket) {
        guard let control = shard.node.access else {
            guard packet.properties.authenticationMethod == nil else { return refuse(.badAuthenticationMethod, packet) }
            finishIdentifying(packet, .init(reason: .success, isAnonymous: true, isSuperuser: false), access: nil)
            return
        }
        if isBanned(packet) {
            refuse(.banned, packet)
            return
        }
        let request = request(for: packet)
        if let method = packet.properties.authenticationMethod {
            guard listener.authentication != .off, let exchange = control.exchange(method: method, request) else {
                // [MQTT-4.12.0-1]
                refuse(.badAuthenticationMethod, packet)
                return
            }
            beginExchange(packet, method, exchange)
            return
        }
        guard control.authenticates, listener.authentication != .off else {
            let client = ClientAccess(
                clientID: packet.clientID, username: packet.username, peerHost: endpoints.peerHost,
                listenerID: listener.id, certificate: request.certificate, isAnonymous: true)
            finishIdentifying(packet, .init(reason: .success, isAnonymous: true, isSuperuser: false), access: client)
            return
        }
        let isBare = packet.username == nil && packet.password == nil && request.certificate == nil
        if listener.authentication == .quickDeny, isBare {
            finishIdentifying(
                packet, .init(reason: .notAuthorized, isAnonymous: true, isSuperuser: false), access: nil)
            return
        }
        phase = .authenticating
        authenticationEndsAt = shard.now + Self.longestAuthentication
        transport.pauseReading()
        nonisolated(unsafe) let connection = self  // comes back to this very shard
        control.authenticate(request) { [shard] outcome in
            shard.execute { _ in connection.authenticated(packet, outcome) }
        }
    }

    func request(for packet: ConnectPacket) -> AuthenticationRequest {
        AuthenticationRequest(
            clientID: packet.clientID, username: packet.username, password: packet.password,
            peerHost: endpoints.peerHost, peerPort: endpoints.peerPort, listenerID: listener.id,
            protocolName: packet.version.protocolName, certificate: endpoints.certificate)
    }

    func authenticated(_ packet: ConnectPacket, _ outcome: AuthenticationOutcome) {
        // It may have gone meanwhile, or been given up.
        guard phase == .authenticating || authentication != nil && phase == .awaitingConnect else { return }
        phase = .awaitingConnect
        switch outcome {
        case .allowed(let client):
            // By SCRAM a client may say who it is after the first look at the bans.
            if authentication != nil, isBanned(packet) { return refuse(.banned, packet) }
            finishIdentifying(
                packet, .init(reason: .success, isAnonymous: false, isSuperuser: client.isSuperuser), access: client)
        case .refused(let refusal):
            finishIdentifying(
                packet, .init(reason: refusal.reason, isAnonymous: false, isSuperuser: false), access: nil)
        }
    }

    private func finishIdentifying(_ packet: ConnectPacket, _ result: AuthenticationResult, access: ClientAccess?) {
        shard.rules.authenticationChecked(self, packet: packet, result: result)
        guard result.reason == .success else {
            shard.counters.authenticationFailed.add(1)
            shard.lines.info(
                "A client was refused.",
                metadata: [
                    "client.id": "\(packet.clientID.escaped)", "client.peer": "\(endpoints.peerName)",
                    "reason": "\(result.reason.eventName)",
                ])
            refuse(result.reason, packet)
            return
        }
        shard.counters.authenticated.add(1)
        if result.isAnonymous { shard.counters.authenticatedAnonymous.add(1) }
        self.access = access
        if let seconds = access?.expiresAt {
            let (milliseconds, overflows) = seconds.multipliedReportingOverflow(by: 1000)
            if !overflows { credentialsEndAt = shard.now + max(0, milliseconds - shard.wall) }
        }
        admit(packet)
    }

    private func isBanned(_ packet: ConnectPacket) -> Bool {
        shard.node.access?.bans.isBanned(
            clientID: packet.clientID, username: packet.username, peerHost: endpoints.peerHost, now: shard.wall / 1000)
            ?? false
    }

    /// Whoever was asked takes too long, or the client does.
    func checkAuthenticationDeadline() {
        guard shard.now >= authenticationEndsAt else {
            shard.keepAlive.add(self, at: authenticationEndsAt)
            return
        }
        let isClientLate = phase == .exchanging
        phase = .awaitingConnect
        refuse(isClientLate ? .notAuthorized : .serverUnavailable, nil)
    }

    /// The session of that client identifier is another user's. [MQTT-3.1.3-8]
    func refuseSession(_ packet: ConnectPacket) {
        guard phase == .awaitingSession else { return }
        shard.lines.info(
            "A client was refused: the session belongs to another user.",
            metadata: ["client.id": "\(packet.clientID.escaped)", "client.peer": "\(endpoints.peerName)"])
        refuse(.clientIdentifierNotValid, packet)
    }
}

extension AuthenticationRefusal {
    fileprivate var reason: ReasonCode {
        switch self {
        case .badCredentials: .badUserNameOrPassword
        case .notAuthorized: .notAuthorized
        case .unavailable: .serverUnavailable
        case .busy: .serverBusy
        }
    }
}

extension PeerCertificate {
    fileprivate func name(_ kind: MQTTZone.CertificateName) -> String? {
        let name: String? =
            switch kind {
            case .disabled: nil
            case .cn: commonName
            case .dn: subject
            case .san: alternativeNames.first
            }
        // As CONNECT's own texts: no U+0000 in them. [MQTT-1.5.4-2]
        return name.flatMap { $0.isEmpty || $0.utf8.contains(0) || $0.utf8.count > 65_535 ? nil : $0 }
    }
}

extension Session {
    /// Whether a client of that user may have the session. One that nobody in particular opened is anybody's.
    func belongs(to user: String?) -> Bool {
        guard let owner else { return true }
        return user.map { $0.utf8.elementsEqual(owner.utf8) } ?? false
    }
}
