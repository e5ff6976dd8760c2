import Buffers

/// Reads what another node sent, field by field. What is beyond the end reads as nothing and is remembered, so that a
/// length from outside never leads anywhere.
struct WireReader {
    private let bytes: Bytes
    private(set) var position = 0
    private(set) var hasFailed = false

    init(_ bytes: Bytes) { self.bytes = bytes }

    var remaining: Int { bytes.count - position }
    /// Everything has been read and nothing was missing.
    var isComplete: Bool { !hasFailed && remaining == 0 }

    mutating func byte() -> UInt8 { integer(UInt8.self) }

    /// Little-endian.
    mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T {
        let part = take(MemoryLayout<T>.size)
        guard part.count == MemoryLayout<T>.size else { return 0 }
        return T(littleEndian: part.loadUnaligned(as: type))
    }

    /// Seven bits a byte, the low ones first; at most 32 bits.
    mutating func variable() -> UInt32 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), through: 28, by: 7) {
            let byte = byte()
            value |= UInt64(byte & 0x7F) << shift
            guard byte & 0x80 != 0 else {
                if value > UInt64(UInt32.max) { hasFailed = true }
                return UInt32(truncatingIfNeeded: value)
            }
        }
        hasFailed = true
        return 0
    }

    /// A count of two bytes, then so many bytes.
    mutating func counted() -> Bytes { take(Int(integer(UInt16.self))) }

    mutating func take(_ count: Int) -> Bytes {
        guard count >= 0, count <= remaining else {
            hasFailed = true
            return Bytes(start: nil, count: 0)
        }
        defer { position += count }
        return Bytes(rebasing: bytes[position..<(position + count)])
    }
}

extension OutputBuffer {
    /// Little-endian, as ``WireReader`` reads.
    func append<T: FixedWidthInteger & BitwiseCopyable>(wire value: T) {
        reserve(MemoryLayout<T>.size)
        writePointer.storeBytes(of: value.littleEndian, as: T.self)
        advance(MemoryLayout<T>.size)
    }

    func append(variable value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        append(UInt8(rest))
    }

    /// At most 65,535 bytes.
    func append(countedBytes bytes: Bytes) {
        append(wire: UInt16(clamping: bytes.count))
        append(bytes)
    }
}

/// FNV-1a by bytes with a final mix: the same on all nodes, whatever their processor.
func wireHash(_ bytes: Bytes, seed: UInt64 = 0) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325 ^ seed
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    hash ^= hash >> 32
    hash = hash &* 0x9E37_79B9_7F4A_7C15
    return hash ^ (hash >> 29)
}
