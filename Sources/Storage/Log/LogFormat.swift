import Buffers
import CCRC32C
import Glibc

/// Where a record begins: segment number above, byte offset in the file below. Ordered as the log is.
package struct LogLocation: Hashable, Comparable, Sendable, BitwiseCopyable {
    package var rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }
    package init(segment: UInt32, offset: Int) { rawValue = UInt64(segment) << 32 | UInt64(UInt32(offset)) }

    package var segment: UInt32 { UInt32(rawValue >> 32) }
    package var offset: Int { Int(rawValue & 0xFFFF_FFFF) }
    package static func < (a: LogLocation, b: LogLocation) -> Bool { a.rawValue < b.rawValue }
}

/// The bytes of segment files; docs/reference/log-format.md says it in words. All numbers are little-endian.
///
/// A record's CRC also covers its place and the segment's salt, so that bytes that only look like a record (in a
/// payload that a client made up, or at another place) are not taken for one.
package enum LogFormat {
    package static let magic: UInt64 = 0x474F_4C43_4955_4C53  // "SLUICLOG"
    package static let version: UInt32 = 1
    /// Bytes of the header at the beginning of each file.
    package static let headerBytes = 64
    /// Bytes before the payload of a record: CRC, length, sequence and type.
    package static let frameBytes = 16
    package static let maximumPayload = 1 << 29
    /// The last record of a segment that has been filled. No payload.
    package static let sealType: UInt8 = 255
    package static let sequenceMask: UInt64 = 0x00FF_FFFF_FFFF_FFFF

    @inline(__always)
    package static func padded(_ count: Int) -> Int { (count + 7) & ~7 }
    /// What a record with such a payload takes in the file.
    package static func frameSize(payload: Int) -> Int { frameBytes + padded(payload) }

    static func fileName(_ segment: UInt32) -> String {
        let digits = String(segment)
        return String(repeating: "0", count: max(0, 10 - digits.utf8.count)) + digits + ".log"
    }

    static func segmentNumber(fileName: String) -> UInt32? {
        guard fileName.hasSuffix(".log") else { return nil }
        return UInt32(fileName.dropLast(4))
    }

    static func header(segment: UInt32, firstSequence: UInt64, salt: UInt64) -> OutputBuffer {
        let buffer = OutputBuffer(capacity: headerBytes)
        buffer.append(raw: magic)
        buffer.append(raw: version)
        buffer.append(raw: segment)
        buffer.append(raw: firstSequence)
        buffer.append(raw: salt)
        while buffer.count < headerBytes - 4 { buffer.append(0) }
        buffer.append(raw: sluice_crc32c(0, buffer.bytes.baseAddress, buffer.count))
        return buffer
    }

    enum Header { case intact(firstSequence: UInt64, salt: UInt64), damaged, version(UInt32) }

    static func readHeader(_ bytes: Bytes, segment: UInt32) -> Header {
        guard bytes.count >= headerBytes, bytes.raw(0, as: UInt64.self) == magic,
            bytes.raw(headerBytes - 4, as: UInt32.self) == sluice_crc32c(0, bytes.baseAddress, headerBytes - 4)
        else { return .damaged }
        let version = bytes.raw(8, as: UInt32.self)
        guard version == Self.version else { return .version(version) }
        guard bytes.raw(12, as: UInt32.self) == segment else { return .damaged }
        return .intact(firstSequence: bytes.raw(16, as: UInt64.self), salt: bytes.raw(24, as: UInt64.self))
    }

    /// The CRC of a record, from that of its padded payload.
    @inline(__always)
    static func frameCRC(payload: UInt32, length: UInt32, kind: UInt64, location: LogLocation, salt: UInt64) -> UInt32 {
        sluice_crc32c_words(payload, UInt64(length), kind, location.rawValue ^ salt)
    }

    /// Whether `frame` is a record as it was written at that place, with its padding and nothing else.
    static func isIntact(_ frame: Bytes, at location: LogLocation, salt: UInt64) -> Bool {
        guard frame.count >= frameBytes else { return false }
        let length = frame.raw(4, as: UInt32.self)
        guard frameSize(payload: Int(length)) == frame.count else { return false }
        let payload = sluice_crc32c(0, frame.baseAddress.map { $0 + frameBytes }, frame.count - frameBytes)
        return frame.raw(0, as: UInt32.self)
            == frameCRC(
                payload: payload, length: length, kind: frame.raw(8, as: UInt64.self), location: location, salt: salt)
    }
}

extension UnsafeRawBufferPointer {
    /// The little-endian number at `offset`, which the caller has checked to be within.
    @inline(__always)
    func raw<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        T(littleEndian: loadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension OutputBuffer {
    @inline(__always)
    func append<T: FixedWidthInteger & BitwiseCopyable>(raw value: T) {
        reserve(MemoryLayout<T>.size)
        writePointer.storeBytes(of: value.littleEndian, as: T.self)
        advance(MemoryLayout<T>.size)
    }

    /// Overwrites what was appended at `offset`.
    @inline(__always)
    func patch<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ value: T) {
        (start + head + offset).storeBytes(of: value.littleEndian, as: T.self)
    }

    /// Zeros up to a multiple of eight.
    @inline(__always)
    func pad() {
        let missing = LogFormat.padded(count) - count
        guard missing > 0 else { return }
        reserve(8)
        writePointer.storeBytes(of: 0 as UInt64, as: UInt64.self)
        advance(missing)
    }
}
