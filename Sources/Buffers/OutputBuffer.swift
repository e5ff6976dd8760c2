internal import Glibc

/// Bytes that somebody else owns.
package typealias Bytes = UnsafeRawBufferPointer

/// A growing run of bytes that is written at its end and consumed at its front.
///
/// Confined to its owner. Storage is malloc'ed once and kept over `removeAll`, so that a pooled buffer costs no
/// allocation. Not zero-filled, not reference-counted per byte, no copy-on-write.
package final class OutputBuffer {
    package var start: UnsafeMutableRawPointer
    /// Where the unread bytes begin.
    package var head = 0
    /// Where the next byte goes.
    package var tail = 0
    package var capacity: Int

    package init(capacity: Int = 256) {
        self.capacity = max(16, capacity)
        start = UnsafeMutableRawPointer.allocate(byteCount: self.capacity, alignment: 16)
    }

    deinit { start.deallocate() }

    @inlinable @inline(__always) package var count: Int { tail - head }
    @inlinable @inline(__always) package var isEmpty: Bool { tail == head }
    /// The unread bytes; valid until the buffer changes.
    @inlinable @inline(__always) package var bytes: Bytes { Bytes(start: start + head, count: tail - head) }

    /// Room for that many more bytes at ``writePointer``.
    @inlinable @inline(__always)
    package func reserve(_ more: Int) {
        if capacity - tail < more { grow(more) }
    }

    @inlinable @inline(__always) package var writePointer: UnsafeMutableRawPointer { start + tail }

    /// Counts bytes that were stored at ``writePointer`` within what ``reserve(_:)`` made room for.
    @inlinable @inline(__always)
    package func advance(_ written: Int) { tail &+= written }

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
    package func removeAll() {
        head = 0
        tail = 0
    }

    /// Takes back what was written after the buffer held `count` unread bytes.
    package func truncate(to count: Int) {
        precondition(head + count <= tail, "truncation only shortens")
        tail = head + count
    }

    @inlinable @inline(__always)
    package func append(_ byte: UInt8) {
        reserve(1)
        writePointer.storeBytes(of: byte, as: UInt8.self)
        tail &+= 1
    }

    @inlinable @inline(__always)
    package func append(_ bytes: Bytes) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        reserve(bytes.count)
        writePointer.copyMemory(from: source, byteCount: bytes.count)
        tail &+= bytes.count
    }

    @inlinable package func append(_ text: StaticString) {
        append(Bytes(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
    package func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }
    package func append(_ text: String) {
        var text = text
        text.withUTF8 { append(Bytes($0)) }
    }

    /// Big-endian, as on the wire.
    @inlinable @inline(__always)
    package func append<T: FixedWidthInteger & BitwiseCopyable>(bigEndian value: T) {
        reserve(MemoryLayout<T>.size)
        writePointer.storeBytes(of: value.bigEndian, as: T.self)
        tail &+= MemoryLayout<T>.size
    }

    /// An integer in decimal digits.
    package func append(decimal value: Int) {
        reserve(20)
        let digits = writePointer
        var magnitude = value.magnitude
        var position = 20
        repeat {
            position -= 1
            digits.storeBytes(of: UInt8(ascii: "0") + UInt8(magnitude % 10), toByteOffset: position, as: UInt8.self)
            magnitude /= 10
        } while magnitude > 0
        if value < 0 {
            position -= 1
            digits.storeBytes(of: UInt8(ascii: "-"), toByteOffset: position, as: UInt8.self)
        }
        memmove(digits, digits + position, 20 - position)
        tail &+= 20 - position
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
