public import Buffers

/// Reads a packet's fields one after another; beyond the end is a malformed packet. [MQTT5 §1.5]
public struct FieldReader {
    @usableFromInline package let bytes: Bytes
    @usableFromInline package var position = 0

    @inlinable @inline(__always)
    public init(_ bytes: Bytes) { self.bytes = bytes }

    @inlinable @inline(__always)
    public var remaining: Int { bytes.count - position }

    @inlinable @inline(__always)
    public mutating func byte() throws(ProtocolViolation) -> UInt8 {
        guard remaining >= 1 else { throw Self.short }
        defer { position += 1 }
        return bytes[position]
    }

    @inlinable @inline(__always)
    public mutating func uint16() throws(ProtocolViolation) -> UInt16 {
        guard remaining >= 2 else { throw Self.short }
        defer { position += 2 }
        return UInt16(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt16.self))
    }

    @inlinable @inline(__always)
    public mutating func uint32() throws(ProtocolViolation) -> UInt32 {
        guard remaining >= 4 else { throw Self.short }
        defer { position += 4 }
        return UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt32.self))
    }

    @inlinable
    public mutating func variable() throws(ProtocolViolation) -> Int {
        var value = 0
        var shift = 0
        for _ in 0..<4 {
            let byte = try byte()
            value |= Int(byte & 0x7F) << shift
            if byte < 0x80 {
                if byte == 0, shift > 0 {
                    throw .malformed("MQTT-1.5.5-1", "A variable byte integer is not in its shortest form.")
                }
                return value
            }
            shift += 7
        }
        throw .malformed("MQTT-1.5.5-1", "A variable byte integer has over four bytes.")
    }

    @inlinable @inline(__always)
    public mutating func take(_ count: Int) throws(ProtocolViolation) -> Bytes {
        guard count >= 0, remaining >= count else { throw Self.short }
        defer { position += count }
        return Bytes(rebasing: bytes[position..<position + count])
    }

    /// Binary data: two bytes of length, then that many.
    @inlinable @inline(__always)
    public mutating func binary() throws(ProtocolViolation) -> Bytes { try take(Int(try uint16())) }

    /// A UTF-8 string, checked.
    mutating func text() throws(ProtocolViolation) -> String {
        let bytes = try binary()
        guard UTF8Text.isValid(bytes) else { throw .malformed("MQTT-1.5.4-1", "A string is not UTF-8 or has U+0000.") }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A packet identifier, which is not zero. [MQTT-2.2.1-3]
    @inlinable @inline(__always)
    public mutating func packetIdentifier() throws(ProtocolViolation) -> UInt16 {
        let identifier = try uint16()
        if identifier == 0 { throw .error("MQTT-2.2.1-3", "A packet identifier is zero.") }
        return identifier
    }

    func end() throws(ProtocolViolation) {
        guard remaining == 0 else { throw .malformed("MQTT-4.13.1-1", "A packet has bytes behind its last field.") }
    }

    @inline(never)
    @usableFromInline package static var short: ProtocolViolation {
        .malformed("MQTT-4.13.1-1", "A packet ends before its last field.")
    }
}
