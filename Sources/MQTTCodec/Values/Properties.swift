package import Buffers
import Topics

/// The properties of one packet, decoded. What is absent is nil; its meaning then is the packet's. [MQTT5 §2.2.2]
package struct Properties: Equatable, Sendable {
    package struct UserProperty: Equatable, Sendable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package var payloadFormatIndicator: UInt8?
    /// Seconds.
    package var messageExpiryInterval: UInt32?
    package var contentType: String?
    package var responseTopic: String?
    package var correlationData: [UInt8]?
    package var subscriptionIdentifiers: [UInt32] = []
    /// Seconds; `UInt32.max` for ever.
    package var sessionExpiryInterval: UInt32?
    package var assignedClientIdentifier: String?
    /// Seconds.
    package var serverKeepAlive: UInt16?
    package var authenticationMethod: String?
    package var authenticationData: [UInt8]?
    package var requestProblemInformation: Bool?
    /// Seconds.
    package var willDelayInterval: UInt32?
    package var requestResponseInformation: Bool?
    package var responseInformation: String?
    package var serverReference: String?
    package var reasonString: String?
    package var receiveMaximum: UInt16?
    package var topicAliasMaximum: UInt16?
    package var topicAlias: UInt16?
    package var maximumQoS: UInt8?
    package var retainAvailable: Bool?
    /// In the order in which they were sent.
    package var userProperties: [UserProperty] = []
    /// Bytes.
    package var maximumPacketSize: UInt32?
    package var wildcardSubscriptionAvailable: Bool?
    package var subscriptionIdentifiersAvailable: Bool?
    package var sharedSubscriptionAvailable: Bool?

    package init() {}
}

// MARK: Reading

extension Properties {
    /// Decodes the properties of a PUBLISH that were accepted before (``PublishView/properties``).
    package static func decode(_ bytes: Bytes) throws(ProtocolViolation) -> Properties {
        try decode(bytes, set: .publish, from: .server)
    }

    /// - Parameter bytes: the properties without their length.
    package static func decode(_ bytes: Bytes, set: PropertySet, from peer: Peer) throws(ProtocolViolation)
        -> Properties
    {
        var properties = Properties()
        var reader = FieldReader(bytes)
        var seen: UInt64 = 0
        while reader.remaining > 0 {
            let identifier = try identifier(&reader, set: set, from: peer, seen: &seen)
            try properties.read(identifier, &reader)
            if identifier == .userProperty { try checkCount(properties.userProperties.count, from: peer) }
        }
        if properties.authenticationData != nil, properties.authenticationMethod == nil {
            throw .error("MQTT5 §3.1.2.11.10", "Authentication Data came without an Authentication Method.")
        }
        return properties
    }

    static func decode(_ reader: inout FieldReader, set: PropertySet, from peer: Peer) throws(ProtocolViolation)
        -> Properties
    {
        let length = try reader.variable()
        return try decode(try reader.take(length), set: set, from: peer)
    }

    /// User properties of a client's packet: each costs whoever reads them an allocation or two.
    package static let maximumUserProperties = 100

    static func checkCount(_ count: Int, from peer: Peer) throws(ProtocolViolation) {
        guard count <= maximumUserProperties || peer != .client else {
            throw ProtocolViolation(
                .quotaExceeded, clause: "MQTT-4.13.1-1",
                "The packet has over \(maximumUserProperties) user properties.")
        }
    }

    /// The next identifier, if the set has it and it may come (again). [MQTT5 §2.2.2.2]
    package static func identifier(
        _ reader: inout FieldReader, set: PropertySet, from peer: Peer, seen: inout UInt64
    ) throws(ProtocolViolation) -> PropertyIdentifier {
        let number = try reader.variable()
        guard number < 64, let identifier = PropertyIdentifier(rawValue: UInt8(number)) else {
            throw .malformed("MQTT5 §2.2.2.2", "\(number) is no property.")
        }
        let bit: UInt64 = 1 << UInt64(number)
        guard set.mask & bit != 0 else {
            throw .malformed("MQTT5 §2.2.2.2", "The property \(identifier) is not allowed here.")
        }
        if identifier == .subscriptionIdentifier, set == .publish, peer == .client {
            throw .error("MQTT-3.3.4-6", "A client's PUBLISH has a Subscription Identifier.")
        }
        let mayRepeat = identifier == .userProperty || identifier == .subscriptionIdentifier && set == .publish
        guard mayRepeat || seen & bit == 0 else {
            throw .error("MQTT5 §2.2.2.2", "The property \(identifier) came twice.")
        }
        seen |= bit
        return identifier
    }

    private mutating func read(_ identifier: PropertyIdentifier, _ reader: inout FieldReader) throws(ProtocolViolation)
    {
        switch identifier {
        case .payloadFormatIndicator: payloadFormatIndicator = try Self.flag(&reader) ? 1 : 0
        case .messageExpiryInterval: messageExpiryInterval = try reader.uint32()
        case .contentType: contentType = try reader.text()
        case .responseTopic: responseTopic = try Self.responseTopic(&reader)
        case .correlationData: correlationData = Array(try reader.binary())
        case .subscriptionIdentifier: subscriptionIdentifiers.append(try Self.subscriptionIdentifier(&reader))
        case .sessionExpiryInterval: sessionExpiryInterval = try reader.uint32()
        case .assignedClientIdentifier: assignedClientIdentifier = try reader.text()
        case .serverKeepAlive: serverKeepAlive = try reader.uint16()
        case .authenticationMethod: authenticationMethod = try reader.text()
        case .authenticationData: authenticationData = Array(try reader.binary())
        case .requestProblemInformation: requestProblemInformation = try Self.flag(&reader)
        case .willDelayInterval: willDelayInterval = try reader.uint32()
        case .requestResponseInformation: requestResponseInformation = try Self.flag(&reader)
        case .responseInformation: responseInformation = try reader.text()
        case .serverReference: serverReference = try reader.text()
        case .reasonString: reasonString = try reader.text()
        case .receiveMaximum: receiveMaximum = try Self.notZero(try reader.uint16(), identifier)
        case .topicAliasMaximum: topicAliasMaximum = try reader.uint16()
        case .topicAlias: topicAlias = try Self.alias(&reader)
        case .maximumQoS: maximumQoS = try Self.flag(&reader) ? 1 : 0
        case .retainAvailable: retainAvailable = try Self.flag(&reader)
        case .userProperty:
            userProperties.append(UserProperty(name: try reader.text(), value: try reader.text()))
        case .maximumPacketSize: maximumPacketSize = try Self.notZero(try reader.uint32(), identifier)
        case .wildcardSubscriptionAvailable: wildcardSubscriptionAvailable = try Self.flag(&reader)
        case .subscriptionIdentifiersAvailable: subscriptionIdentifiersAvailable = try Self.flag(&reader)
        case .sharedSubscriptionAvailable: sharedSubscriptionAvailable = try Self.flag(&reader)
        }
    }

    package static func flag(_ reader: inout FieldReader) throws(ProtocolViolation) -> Bool {
        switch try reader.byte() {
        case 0: false
        case 1: true
        default: throw .error("MQTT5 §2.2.2.2", "A property that is 0 or 1 has another value.")
        }
    }

    private static func notZero<T: FixedWidthInteger>(_ value: T, _ identifier: PropertyIdentifier)
        throws(ProtocolViolation) -> T
    {
        if value == 0 { throw .error("MQTT5 §3.1.2.11", "The property \(identifier) is zero.") }
        return value
    }

    package static func alias(_ reader: inout FieldReader) throws(ProtocolViolation) -> UInt16 {
        let alias = try reader.uint16()
        if alias == 0 { throw ProtocolViolation(.topicAliasInvalid, clause: "MQTT-3.3.2-8", "A Topic Alias is zero.") }
        return alias
    }

    package static func subscriptionIdentifier(_ reader: inout FieldReader) throws(ProtocolViolation) -> UInt32 {
        let value = try reader.variable()
        if value == 0 { throw .error("MQTT5 §3.8.2.1.2", "A Subscription Identifier is zero.") }
        return UInt32(value)
    }

    private static func responseTopic(_ reader: inout FieldReader) throws(ProtocolViolation) -> String {
        let bytes = try reader.binary()
        try checkResponseTopic(bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    package static func checkResponseTopic(_ bytes: Bytes) throws(ProtocolViolation) {
        guard UTF8Text.isValid(bytes) else { throw .malformed("MQTT-3.3.2-13", "The Response Topic is not UTF-8.") }
        if TopicSyntax.hasWildcard(bytes) { throw .error("MQTT-3.3.2-14", "The Response Topic has a wildcard.") }
    }
}

// MARK: Writing

extension Properties {
    /// Appends length and properties.
    func append(to output: OutputBuffer) {
        let body = OutputBuffer()
        appendBody(to: body)
        FrameHeader.append(variable: body.count, to: output)
        output.append(body.bytes)
    }

    /// Appends what a server forwards of a message's properties, in the form of ``PublishView/properties``.
    package func appendForwarded(to output: OutputBuffer) {
        var forwarded = Properties()
        forwarded.payloadFormatIndicator = payloadFormatIndicator
        forwarded.contentType = contentType
        forwarded.responseTopic = responseTopic
        forwarded.correlationData = correlationData
        forwarded.userProperties = userProperties
        forwarded.appendBody(to: output)
    }

    /// Appends the properties without their length.
    package func appendBody(to output: OutputBuffer) {
        let writer = PropertyWriter(output: output)
        writer.byte(.payloadFormatIndicator, payloadFormatIndicator)
        writer.uint32(.messageExpiryInterval, messageExpiryInterval)
        writer.text(.contentType, contentType)
        writer.text(.responseTopic, responseTopic)
        writer.binary(.correlationData, correlationData)
        for identifier in subscriptionIdentifiers { writer.variable(.subscriptionIdentifier, Int(identifier)) }
        writer.uint32(.sessionExpiryInterval, sessionExpiryInterval)
        writer.text(.assignedClientIdentifier, assignedClientIdentifier)
        writer.uint16(.serverKeepAlive, serverKeepAlive)
        writer.text(.authenticationMethod, authenticationMethod)
        writer.binary(.authenticationData, authenticationData)
        writer.flag(.requestProblemInformation, requestProblemInformation)
        writer.uint32(.willDelayInterval, willDelayInterval)
        writer.flag(.requestResponseInformation, requestResponseInformation)
        writer.text(.responseInformation, responseInformation)
        writer.text(.serverReference, serverReference)
        writer.text(.reasonString, reasonString)
        writer.uint16(.receiveMaximum, receiveMaximum)
        writer.uint16(.topicAliasMaximum, topicAliasMaximum)
        writer.uint16(.topicAlias, topicAlias)
        writer.byte(.maximumQoS, maximumQoS)
        writer.flag(.retainAvailable, retainAvailable)
        for property in userProperties { writer.pair(.userProperty, property.name, property.value) }
        writer.uint32(.maximumPacketSize, maximumPacketSize)
        writer.flag(.wildcardSubscriptionAvailable, wildcardSubscriptionAvailable)
        writer.flag(.subscriptionIdentifiersAvailable, subscriptionIdentifiersAvailable)
        writer.flag(.sharedSubscriptionAvailable, sharedSubscriptionAvailable)
    }
}

/// Appends properties that are there.
private struct PropertyWriter {
    let output: OutputBuffer

    func byte(_ identifier: PropertyIdentifier, _ value: UInt8?) {
        guard let value else { return }
        output.append(identifier.rawValue)
        output.append(value)
    }

    func flag(_ identifier: PropertyIdentifier, _ value: Bool?) { byte(identifier, value.map { $0 ? 1 : 0 }) }

    func uint16(_ identifier: PropertyIdentifier, _ value: UInt16?) {
        guard let value else { return }
        output.append(identifier.rawValue)
        output.append(bigEndian: value)
    }

    func uint32(_ identifier: PropertyIdentifier, _ value: UInt32?) {
        guard let value else { return }
        output.append(identifier.rawValue)
        output.append(bigEndian: value)
    }

    func variable(_ identifier: PropertyIdentifier, _ value: Int) {
        output.append(identifier.rawValue)
        FrameHeader.append(variable: value, to: output)
    }

    func text(_ identifier: PropertyIdentifier, _ value: String?) {
        guard let value else { return }
        output.append(identifier.rawValue)
        output.appendField(value)
    }

    func binary(_ identifier: PropertyIdentifier, _ value: [UInt8]?) {
        guard let value else { return }
        output.append(identifier.rawValue)
        output.appendField(value)
    }

    func pair(_ identifier: PropertyIdentifier, _ name: String, _ value: String) {
        output.append(identifier.rawValue)
        output.appendField(name)
        output.appendField(value)
    }
}

extension OutputBuffer {
    /// Two bytes of length, then the text; what is beyond 65,535 bytes cannot be sent and is cut.
    func appendField(_ text: String) {
        var text = text
        text.withUTF8 { appendField(Bytes($0)) }
    }

    func appendField(_ bytes: [UInt8]) { bytes.withUnsafeBytes { appendField($0) } }

    func appendField(_ bytes: Bytes) {
        let count = min(bytes.count, 65_535)
        append(bigEndian: UInt16(count))
        append(Bytes(rebasing: bytes[..<count]))
    }
}
