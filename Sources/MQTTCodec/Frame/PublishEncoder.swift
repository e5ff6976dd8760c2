public import Buffers

/// A PUBLISH to be written: knows its size before it is written. [MQTT5 §3.3]
public struct PublishEncoder {
    @usableFromInline package let topic: Bytes
    @usableFromInline package let payload: Bytes
    @usableFromInline package let firstByte: UInt8
    @usableFromInline package let packetIdentifier: UInt16
    @usableFromInline package let isV5: Bool
    @usableFromInline package let forwarded: Bytes
    @usableFromInline package let expiry: UInt32?
    @usableFromInline package let identifier: UInt32
    @usableFromInline package let otherIdentifiers: [UInt32]?
    @usableFromInline package let topicAlias: UInt16
    /// Bytes of the properties without their length.
    @usableFromInline package let propertyLength: Int
    @usableFromInline package let remainingLength: Int

    /// - Parameters:
    ///   - topic: empty when the alias has been set before.
    ///   - packetIdentifier: left out with QoS 0.
    ///   - forwardedProperties: encoded, without length, alias, identifiers and expiry; ignored before 5.0, as are the
    ///     following ones.
    ///   - messageExpiryInterval: seconds left.
    ///   - subscriptionIdentifier: 0 for none.
    ///   - topicAlias: 0 for none.
    @inlinable @inline(__always)
    public init(
        topic: Bytes, payload: Bytes, qos: QoS, isDuplicate: Bool, isRetained: Bool, packetIdentifier: UInt16,
        version: ProtocolVersion, forwardedProperties: Bytes, messageExpiryInterval: UInt32?,
        subscriptionIdentifier: UInt32, otherSubscriptionIdentifiers: [UInt32]?, topicAlias: UInt16 = 0
    ) {
        self.topic = topic
        self.payload = payload
        firstByte = 0x30 | (isDuplicate ? 8 : 0) | qos.rawValue << 1 | (isRetained ? 1 : 0)
        self.packetIdentifier = qos == .atMostOnce ? 0 : packetIdentifier
        isV5 = version == .v5
        forwarded = forwardedProperties
        expiry = messageExpiryInterval
        identifier = subscriptionIdentifier
        otherIdentifiers = otherSubscriptionIdentifiers
        self.topicAlias = topicAlias
        var length = 2 + topic.count + (qos == .atMostOnce ? 0 : 2) + payload.count
        var properties = 0
        if isV5 {
            properties = forwardedProperties.count
            if messageExpiryInterval != nil { properties += 5 }
            if topicAlias != 0 { properties += 3 }
            if subscriptionIdentifier != 0 {
                properties += 1 + FrameHeader.size(ofVariable: Int(subscriptionIdentifier))
            }
            if let otherSubscriptionIdentifiers {
                for other in otherSubscriptionIdentifiers { properties += 1 + FrameHeader.size(ofVariable: Int(other)) }
            }
            length += FrameHeader.size(ofVariable: properties) + properties
        }
        propertyLength = properties
        remainingLength = length
    }

    /// Bytes of the whole packet.
    @inlinable @inline(__always)
    public var size: Int { 1 + FrameHeader.size(ofVariable: remainingLength) + remainingLength }

    @inlinable @inline(__always)
    public func append(to output: OutputBuffer) {
        output.reserve(size)
        output.append(firstByte)
        FrameHeader.append(variable: remainingLength, to: output)
        output.append(bigEndian: UInt16(truncatingIfNeeded: topic.count))
        output.append(topic)
        if firstByte & 6 != 0 { output.append(bigEndian: packetIdentifier) }
        if isV5 {
            FrameHeader.append(variable: propertyLength, to: output)
            if propertyLength > 0 { appendProperties(to: output) }
        }
        output.append(payload)
    }

    @inline(never)
    @usableFromInline package func appendProperties(to output: OutputBuffer) {
        output.append(forwarded)
        if let expiry {
            output.append(PropertyIdentifier.messageExpiryInterval.rawValue)
            output.append(bigEndian: expiry)
        }
        if topicAlias != 0 {
            output.append(PropertyIdentifier.topicAlias.rawValue)
            output.append(bigEndian: topicAlias)
        }
        if identifier != 0 { appendIdentifier(identifier, to: output) }
        for other in otherIdentifiers ?? [] { appendIdentifier(other, to: output) }
    }

    private func appendIdentifier(_ value: UInt32, to output: OutputBuffer) {
        output.append(PropertyIdentifier.subscriptionIdentifier.rawValue)
        FrameHeader.append(variable: Int(value), to: output)
    }
}
