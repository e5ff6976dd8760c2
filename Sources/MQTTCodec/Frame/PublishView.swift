public import Buffers
import Topics

/// A PUBLISH read in place: everything points into the bytes it was read from and is valid as long as they are.
/// [MQTT5 §3.3]
public struct PublishView {
    @usableFromInline package let qos: QoS
    @usableFromInline package let isDuplicate: Bool
    @usableFromInline package let isRetained: Bool
    /// Not validated yet; empty when an alias stands for it.
    @usableFromInline package let topic: Bytes
    /// 0 with QoS 0.
    @usableFromInline package let packetIdentifier: UInt16
    /// Without their length; checked. Empty before 5.0.
    @usableFromInline package let properties: Bytes
    @usableFromInline package let payload: Bytes
    /// 0 without one.
    @usableFromInline package let topicAlias: UInt16
    /// Seconds.
    @usableFromInline package let messageExpiryInterval: UInt32?
    /// The payload is announced as UTF-8 and is not. [MQTT-3.3.2.3.2]
    @usableFromInline package let isPayloadInvalid: Bool

    @inlinable
    package init(
        flags: UInt8, qos: QoS, topic: Bytes, packetIdentifier: UInt16, properties: Bytes, payload: Bytes,
        scan: PropertyScan
    ) {
        self.qos = qos
        isDuplicate = flags & 8 != 0
        isRetained = flags & 1 != 0
        self.topic = topic
        self.packetIdentifier = packetIdentifier
        self.properties = properties
        self.payload = payload
        topicAlias = scan.topicAlias
        messageExpiryInterval = scan.messageExpiryInterval
        isPayloadInvalid = scan.payloadFormatIsUTF8 && !Self.isText(payload)
    }

    /// What the message path needs of the properties.
    public struct PropertyScan {
        @usableFromInline package var topicAlias: UInt16 = 0
        @usableFromInline package var messageExpiryInterval: UInt32?
        @usableFromInline package var payloadFormatIsUTF8 = false

        @inlinable package init() {}
    }

    /// Checks all but the topic's characters, which ``validateTopic()`` does: a topic seen before needs it no more.
    ///
    /// - Parameters:
    ///   - body: the packet without its fixed header.
    ///   - flags: the fixed header's low four bits.
    @inlinable @inline(__always)
    public static func parse(
        body: Bytes, flags: UInt8, version: ProtocolVersion, from peer: Peer
    ) throws(ProtocolViolation) -> PublishView {
        guard let qos = QoS(rawValue: flags >> 1 & 3) else { throw .malformed("MQTT-3.3.1-4", "QoS 3 is reserved.") }
        if qos == .atMostOnce, flags & 8 != 0 { throw .malformed("MQTT-3.3.1-2", "DUP is set with QoS 0.") }
        var reader = FieldReader(body)
        let topic = try reader.binary()
        let identifier = qos == .atMostOnce ? 0 : try reader.packetIdentifier()
        var properties = Bytes(start: nil, count: 0)
        var scan = PropertyScan()
        if version == .v5 {
            let length = try reader.variable()
            if length > 0 {
                properties = try reader.take(length)
                scan = try Self.scan(properties, from: peer)
            }
        }
        if topic.count == 0, scan.topicAlias == 0 {
            throw version == .v5
                ? .error("MQTT5 §3.3.2.1", "A PUBLISH has neither topic nor Topic Alias.")
                : .malformed("MQTT3-3.3.2-1", "A PUBLISH has no topic.")
        }
        let payload = Bytes(rebasing: body[reader.position...])
        return PublishView(
            flags: flags, qos: qos, topic: topic, packetIdentifier: identifier, properties: properties,
            payload: payload,
            scan: scan)
    }

    /// UTF-8; unlike the protocol's strings a payload may hold U+0000.
    @inline(never)
    @usableFromInline package static func isText(_ payload: Bytes) -> Bool {
        if UTF8Text.isValid(payload) { return true }
        var start = 0
        while start < payload.count {
            let end = payload[start...].firstIndex(of: 0) ?? payload.count
            guard UTF8Text.isValid(Bytes(rebasing: payload[start..<end])) else { return false }
            start = end + 1
        }
        return true
    }

    /// UTF-8, no wildcard, no U+0000. [MQTT-3.3.2-1] [MQTT-3.3.2-2]
    package func validateTopic() throws(ProtocolViolation) { try Self.validate(topic: topic) }

    package static func validate(topic: Bytes) throws(ProtocolViolation) {
        guard UTF8Text.isValid(topic) else { throw .malformed("MQTT-3.3.2-1", "The topic is not UTF-8 or has U+0000.") }
        guard !TopicSyntax.hasWildcard(topic) else {
            throw ProtocolViolation(.topicNameInvalid, clause: "MQTT-3.3.2-2", "The topic has a wildcard.")
        }
    }

    /// Checks the properties and picks what the message path reads, without making values of the others.
    @inline(never)
    @usableFromInline package static func scan(_ properties: Bytes, from peer: Peer) throws(ProtocolViolation)
        -> PropertyScan
    {
        var scan = PropertyScan()
        var reader = FieldReader(properties)
        var seen: UInt64 = 0
        var userProperties = 0
        while reader.remaining > 0 {
            switch try Properties.identifier(&reader, set: .publish, from: peer, seen: &seen) {
            case .payloadFormatIndicator: scan.payloadFormatIsUTF8 = try Properties.flag(&reader)
            case .messageExpiryInterval: scan.messageExpiryInterval = try reader.uint32()
            case .topicAlias: scan.topicAlias = try Properties.alias(&reader)
            case .responseTopic: try Properties.checkResponseTopic(try reader.binary())
            case .subscriptionIdentifier: _ = try Properties.subscriptionIdentifier(&reader)
            case .correlationData: _ = try reader.binary()
            case .userProperty:
                userProperties += 1
                try Properties.checkCount(userProperties, from: peer)
                try checkText(&reader)
                try checkText(&reader)
            default: try checkText(&reader)  // Content Type, the last of the set
            }
        }
        return scan
    }

    private static func checkText(_ reader: inout FieldReader) throws(ProtocolViolation) {
        guard UTF8Text.isValid(try reader.binary()) else {
            throw .malformed("MQTT-1.5.4-1", "A property's string is not UTF-8 or has U+0000.")
        }
    }

    // MARK: Forwarding [MQTT-3.3.2-4] [MQTT-3.3.2-15] [MQTT-3.3.2-17]

    /// Whether these properties hold something that is not forwarded as it is.
    package static func needsRewriting(_ properties: Bytes) -> Bool {
        var found = false
        forEach(properties) { identifier, _ in if !isForwarded(identifier) { found = true } }
        return found
    }

    /// Appends the properties that a server forwards unaltered, in their order: all but Topic Alias, Subscription
    /// Identifier and Message Expiry Interval.
    /// - Parameter properties: as ``parse(body:flags:version:from:)`` accepted them.
    package static func forwardableProperties(of properties: Bytes, to output: OutputBuffer) {
        forEach(properties) { identifier, bytes in if isForwarded(identifier) { output.append(bytes) } }
    }

    private static func isForwarded(_ identifier: UInt8) -> Bool {
        identifier != PropertyIdentifier.topicAlias.rawValue
            && identifier != PropertyIdentifier.subscriptionIdentifier.rawValue
            && identifier != PropertyIdentifier.messageExpiryInterval.rawValue
    }

    /// Walks over a PUBLISH's properties, identifier included in the bytes; stops at what it cannot read.
    private static func forEach(_ properties: Bytes, _ body: (UInt8, Bytes) -> Void) {
        var position = 0
        func length(at offset: Int) -> Int? {
            guard offset + 2 <= properties.count else { return nil }
            return 2 + Int(properties[offset]) << 8 + Int(properties[offset + 1])
        }
        while position < properties.count {
            let identifier = properties[position]
            var size: Int?
            switch PropertyIdentifier(rawValue: identifier) {
            case .payloadFormatIndicator: size = 2
            case .messageExpiryInterval: size = 5
            case .topicAlias: size = 3
            case .contentType, .responseTopic, .correlationData: size = length(at: position + 1).map { 1 + $0 }
            case .userProperty:
                if let name = length(at: position + 1), let value = length(at: position + 1 + name) {
                    size = 1 + name + value
                }
            case .subscriptionIdentifier:
                var end = position + 1
                while end < properties.count, properties[end] >= 0x80 { end += 1 }
                size = end + 1 - position
            default: size = nil
            }
            guard let size, position + size <= properties.count else { return }
            body(identifier, Bytes(rebasing: properties[position..<position + size]))
            position += size
        }
    }
}
