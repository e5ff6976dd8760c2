import Buffers
import MQTTCodec
import Topics

extension Connection {
    /// CONNECT: checks what the node allows, then asks the registry whose session this is. [MQTT-3.1.4-1]
    /// [MQTT-3.1.4-2]
    func handleConnect(_ packet: ConnectPacket) {
        version = packet.version
        connectedAt = shard.wall
        shard.counters.connects.add(1)
        var packet = packet
        if let redirection = shard.node.redirection {
            refuse(redirection.reason, packet, reference: redirection.reference)
            return
        }
        if let refusal = refusal(of: &packet) {
            refuse(refusal, packet)
            return
        }
        identify(packet)
    }

    /// The client is let in as who it is: agrees on the limits, then asks for its session.
    func admit(_ packet: ConnectPacket) {
        connect = packet
        keepAliveLimit = keepAliveLimit(of: packet)
        receiveMaximum = min(Int(packet.properties.receiveMaximum ?? .max), shard.settings.maxInflight)
        maximumPacketSize = packet.properties.maximumPacketSize.map(Int.init) ?? .max
        outboundAliasMaximum = min(Int(packet.properties.topicAliasMaximum ?? 0), shard.settings.maxTopicAlias)
        phase = .awaitingSession
        shard.claimSession(for: self, packet: packet)
        if phase == .awaitingSession { transport.pauseReading() }
    }

    /// Why this client is not let in; fills in an assigned client identifier. [MQTT-3.1.3-6]
    private func refusal(of packet: inout ConnectPacket) -> ReasonCode? {
        let settings = shard.settings
        if shard.isDraining { return .serverUnavailable }
        if !takeNames(ofCertificateInto: &packet) { return .notAuthorized }
        if settings.useUsernameAsClientID, let username = packet.username { packet.clientID = username }
        if packet.clientID.isEmpty {
            // [MQTT3-3.1.3-8]
            if packet.version != .v5, !packet.cleanStart { return .clientIdentifierNotValid }
            packet.clientID = shard.node.makeClientID()
            hasAssignedClientID = true
        }
        if packet.clientID.utf8.count > settings.maxClientIDLength { return .clientIdentifierNotValid }
        if let will = packet.will {
            // [MQTT-3.2.2-12] [MQTT-3.2.2-13]
            if will.qos.rawValue > settings.maxQoS { return .qosNotSupported }
            if will.retain, !settings.retainAvailable { return .retainNotSupported }
            if withBytes(will.topic, { TopicSyntax.levels($0) }) > settings.maxTopicLevels { return .topicNameInvalid }
        }
        return nil
    }

    private func keepAliveLimit(of packet: ConnectPacket) -> Int64 {
        let seconds = shard.settings.serverKeepAlive ?? packet.keepAlive
        return Int64(Double(seconds) * 1000 * shard.settings.keepAliveMultiplier)
    }

    /// CONNACK with an error, and the end; nothing that follows is read. [MQTT-3.2.2-6] [MQTT-3.2.2-7] [MQTT-3.1.4-6]
    /// [MQTT-4.13.2-1] [MQTT3-3.2.2-4] [MQTT3-3.2.2-5] [MQTT3-3.1.4-5]
    /// - Parameters:
    ///   - packet: nil when it could not be read, of which rules then see nothing.
    ///   - reference: where the client may go instead, for 0x9C and 0x9D. [MQTT5 §4.11]
    func refuse(_ reason: ReasonCode, _ packet: ConnectPacket?, reference: String? = nil) {
        shard.counters.connectsRefused.add(1)
        var answer = ConnackPacket(sessionPresent: false, reason: reason)
        answer.properties.serverReference = reference
        write(.connack) { answer.encode(to: $0, version: version) }
        if let packet {
            shard.rules.clientConnack(self, packet: packet, expiryInterval: expiryInterval(of: packet), reason: reason)
        }
        close(reason: reason.eventName, code: nil)
    }

    /// A CONNECT that cannot be read: a CONNACK says why as far as the client's version is known.
    func refuseMalformedConnect(_ violation: ProtocolViolation) {
        if let answer = violation.connackVersion {
            version = answer
            refuse(violation.reason, nil)
        } else {
            close(reason: violation.reason.eventName, code: nil)
        }
    }

    /// The session is here and this connection's: CONNACK, then what waited. [MQTT-3.2.2-2] [MQTT-3.2.2-3]
    /// [MQTT-3.2.0-1] [MQTT-3.2.0-2] [MQTT-3.1.4-5] [MQTT3-3.2.0-1] [MQTT3-3.2.2-1] [MQTT3-3.2.2-2] [MQTT3-3.2.2-3]
    func enter(_ session: Session, isPresent: Bool) {
        guard phase == .awaitingSession, let packet = connect else { return }
        self.session = session
        phase = .connected
        connectedAt = shard.wall
        session.connection = self
        session.username = packet.username
        session.isCleanStart = packet.cleanStart
        session.expiryInterval = expiryInterval(of: packet)
        session.expiresAt = .max
        // [MQTT-3.1.3-9]
        session.willAt = nil
        session.publisher = Publisher(
            clientID: session.clientID, username: packet.username, peerHost: endpoints.peerHost,
            peerName: endpoints.peerName, access: access)
        session.will = packet.will.map { shard.makeWill($0, session: session) }
        session.access = access
        if session.owner == nil { session.owner = access?.owner }
        if shard.durable != nil, !enterStore(session) { return }
        if isPresent { shard.reviewSubscriptions(of: session) }
        session.setOnline(true)
        shard.router.advertise(session)
        lastReceived = shard.now
        if nextDeadline != .max {
            shard.keepAlive.add(self, at: nextDeadline)
        } else {
            shard.keepAlive.remove(self)
        }
        write(.connack) { connack(packet, session: session, isPresent: isPresent).encode(to: $0, version: version) }
        shard.counters.connected.add(1)
        shard.rules.clientConnected(self, packet: packet, session: session)
        shard.rules.clientConnack(
            self, packet: packet, expiryInterval: session.expiryInterval, reason: .success)
        tellConnected(packet, session: session)
        resume(session)
        if !shard.settings.topics.autoSubscriptions.isEmpty { subscribeAutomatically(session) }
        // What the client sent behind its CONNECT is read in a turn of its own.
        shard.resumeReading(self)
    }

    /// A session that is kept is written down before the client hears that it has one.
    /// - Returns: false when the store takes nothing at the moment; the client has been refused then.
    private func enterStore(_ session: Session) -> Bool {
        if session.durable == nil {
            guard session.expiryInterval > 0 else { return true }
            guard shard.makeDurable(session) else {
                self.session = nil
                session.connection = nil
                session.will = nil
                phase = .awaitingSession
                shard.terminate(session, reason: "quota_exceeded")
                refuse(.quotaExceeded, connect)
                return false
            }
        } else {
            shard.saveRecord(of: session)
        }
        shard.durable?.hold(self)
        return true
    }

    private func expiryInterval(of packet: ConnectPacket) -> UInt32 {
        if packet.version == .v5 { return packet.properties.sessionExpiryInterval ?? 0 }
        return packet.cleanStart ? 0 : shard.settings.sessionExpiryInterval
    }

    private func connack(_ packet: ConnectPacket, session: Session, isPresent: Bool) -> ConnackPacket {
        var answer = ConnackPacket(sessionPresent: isPresent, reason: .success)
        guard packet.version == .v5 else { return answer }
        let settings = shard.settings
        answer.properties.receiveMaximum = settings.receiveMaximum < 65_535 ? UInt16(settings.receiveMaximum) : nil
        answer.properties.maximumPacketSize = UInt32(settings.maxPacketSize)
        answer.properties.topicAliasMaximum = UInt16(settings.maxTopicAlias)
        // [MQTT-3.2.2-9]
        if settings.maxQoS < 2 { answer.properties.maximumQoS = settings.maxQoS }
        if !settings.retainAvailable { answer.properties.retainAvailable = false }
        if !settings.wildcardSubscription { answer.properties.wildcardSubscriptionAvailable = false }
        if !settings.sharedSubscription { answer.properties.sharedSubscriptionAvailable = false }
        // [MQTT-3.1.3-7] [MQTT-3.2.2-16]
        if hasAssignedClientID { answer.properties.assignedClientIdentifier = session.clientID }
        if let keepAlive = settings.serverKeepAlive { answer.properties.serverKeepAlive = keepAlive }
        if let authentication {
            // [MQTT-4.12.0-5]
            answer.properties.authenticationMethod = authentication.method
            answer.properties.authenticationData = packet.properties.authenticationData
        }
        // [MQTT-3.1.2-28]
        if packet.properties.requestResponseInformation == true, !settings.responseInformation.isEmpty {
            answer.properties.responseInformation = settings.responseInformation
        }
        return answer
    }

    /// PINGREQ. [MQTT-3.12.4-1] [MQTT3-3.12.4-1]
    func handlePing() {
        write(.pingresp) { PingEncoder.appendResponse(to: $0) }
        guard shard.rules.wantsPing, let session, let packet = connect else { return }
        shard.rules.clientPing(self, packet: packet, session: session)
    }

    /// DISCONNECT: 0x04 keeps the will, all else drops it. [MQTT-3.14.4-3] [MQTT-3.1.2-10] [MQTT3-3.14.4-3]
    func handleDisconnect(_ packet: DisconnectPacket) throws(ProtocolViolation) {
        guard let session else {
            // In the middle of an enhanced authentication.
            close(reason: packet.reason == .normalDisconnection ? "normal" : packet.reason.eventName, code: nil)
            return
        }
        if let interval = packet.properties.sessionExpiryInterval {
            if session.expiryInterval == 0, interval != 0 {
                throw ProtocolViolation(
                    .protocolError, clause: "MQTT-3.14.2-2",
                    "A session that ends with its connection can't be prolonged.")
            }
            session.expiryInterval = interval
        }
        disconnectProperties = packet.properties
        if packet.reason == .normalDisconnection { session.will = nil }
        close(reason: packet.reason == .normalDisconnection ? "normal" : packet.reason.eventName, code: nil)
    }
}
