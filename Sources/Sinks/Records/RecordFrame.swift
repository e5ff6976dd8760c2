internal import Glibc
package import Buffers

/// Names one delivery: the same over all of its attempts, never used for another.
///
/// The high half is random for each appender, the low half counts.
package struct DeliveryID: BitwiseCopyable, Sendable, Hashable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Length of ``appendHex(to:)`` in bytes.
    package static let textLength = 32

    /// Writes 32 lower-case hexadecimal digits.
    package func writeHex(to target: UnsafeMutableRawPointer) {
        Self.write(high, to: target)
        Self.write(low, to: target + 16)
    }

    private static func write(_ half: UInt64, to target: UnsafeMutableRawPointer) {
        for position in 0..<16 {
            let nibble = UInt8(truncatingIfNeeded: half >> UInt64(60 - position * 4)) & 15
            target.storeBytes(of: nibble < 10 ? 0x30 + nibble : 0x57 + nibble, toByteOffset: position, as: UInt8.self)
        }
    }

    package var text: String {
        String(unsafeUninitializedCapacity: Self.textLength) { buffer in
            guard let start = buffer.baseAddress else { return 0 }
            writeHex(to: UnsafeMutableRawPointer(start))
            return Self.textLength
        }
    }
}

/// What stands in front of each record in a chunk. Native byte order: frames never leave the process.
///
/// A frame is this header, the target (a URL or a path, empty when the sink has only one), the header lines (each ended
/// by NUL), the body, and padding to a multiple of 8.
struct RecordHeader: BitwiseCopyable {
    /// Of the whole frame with its padding.
    var length: UInt32
    var targetLength: UInt32
    var headersLength: UInt32
    var bodyLength: UInt32
    /// Records of equal keys keep their order.
    var orderKey: UInt64
    /// The event's wall-clock time.
    var eventMilliseconds: Int64
    var id: DeliveryID
    /// Index of the rule's counters in the worker.
    var use: UInt32
    var reserved: UInt32 = 0

    static let size = 56
}

/// One rendered record, read in place. Valid while its chunk lives: inside `Sink.write`, and for a batch whose answer is
/// outstanding until that is given.
package struct SinkRecord {
    let start: UnsafeRawPointer

    @inline(__always) var header: RecordHeader { start.load(as: RecordHeader.self) }
    var length: Int { Int(start.load(as: UInt32.self)) }
    /// The URL or the path; empty when it is the same for all records.
    package var target: Bytes {
        let header = header
        return Bytes(start: start + RecordHeader.size, count: Int(header.targetLength))
    }
    /// Header lines, each ended by NUL.
    package var headers: Bytes {
        let header = header
        return Bytes(start: start + RecordHeader.size + Int(header.targetLength), count: Int(header.headersLength))
    }
    package var body: Bytes {
        let header = header
        return Bytes(
            start: start + RecordHeader.size + Int(header.targetLength) + Int(header.headersLength),
            count: Int(header.bodyLength))
    }
    package var eventMilliseconds: Int64 { header.eventMilliseconds }
    package var id: DeliveryID { header.id }
}

/// A run of frames on its way from a shard to a worker.
///
/// `@unchecked Sendable`: it belongs to exactly one holder at a time, in this order: the appender that fills it (its
/// shard), the inbox (under its mutex), the scheduler (the worker's thread), the inbox's spare list.
final class RecordChunk: @unchecked Sendable {
    /// What a chunk is filled up to, unless one record is larger.
    static let size = 64 * 1024

    let buffer = OutputBuffer(capacity: RecordChunk.size)
    /// Monotonic nanoseconds of the hand-over.
    var enqueuedAt: Int64 = 0
    /// Records of it that the scheduler or a batch still holds.
    var live = 0

    /// Calls `body` for each frame.
    func forEachRecord(_ body: (SinkRecord) -> Void) {
        guard let start = buffer.bytes.baseAddress else { return }
        var offset = 0
        while offset < buffer.count {
            let record = SinkRecord(start: start + offset)
            offset += record.length
            body(record)
        }
    }
}

/// A fast hash of a client id or topic. Two keys of one hash share a lane, which costs parallelism and nothing else.
@inline(__always)
func orderHash(_ bytes: Bytes, seed: UInt64) -> UInt64 {
    var hash = seed ^ (UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15)
    guard let start = bytes.baseAddress else { return hash }
    var offset = 0
    while offset + 8 <= bytes.count {
        hash = (hash ^ start.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xFF51_AFD7_ED55_8CCD
        hash ^= hash >> 32
        offset += 8
    }
    while offset < bytes.count {
        hash = (hash ^ UInt64(start.load(fromByteOffset: offset, as: UInt8.self))) &* 0x0000_0100_0000_01B3
        offset += 1
    }
    hash = (hash ^ (hash >> 33)) &* 0xC4CE_B9FE_1A85_EC53
    return hash ^ (hash >> 29)
}

/// Nanoseconds of the clock that never jumps.
package func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

extension Duration {
    /// Saturating whole nanoseconds.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        return overflow ? (seconds < 0 ? .min : .max) : product.addingSaturating(attoseconds / 1_000_000_000)
    }
}

extension Int64 {
    /// The sum, or the end of the range.
    func addingSaturating(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? (other < 0 ? .min : .max) : sum
    }
}
