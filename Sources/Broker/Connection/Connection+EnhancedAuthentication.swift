import Access
import Buffers
import MQTTCodec

/// A connection's Authentication Method, and the exchange of AUTH packets that is under way. [MQTT5 §4.12]
///
/// Confined to the connection's shard.
final class EnhancedAuthentication {
    /// Of CONNECT; all AUTH packets of the connection name it.
    let method: String
    /// Nil between exchanges.
    fileprivate(set) var exchange: AuthenticationExchange?
    /// The client's data is looked at; it has nothing to say meanwhile.
    fileprivate(set) var isComputing = false
    /// Monotonic milliseconds at which an exchange that is not over is given up.
    fileprivate(set) var endsAt = Int64.max

    fileprivate init(method: String, _ exchange: AuthenticationExchange, endsAt: Int64) {
        self.method = method
        self.exchange = exchange
        self.endsAt = endsAt
    }

    fileprivate func end() {
        exchange = nil
        isComputing = false
        endsAt = .max
    }
}

extension Connection {
    /// CONNECT names a method: its data begins an exchange, and CONNACK waits until that is over. [MQTT-4.12.0-2]
    func beginExchange(_ packet: ConnectPacket, _ method: String, _ exchange: AuthenticationExchange) {
        let ends = shard.now + Self.longestAuthentication
        authentication = EnhancedAuthentication(method: method, exchange, endsAt: ends)
        authenticationEndsAt = ends
        connect = packet
        proceed(packet.properties.authenticationData ?? [])
    }

    private func proceed(_ data: [UInt8]) {
        guard let authentication, let exchange = authentication.exchange else { return }
        authentication.isComputing = true
        if phase != .connected {
            phase = .authenticating
            transport.pauseReading()
        }
        nonisolated(unsafe) let connection = self  // comes back to this very shard
        exchange.proceed(data) { [shard] step in
            shard.execute { _ in connection.answered(exchange, step) }
        }
    }

    private func answered(_ exchange: AuthenticationExchange, _ step: AuthenticationExchange.Step) {
        // It may have gone meanwhile, or been given up.
        guard let authentication, authentication.exchange === exchange, phase != .closed else { return }
        authentication.isComputing = false
        switch step {
        case .challenge(let data):
            write(.auth, authPacket(.continueAuthentication, data))
            awaitClient(authentication)
            if phase == .authenticating {
                phase = .exchanging
                shard.resumeReading(self)
            }
        case .allowed(let client, let data):
            authentication.end()
            if phase == .connected { renew(client, data) } else { finishExchange(client, data) }
        case .refused(let refusal):
            authentication.end()
            if phase == .connected { refuseRenewal() } else { refuseExchange(refusal) }
        }
    }

    /// An answer may take as long as a CONNECT.
    private func awaitClient(_ authentication: EnhancedAuthentication) {
        let endsAt = min(authentication.endsAt, shard.now + shard.settings.idleTimeout)
        authentication.endsAt = endsAt
        if phase == .authenticating { authenticationEndsAt = endsAt }
        shard.keepAlive.add(self, at: phase == .connected ? nextDeadline : endsAt)
    }

    private func authPacket(_ reason: ReasonCode, _ data: [UInt8]) -> (OutputBuffer) -> Void {
        var packet = AuthPacket(reason: reason)
        // [MQTT-4.12.0-5]
        packet.properties.authenticationMethod = authentication?.method
        packet.properties.authenticationData = data.isEmpty ? nil : data
        return { packet.encode(to: $0) }
    }

    /// The client has proved who it is: its CONNECT goes on where it had stopped.
    private func finishExchange(_ client: ClientAccess, _ data: [UInt8]) {
        guard var packet = connect else { return }
        phase = .awaitingConnect
        packet.username = client.username
        packet.properties.authenticationData = data
        authenticated(packet, .allowed(client))
    }

    private func refuseExchange(_ refusal: AuthenticationRefusal) {
        guard let packet = connect else { return }
        phase = .awaitingConnect
        authenticated(packet, .refused(refusal))
    }

    // MARK: AUTH

    /// AUTH: goes on with the exchange that is under way, or begins one anew on a connection that has had one.
    /// [MQTT-4.12.0-3] [MQTT-4.12.1-1]
    func handleAuth(_ packet: AuthPacket) throws(ProtocolViolation) {
        guard let authentication else {
            throw ProtocolViolation(
                .protocolError, clause: "MQTT-4.12.0-7", "No Authentication Method stood in CONNECT.")
        }
        // An empty packet would end an exchange, which only the server does. [MQTT5 §3.15.2.1]
        guard packet.properties.authenticationMethod?.utf8.elementsEqual(authentication.method.utf8) ?? false else {
            throw ProtocolViolation(
                .badAuthenticationMethod, clause: "MQTT-4.12.0-5", "An AUTH names another Authentication Method.")
        }
        let data = packet.properties.authenticationData ?? []
        if packet.reason == .reAuthenticate {
            guard phase == .connected, authentication.exchange == nil else {
                throw ProtocolViolation(
                    .protocolError, clause: "MQTT-4.12.1-1", "A re-authentication came while one was under way.")
            }
            try beginRenewal(authentication, data)
        } else {
            guard authentication.exchange != nil, !authentication.isComputing else {
                throw ProtocolViolation(
                    .protocolError, clause: "MQTT-4.12.0-3", "An AUTH goes on with an exchange and none waits for it.")
            }
            proceed(data)
        }
    }

    private func beginRenewal(_ authentication: EnhancedAuthentication, _ data: [UInt8]) throws(ProtocolViolation) {
        guard let packet = connect, let control = shard.node.access,
            let exchange = control.exchange(method: authentication.method, request(for: packet))
        else {
            throw ProtocolViolation(
                .badAuthenticationMethod, clause: "MQTT-4.12.0-1", "The Authentication Method is there no more.")
        }
        authentication.exchange = exchange
        authentication.endsAt = shard.now + Self.longestAuthentication
        shard.keepAlive.add(self, at: nextDeadline)
        proceed(data)
    }

    /// The client has proved anew who it is: what it may do now is what the exchange says. [MQTT5 §4.12.1]
    private func renew(_ client: ClientAccess, _ data: [UInt8]) {
        guard let session, session.belongs(to: client.owner) else { return refuseRenewal() }
        access = client
        session.access = client
        decisions = nil
        allowedPublishes.forget()
        shard.counters.authenticated.add(1)
        write(.auth, authPacket(.success, data))
    }

    /// [MQTT-4.12.1-2]
    private func refuseRenewal() {
        shard.counters.authenticationFailed.add(1)
        shard.lines.info(
            "A client was closed: it did not prove anew who it is.",
            metadata: ["client.id": "\((session?.clientID ?? "").escaped)", "client.peer": "\(endpoints.peerName)"])
        close(reason: ReasonCode.notAuthorized.eventName, code: .notAuthorized)
    }

    /// Before CONNACK a client sends AUTH and DISCONNECT alone. [MQTT-3.1.2-30]
    func requireExchange(_ header: FrameHeader) throws(ProtocolViolation) {
        guard header.type == .auth || header.type == .disconnect else {
            throw ProtocolViolation(
                .protocolError, clause: "MQTT-3.1.2-30", "Another packet than AUTH came before the CONNACK.")
        }
    }
}
