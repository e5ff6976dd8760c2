public import Buffers

/// PUBACK, PUBREC, PUBREL or PUBCOMP read in place. [MQTT5 §3.4–3.7]
public struct AckView {
    @usableFromInline package let packetIdentifier: UInt16
    @usableFromInline package let reasonCode: ReasonCode
    /// Without their length; empty when there are none.
    @usableFromInline package let properties: Bytes

    @inlinable package init(packetIdentifier: UInt16, reasonCode: ReasonCode, properties: Bytes) {
        self.packetIdentifier = packetIdentifier
        self.reasonCode = reasonCode
        self.properties = properties
    }

    @inlinable @inline(__always)
    public static func parse(body: Bytes, type: PacketType, version: ProtocolVersion) throws(ProtocolViolation)
        -> AckView
    {
        guard body.count == 2 else { return try parseLong(body, type: type, version: version) }
        var reader = FieldReader(body)
        return AckView(
            packetIdentifier: try reader.packetIdentifier(), reasonCode: .success,
            properties: Bytes(start: nil, count: 0))
    }

    @inline(never)
    @usableFromInline package static func parseLong(_ body: Bytes, type: PacketType, version: ProtocolVersion)
        throws(ProtocolViolation)
        -> AckView
    {
        var reader = FieldReader(body)
        let identifier = try reader.packetIdentifier()
        guard version == .v5 else {
            throw .malformed("MQTT3-3.4.2", "An acknowledgement has more than its packet identifier.")
        }
        let reason = ReasonCode(rawValue: try reader.byte())
        guard reason.isValid(for: type) else {
            throw .error("MQTT5 §2.4", "Reason code \(reason.rawValue) is not one of \(type).")
        }
        var properties = Bytes(start: nil, count: 0)
        if reader.remaining > 0 {
            let length = try reader.variable()
            properties = try reader.take(length)
            _ = try Properties.decode(properties, set: .acknowledgement, from: .client)
        }
        try reader.end()
        return AckView(packetIdentifier: identifier, reasonCode: reason, properties: properties)
    }
}

public enum AckEncoder {
    /// Appends PUBACK, PUBREC, PUBREL or PUBCOMP; the short form when all is well or the version knows no other.
    @inlinable @inline(__always)
    public static func append(
        _ type: PacketType, packetIdentifier: UInt16, reason: ReasonCode, version: ProtocolVersion,
        to output: OutputBuffer
    ) {
        let isShort = reason.rawValue == 0 || version != .v5
        output.append(type.rawValue << 4 | (type == .pubrel ? 2 : 0))
        output.append(isShort ? 2 : 3)
        output.append(bigEndian: packetIdentifier)
        if !isShort { output.append(reason.rawValue) }
    }
}

package enum PingEncoder {
    package static func appendRequest(to output: OutputBuffer) { output.append(bigEndian: UInt16(0xC000)) }
    package static func appendResponse(to output: OutputBuffer) { output.append(bigEndian: UInt16(0xD000)) }
}
