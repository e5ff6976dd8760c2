package import Buffers
import Topics

/// The message that the server publishes for a client that goes without saying goodbye. [MQTT5 §3.1.2.5]
package struct WillMessage: Equatable, Sendable {
    package var topic: String
    package var payload: [UInt8]
    package var qos: QoS
    package var retain: Bool
    package var properties: Properties

    package init(
        topic: String, payload: [UInt8], qos: QoS = .atMostOnce, retain: Bool = false,
        properties: Properties = Properties()
    ) {
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.properties = properties
    }
}

/// CONNECT. [MQTT5 §3.1]
package struct ConnectPacket: Equatable, Sendable {
    package var version: ProtocolVersion
    package var clientID: String
    /// Clean Session before 5.0.
    package var cleanStart: Bool
    /// Seconds; 0 for none.
    package var keepAlive: UInt16
    package var username: String?
    package var password: [UInt8]?
    package var will: WillMessage?
    package var properties: Properties

    package init(
        version: ProtocolVersion, clientID: String, cleanStart: Bool = true, keepAlive: UInt16 = 60,
        username: String? = nil,
        password: [UInt8]? = nil, will: WillMessage? = nil, properties: Properties = Properties()
    ) {
        self.version = version
        self.clientID = clientID
        self.cleanStart = cleanStart
        self.keepAlive = keepAlive
        self.username = username
        self.password = password
        self.will = will
        self.properties = properties
    }
}

extension ConnectPacket {
    init(_ body: Bytes) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        let version = try Self.version(&reader)
        do {
            self = try Self.fields(&reader, version: version)
        } catch {
            // A 5.0 client can be told why; the older versions just close. [MQTT-3.1.4-1]
            var violation = error
            if version == .v5 { violation.connackVersion = .v5 }
            throw violation
        }
    }

    private static func version(_ reader: inout FieldReader) throws(ProtocolViolation) -> ProtocolVersion {
        let name = try reader.text()
        guard name == "MQTT" || name == "MQIsdp" else {
            throw ProtocolViolation(
                .unsupportedProtocolVersion, clause: "MQTT-3.1.2-1", "The protocol's name is \"\(name)\".")
        }
        let level = try reader.byte()
        guard let version = ProtocolVersion(rawValue: level), version.protocolName == name else {
            // A bridge sets the highest bit of its 3.x level, and without it tries again once 3.x's code 1 answers it.
            let isBridge = level == 0x83 || level == 0x84
            throw ProtocolViolation(
                .unsupportedProtocolVersion, clause: "MQTT-3.1.2-2", "Protocol level \(level) of \(name) is not known.",
                connackVersion: level > 5 && !isBridge ? .v5 : .v311)
        }
        return version
    }

    private static func fields(_ reader: inout FieldReader, version: ProtocolVersion) throws(ProtocolViolation)
        -> ConnectPacket
    {
        let flags = try reader.byte()
        if flags & 1 != 0 { throw .malformed("MQTT-3.1.2-3", "The reserved flag of CONNECT is set.") }
        let hasWill = flags & 4 != 0
        guard let willQoS = QoS(rawValue: flags >> 3 & 3) else {
            throw .malformed("MQTT-3.1.2-12", "The will has QoS 3.")
        }
        if !hasWill, flags & 0x38 != 0 {
            throw .malformed("MQTT-3.1.2-11", "There are flags of a will and there is no will.")
        }
        if version != .v5, flags & 0x40 != 0, flags & 0x80 == 0 {
            throw .malformed("MQTT3-3.1.2-22", "A password came without a user name.")
        }
        var packet = ConnectPacket(
            version: version, clientID: "", cleanStart: flags & 2 != 0, keepAlive: try reader.uint16())
        if version == .v5 { packet.properties = try Properties.decode(&reader, set: .connect, from: .client) }
        packet.clientID = try reader.text()
        if hasWill {
            packet.will = try will(&reader, version: version, qos: willQoS, retain: flags & 0x20 != 0)
        }
        // In 3.1 the length takes precedence over these two flags. [MQTT 3.1 §3.1]
        if flags & 0x80 != 0, version != .v31 || reader.remaining > 0 { packet.username = try reader.text() }
        if flags & 0x40 != 0, version != .v31 || reader.remaining > 0 { packet.password = Array(try reader.binary()) }
        try reader.end()
        return packet
    }

    private static func will(
        _ reader: inout FieldReader, version: ProtocolVersion, qos: QoS, retain: Bool
    ) throws(ProtocolViolation) -> WillMessage {
        let properties = version == .v5 ? try Properties.decode(&reader, set: .will, from: .client) : Properties()
        let topic = try reader.binary()
        if topic.count == 0 { throw .malformed("MQTT-4.7.3-1", "The will has no topic.") }
        do {
            try PublishView.validate(topic: topic)
        } catch {
            throw ProtocolViolation(error.reason, clause: "MQTT-3.1.3-11", "The will's topic: \(error.message)")
        }
        let payload = try reader.binary()
        if properties.payloadFormatIndicator == 1, !PublishView.isText(payload) {
            throw ProtocolViolation(.payloadFormatInvalid, clause: "MQTT-3.1.3.2.3", "The will's payload is not UTF-8.")
        }
        return WillMessage(
            topic: String(decoding: topic, as: UTF8.self), payload: Array(payload), qos: qos, retain: retain,
            properties: properties)
    }

    package func encode(to output: OutputBuffer) {
        let body = OutputBuffer()
        body.appendField(version.protocolName)
        body.append(version.rawValue)
        var flags: UInt8 = cleanStart ? 2 : 0
        if let will { flags |= 4 | will.qos.rawValue << 3 | (will.retain ? 0x20 : 0) }
        if password != nil { flags |= 0x40 }
        if username != nil { flags |= 0x80 }
        body.append(flags)
        body.append(bigEndian: keepAlive)
        if version == .v5 { properties.append(to: body) }
        body.appendField(clientID)
        if let will {
            if version == .v5 { will.properties.append(to: body) }
            body.appendField(will.topic)
            body.appendField(will.payload)
        }
        if let username { body.appendField(username) }
        if let password { body.appendField(password) }
        output.appendPacket(.connect, body)
    }
}

/// CONNACK. [MQTT5 §3.2]
package struct ConnackPacket: Equatable, Sendable {
    package var sessionPresent: Bool
    package var reason: ReasonCode
    package var properties: Properties

    package init(sessionPresent: Bool, reason: ReasonCode, properties: Properties = Properties()) {
        self.sessionPresent = sessionPresent
        self.reason = reason
        self.properties = properties
    }

    init(_ body: Bytes, version: ProtocolVersion) throws(ProtocolViolation) {
        var reader = FieldReader(body)
        let flags = try reader.byte()
        if flags > 1 { throw .malformed("MQTT-3.2.2-1", "Reserved flags of CONNACK are set.") }
        let code = try reader.byte()
        guard let reason = ReasonCode(connackCode: code, version: version) else {
            throw .error(version == .v5 ? "MQTT-3.2.2-8" : "MQTT3-3.2.2-6", "\(code) is no code of CONNACK.")
        }
        // 3.1 reserves the byte and has no such flag.
        self.init(sessionPresent: flags == 1 && version != .v31, reason: reason)
        if sessionPresent, reason != .success { throw .error("MQTT-3.2.2-6", "A refusal has Session Present set.") }
        if version == .v5 {
            properties = try Properties.decode(&reader, set: .connack, from: .server)
        }
        try reader.end()
    }

    package func encode(to output: OutputBuffer, version: ProtocolVersion) {
        let body = OutputBuffer()
        body.append(sessionPresent && !reason.isError && version != .v31 ? 1 : 0)
        body.append(version == .v5 ? reason.rawValue : reason.connectReturnCode)
        if version == .v5 { properties.append(to: body) }
        output.appendPacket(.connack, body)
    }
}

extension OutputBuffer {
    /// Appends fixed header and body.
    func appendPacket(_ type: PacketType, flags: UInt8 = 0, _ body: OutputBuffer) {
        append(type.rawValue << 4 | flags)
        FrameHeader.append(variable: body.count, to: self)
        append(body.bytes)
    }
}
