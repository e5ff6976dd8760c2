public import Buffers

/// The fixed header: type, flags, and how long the packet is. [MQTT5 §2.1]
public struct FrameHeader: Equatable, Sendable {
    @usableFromInline package let type: PacketType
    /// The low four bits of the first byte.
    @usableFromInline package let flags: UInt8
    @usableFromInline package let headerLength: Int
    @usableFromInline package let remainingLength: Int

    /// Reads the header at the front of what has arrived; needs no more than the header's own bytes, so that a packet
    /// that is too large can be refused before it comes.
    ///
    /// - Parameter version: 3.1 has a DUP flag in PUBREL, SUBSCRIBE and UNSUBSCRIBE.
    /// - Returns: nil when more bytes are needed.
    /// - Throws: a reserved type or flag, a length that is not minimal or over four bytes. [MQTT-2.1.3-1] [MQTT-1.5.5-1]
    @inlinable @inline(__always)
    public static func read(_ bytes: Bytes, version: ProtocolVersion = .v5) throws(ProtocolViolation) -> FrameHeader? {
        guard bytes.count >= 2, let base = bytes.baseAddress else {
            if bytes.count == 1 { _ = try checkedType(bytes[0], version) }
            return nil
        }
        let first = base.load(as: UInt8.self)
        let type = try checkedType(first, version)
        let second = base.load(fromByteOffset: 1, as: UInt8.self)
        if second < 0x80 {
            return FrameHeader(type: type, flags: first & 15, headerLength: 2, remainingLength: Int(second))
        }
        return try readLong(bytes, type: type, flags: first & 15)
    }

    @inlinable package init(type: PacketType, flags: UInt8, headerLength: Int, remainingLength: Int) {
        self.type = type
        self.flags = flags
        self.headerLength = headerLength
        self.remainingLength = remainingLength
    }

    @inline(never)
    @usableFromInline package static func readLong(_ bytes: Bytes, type: PacketType, flags: UInt8)
        throws(ProtocolViolation)
        -> FrameHeader?
    {
        var value = 0
        var shift = 0
        for position in 1..<5 {
            guard position < bytes.count else { return nil }
            let byte = bytes[position]
            value |= Int(byte & 0x7F) << shift
            shift += 7
            guard byte < 0x80 else { continue }
            if byte == 0 { throw .malformed("MQTT-1.5.5-1", "The remaining length is not in its shortest form.") }
            return FrameHeader(type: type, flags: flags, headerLength: position + 1, remainingLength: value)
        }
        throw .malformed("MQTT-1.5.5-1", "The remaining length has over four bytes.")
    }

    /// The type of a first byte whose flags are what that type demands.
    @inlinable @inline(__always)
    public static func checkedType(_ first: UInt8, _ version: ProtocolVersion) throws(ProtocolViolation) -> PacketType {
        guard let type = PacketType(rawValue: first >> 4) else {
            throw .malformed("MQTT5 §2.1.2", "Packet type 0 is reserved.")
        }
        let flags = first & 15
        switch type {
        case .publish: return type
        case .pubrel, .subscribe, .unsubscribe:
            if flags != 2, flags != 10 || version != .v31 {
                throw .malformed("MQTT-2.1.3-1", "Reserved flags of the fixed header are wrong.")
            }
        default:
            if flags != 0 { throw .malformed("MQTT-2.1.3-1", "Reserved flags of the fixed header are wrong.") }
        }
        return type
    }

    /// Bytes of a variable byte integer.
    @inlinable @inline(__always)
    public static func size(ofVariable value: Int) -> Int {
        value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4
    }

    /// Appends a variable byte integer; at most 268,435,455.
    @inlinable @inline(__always)
    public static func append(variable value: Int, to output: OutputBuffer) {
        var rest = value
        while rest >= 0x80 {
            output.append(UInt8(truncatingIfNeeded: rest & 0x7F | 0x80))
            rest >>= 7
        }
        output.append(UInt8(truncatingIfNeeded: rest))
    }
}
