internal import Glibc

/// Bytes that somebody else owns.
public typealias Bytes = UnsafeRawBufferPointer

/// A growing run of bytes that is written at its end and consumed at its front.
///
/// Confined to its owner. Public, as are all functions that other modules shall inline: the compiler inlines none of
/// `package` access beyond its module. Storage is malloc'ed once and kept over `removeAll`, so that a pooled buffer costs no
/// allocation. Not zero-filled, not reference-counted per byte, no copy-on-write.
public final class OutputBuffer {
    @usableFromInline package var start: UnsafeMutableRawPointer
    /// Where the unread bytes begin.
    @usableFromInline package var head = 0
    /// Where the next byte goes.
    @usableFromInline package var tail = 0
    @usableFromInline package var capacity: Int

    package init(capacity: Int = 256) {
        self.capacity = max(16, capacity)
        start = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { start.deallocate() }

    @inlinable @inline(__always) public var count: Int { tail - head }
    @inlinable @inline(__always) public var isEmpty: Bool { tail == head }
    /// The unread bytes; valid until the buffer changes.
    @inlinable @inline(__always) public var bytes: Bytes { Bytes(start: start + head, count: tail - head) }

    /// Room for that many more bytes at ``writePointer``.
    @inlinable @inline(__always)
    public func reserve(_ more: Int) {
        if capacity - tail < more { grow(more) }
    }

    @inlinable @inline(__always) public var writePointer: UnsafeMutableRawPointer { start + tail }

    /// Counts bytes that were stored at ``writePointer`` within what ``reserve(_:)`` made room for.
    @inlinable @inline(__always)
    public func advance(_ written: Int) { tail &+= written }

    @inline(never)
    @usableFromInline func grow(_ more: Int) {
        let used = tail - head
        if head > 0, capacity - used >= more, used <= head {
            memcpy(start, start + head, used)
        } else {
            var size = capacity * 2
            while size - used < more { size *= 2 }
            let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            memcpy(larger, start + head, used)
            start.deallocate()
            start = larger
            capacity = size
        }
        head = 0
        tail = used
    }

    /// Forgets the first `count` unread bytes.
    package func consume(_ count: Int) {
        head += count
        precondition(head <= tail, "no more can be consumed than was written")
        if head == tail { removeAll() }
    }

    /// Forgets everything, keeps the storage.
    @inlinable @inline(__always)
    public func removeAll() {
        head = 0
        tail = 0
    }

    /// Takes back what was written after the buffer held `count` unread bytes.
    package func truncate(to count: Int) {
        precondition(head + count <= tail, "truncation only shortens")
        tail = head + count
    }

    @inlinable @inline(__always)
    public func append(_ byte: UInt8) {
        reserve(1)
        writePointer.storeBytes(of: byte, as: UInt8.self)
        tail &+= 1
    }

    @inlinable @inline(__always)
    public func append(_ bytes: Bytes) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        writePointer.copyMemory(from: source, byteCount: bytes.count)
        tail &+= bytes.count
    }

    @inlinable public func append(_ text: StaticString) {
        append(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
    package func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }
    package func append(_ text: String) {
        var text = text
        text.withUTF8 { append(Bytes($0)) }
    }

    /// Big-endian, as on the wire.
    @inlinable @inline(__always)
    public func append<T: FixedWidthInteger & BitwiseCopyable>(bigEndian value: T) {
        reserve(MemoryLayout<T>.size)
        writePointer.storeBytes(of: value.bigEndian, as: T.self)
        tail &+= MemoryLayout<T>.size
    }

    /// An integer in decimal digits.
    @inlinable
    public func append(decimal value: Int) {
        reserve(32)
        if value < 0 {
            writePointer.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self)
            tail &+= 1
        }
        let magnitude = value.magnitude
        if magnitude < 10 {
            writePointer.storeBytes(of: 0x30 &+ UInt8(truncatingIfNeeded: magnitude), as: UInt8.self)
            tail &+= 1
        } else {
            appendDigits(magnitude)
        }
    }

    /// Eight digits at a time; there is room for eight more than the integer has.
    @inline(never)
    @usableFromInline func appendDigits(_ magnitude: UInt) {
        var rest = magnitude
        if magnitude >= 100_000_000 {
            let high = magnitude / 100_000_000
            appendDigits(high)
            rest = magnitude &- high &* 100_000_000
            writePointer.storeBytes(of: Self.digits(rest) | 0x3030_3030_3030_3030, as: UInt64.self)
            tail &+= 8
            return
        }
        let digits = Self.digits(rest)
        let zeros = min(7, digits.littleEndian.trailingZeroBitCount >> 3)
        let text = (digits.littleEndian | 0x3030_3030_3030_3030) >> UInt64(zeros * 8)
        writePointer.storeBytes(of: text.littleEndian, as: UInt64.self)
        tail &+= 8 &- zeros
    }

    /// The eight digits of a number below 10^8, a byte each, in the order of memory: halves, pairs and digits are
    /// divided side by side in one word.
    @inline(__always)
    private static func digits(_ number: UInt) -> UInt64 {
        let number = UInt64(number)
        let high = number / 10_000
        let fours = high | (number &- high &* 10_000) << 32
        let hundreds = ((fours &* 10_486) >> 20) & 0x0000_007F_0000_007F
        let pairs = hundreds | (fours &- hundreds &* 100) << 16
        let tens = ((pairs &* 103) >> 10) & 0x000F_000F_000F_000F
        return (tens | (pairs &- tens &* 10) << 8).littleEndian
    }

    /// The bytes as text, ill-formed UTF-8 repaired; for logs and tests.
    package var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// Byte order as memcmp, the shorter one first when one is the beginning of the other.
/// - Returns: negative, zero or positive.
package func compareBytes(_ a: Bytes, _ b: Bytes) -> Int {
    let count = min(a.count, b.count)
    if count > 0, let left = a.baseAddress, let right = b.baseAddress {
        let order = memcmp(left, right, count)
        if order != 0 { return Int(order) }
    }
    return a.count - b.count
}
