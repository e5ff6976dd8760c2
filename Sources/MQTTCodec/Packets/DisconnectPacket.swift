package import Buffers

/// DISCONNECT; before 5.0 an empty packet of the client. [MQTT5 §3.14]
package struct DisconnectPacket: Equatable, Sendable {
    package var reason: ReasonCode
    package var properties: Properties

    package init(reason: ReasonCode = .normalDisconnection, properties: Properties = Properties()) {
        self.reason = reason
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion, from peer: Peer) throws(ProtocolViolation) {
        self.init()
        guard peer == .client || version == .v5 else {
            throw .error("MQTT3-3.14", "Only a client sends DISCONNECT before 5.0.")
        }
        guard body.count > 0 else { return }
        guard version == .v5 else { throw .malformed("MQTT3-3.14.1-1", "A DISCONNECT has a body.") }
        var reader = FieldReader(body)
        reason = ReasonCode(rawValue: try reader.byte())
        let isFromSide = peer == .client ? reason.isValidFromClient : reason != .disconnectWithWill
        guard reason.isValid(for: .disconnect), isFromSide else {
            throw .error("MQTT-3.14.2-1", "\(reason.rawValue) is no code of a DISCONNECT from this side.")
        }
        if reader.remaining > 0 { properties = try Properties.decode(&reader, set: .disconnect, from: peer) }
        if peer == .client, properties.serverReference != nil {
            throw .error("MQTT5 §3.14.2.2.5", "A client's DISCONNECT has a Server Reference.")
        }
        if peer == .server, properties.sessionExpiryInterval != nil {
            throw .error("MQTT-3.14.2-2", "A server's DISCONNECT has a Session Expiry Interval.")
        }
        try reader.end()
    }

    /// For 5.0; the older versions send the two bytes of an empty packet.
    package func encode(to output: OutputBuffer, version: ProtocolVersion = .v5) {
        let body = OutputBuffer()
        if version == .v5, reason != .normalDisconnection || properties != Properties() {
            body.append(reason.rawValue)
            if properties != Properties() { properties.append(to: body) }
        }
        output.appendPacket(.disconnect, body)
    }
}

/// AUTH, 5.0 alone. [MQTT5 §3.15]
package struct AuthPacket: Equatable, Sendable {
    package var reason: ReasonCode
    package var properties: Properties

    package init(reason: ReasonCode, properties: Properties = Properties()) {
        self.reason = reason
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion, from peer: Peer) throws(ProtocolViolation) {
        guard version == .v5 else { throw .malformed("MQTT3-2.2.1", "Packet type 15 is reserved before 5.0.") }
        self.init(reason: .success)
        var reader = FieldReader(body)
        if reader.remaining > 0 { reason = ReasonCode(rawValue: try reader.byte()) }
        // A server ends the exchange, a client begins it anew. [MQTT5 §3.15.2.1]
        guard reason.isValid(for: .auth), reason != (peer == .client ? .success : .reAuthenticate) else {
            throw .error("MQTT-3.15.2-1", "\(reason.rawValue) is no code of an AUTH from this side.")
        }
        if body.count == 0 { return }
        properties = try Properties.decode(&reader, set: .auth, from: peer)
        if properties.authenticationMethod == nil {
            throw .error("MQTT5 §3.15.2.2.2", "An AUTH has no Authentication Method.")
        }
        try reader.end()
    }

    package func encode(to output: OutputBuffer) {
        let body = OutputBuffer()
        if reason != .success || properties != Properties() {
            body.append(reason.rawValue)
            properties.append(to: body)
        }
        output.appendPacket(.auth, body)
    }
}
