package import Buffers

/// A PUBLISH as a value. The message path reads ``PublishView`` instead.
package struct PublishPacket: Equatable, Sendable {
    package var topic: String
    package var payload: [UInt8]
    package var qos: QoS
    package var isDuplicate: Bool
    package var isRetained: Bool
    package var packetIdentifier: UInt16
    package var properties: Properties

    package init(
        topic: String, payload: [UInt8], qos: QoS = .atMostOnce, isDuplicate: Bool = false, isRetained: Bool = false,
        packetIdentifier: UInt16 = 0, properties: Properties = Properties()
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.isDuplicate = isDuplicate
        self.isRetained = isRetained
        self.packetIdentifier = packetIdentifier
        self.properties = properties
    }

    init(_ body: Bytes, flags: UInt8, version: ProtocolVersion, from peer: Peer) throws(ProtocolViolation) {
        let view = try PublishView.parse(body: body, flags: flags, version: version, from: peer)
        try view.validateTopic()
        self.init(
            topic: String(decoding: view.topic, as: UTF8.self), payload: Array(view.payload), qos: view.qos,
            isDuplicate: view.isDuplicate, isRetained: view.isRetained, packetIdentifier: view.packetIdentifier,
            properties: try Properties.decode(view.properties, set: .publish, from: peer))
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let encoded = OutputBuffer()
        if version == .v5 { properties.appendBody(to: encoded) }
        var topic = topic
        topic.withUTF8 { topic in
            payload.withUnsafeBytes { payload in
                PublishEncoder(
                    topic: Bytes(topic), payload: payload, qos: qos, isDuplicate: isDuplicate, isRetained: isRetained,
                    packetIdentifier: packetIdentifier, version: version, forwardedProperties: encoded.bytes,
                    messageExpiryInterval: nil, subscriptionIdentifier: 0, otherSubscriptionIdentifiers: nil
                ).append(to: output)
            }
        }
    }
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP as a value.
package struct AckPacket: Equatable, Sendable {
    package var packetIdentifier: UInt16
    package var reason: ReasonCode
    package var properties: Properties

    package init(packetIdentifier: UInt16, reason: ReasonCode = .success, properties: Properties = Properties()) {
        self.packetIdentifier = packetIdentifier
        self.reason = reason
        self.properties = properties
    }

    init(_ body: Bytes, type: PacketType, version: ProtocolVersion, from peer: Peer) throws(ProtocolViolation) {
        let view = try AckView.parse(body: body, type: type, version: version)
        self.init(
            packetIdentifier: view.packetIdentifier, reason: view.reasonCode,
            properties: try Properties.decode(view.properties, set: .acknowledgement, from: peer))
    }

    func encode(_ type: PacketType, to output: OutputBuffer, version: ProtocolVersion) {
        guard version == .v5, properties != Properties() else {
            AckEncoder.append(type, packetIdentifier: packetIdentifier, reason: reason, version: version, to: output)
            return
        }
        let body = OutputBuffer()
        body.append(bigEndian: packetIdentifier)
        body.append(reason.rawValue)
        properties.append(to: body)
        output.appendPacket(type, flags: type == .pubrel ? 2 : 0, body)
    }
}

/// Any control packet, decoded into values.
package enum Packet: Equatable, Sendable {
    case connect(ConnectPacket)
    case connack(ConnackPacket)
    case publish(PublishPacket)
    case puback(AckPacket)
    case pubrec(AckPacket)
    case pubrel(AckPacket)
    case pubcomp(AckPacket)
    case subscribe(SubscribePacket)
    case suback(SubackPacket)
    case unsubscribe(UnsubscribePacket)
    case unsuback(UnsubackPacket)
    case pingreq
    case pingresp
    case disconnect(DisconnectPacket)
    case auth(AuthPacket)
}

extension Packet {
    /// - Parameters:
    ///   - body: as many bytes as the header announced.
    ///   - version: what CONNECT has agreed on; CONNECT itself says its own.
    ///   - peer: who sent it: a packet that this side does not send is a protocol error.
    package static func decode(
        header: FrameHeader, body: Bytes, version: ProtocolVersion, from peer: Peer
    ) throws(ProtocolViolation) -> Packet {
        guard header.type.isSent(by: peer) else {
            throw .error("MQTT-4.13.1-1", "A \(peer) does not send \(header.type).")
        }
        switch header.type {
        case .connect: return .connect(try ConnectPacket(body))
        case .connack: return .connack(try ConnackPacket(body, version: version))
        case .publish: return .publish(try PublishPacket(body, flags: header.flags, version: version, from: peer))
        case .puback: return .puback(try AckPacket(body, type: .puback, version: version, from: peer))
        case .pubrec: return .pubrec(try AckPacket(body, type: .pubrec, version: version, from: peer))
        case .pubrel: return .pubrel(try AckPacket(body, type: .pubrel, version: version, from: peer))
        case .pubcomp: return .pubcomp(try AckPacket(body, type: .pubcomp, version: version, from: peer))
        case .subscribe: return .subscribe(try SubscribePacket(body, version: version))
        case .suback: return .suback(try SubackPacket(body, version: version))
        case .unsubscribe: return .unsubscribe(try UnsubscribePacket(body, version: version))
        case .unsuback: return .unsuback(try UnsubackPacket(body, version: version))
        case .pingreq, .pingresp:
            guard body.count == 0 else { throw .malformed("MQTT5 §3.12", "A \(header.type) has a body.") }
            return header.type == .pingreq ? .pingreq : .pingresp
        case .disconnect: return .disconnect(try DisconnectPacket(body, version: version, from: peer))
        case .auth: return .auth(try AuthPacket(body, version: version, from: peer))
        }
    }

    /// Appends the packet's bytes.
    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        switch self {
        case .connect(let packet): packet.encode(to: output)
        case .connack(let packet): packet.encode(to: output, version: version)
        case .publish(let packet): packet.encode(to: output, version: version)
        case .puback(let packet): packet.encode(.puback, to: output, version: version)
        case .pubrec(let packet): packet.encode(.pubrec, to: output, version: version)
        case .pubrel(let packet): packet.encode(.pubrel, to: output, version: version)
        case .pubcomp(let packet): packet.encode(.pubcomp, to: output, version: version)
        case .subscribe(let packet): packet.encode(to: output, version: version)
        case .suback(let packet): packet.encode(to: output, version: version)
        case .unsubscribe(let packet): packet.encode(to: output, version: version)
        case .unsuback(let packet): packet.encode(to: output, version: version)
        case .pingreq: PingEncoder.appendRequest(to: output)
        case .pingresp: PingEncoder.appendResponse(to: output)
        case .disconnect(let packet): packet.encode(to: output, version: version)
        case .auth(let packet): packet.encode(to: output)
        }
    }
}

extension PacketType {
    /// Which side sends such packets. [MQTT5 §2.1.2]
    package func isSent(by peer: Peer) -> Bool {
        switch self {
        case .connect, .subscribe, .unsubscribe, .pingreq: peer == .client
        case .connack, .suback, .unsuback, .pingresp: peer == .server
        default: true
        }
    }
}
