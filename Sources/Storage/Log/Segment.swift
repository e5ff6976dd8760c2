import Buffers
import Glibc
import Synchronization

/// One file of the log.
///
/// `@unchecked Sendable`: the descriptor is set once, by whoever has the writer's role, before ``written`` is stored;
/// the accounts are the store's, under its lock.
package final class Segment: @unchecked Sendable {
    package let number: UInt32
    let salt: UInt64
    let path: String
    let files: any FileOperations
    var descriptor: Int32 = -1
    /// Bytes in the file; what lies below may be read.
    let written = Atomic<Int>(0)

    // Under the store's lock.
    /// Bytes of records that are still needed.
    var live = 0
    /// Bytes of removals and the like, which matter as long as older segments are there.
    var control = 0
    /// Bytes of all records, once the segment is full; 0 before.
    var sealedSize = 0
    /// Damage was found: what is left in the file is neither moved nor deleted before all of it is dead.
    var isDamaged = false

    init(number: UInt32, salt: UInt64, path: String, files: any FileOperations) {
        self.number = number
        self.salt = salt
        self.path = path
        self.files = files
    }

    deinit { if descriptor >= 0 { files.close(descriptor) } }

    /// Reads `buffer.count` bytes at `offset`.
    /// - Returns: how many there are; negative errno when the disk fails.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        var done = 0
        while done < buffer.count {
            let count = files.read(
                descriptor, into: UnsafeMutableRawBufferPointer(rebasing: buffer[done...]), at: offset + done)
            if count == -Int(EINTR) { continue }
            if count < 0 { return count }
            if count == 0 { break }
            done += count
        }
        return done
    }
}

/// A window over a segment's file that moves forward, for reading it from beginning to end in large pieces.
struct SegmentWindow {
    private let segment: Segment
    private let end: Int
    private var memory: UnsafeMutableRawBufferPointer
    private var first = 0
    private var count = 0
    private(set) var failure: Int32?

    /// - Parameter end: the bytes of the file that count.
    init(_ segment: Segment, end: Int) {
        self.segment = segment
        self.end = end
        memory = .allocate(byteCount: 1 << 18, alignment: 16)
    }

    func deallocate() { memory.deallocate() }

    /// The bytes at `offset`, valid until the next call.
    /// - Returns: nil when the file has fewer, or cannot be read (``failure``).
    mutating func bytes(at offset: Int, count wanted: Int) -> Bytes? {
        guard wanted >= 0, offset <= end, wanted <= end - offset else { return nil }
        if offset < first || offset + wanted > first + count {
            if wanted > memory.count {
                memory.deallocate()
                memory = .allocate(byteCount: max(wanted, 1 << 20), alignment: 16)
            }
            let size = min(memory.count, end - offset)
            let read = segment.read(into: UnsafeMutableRawBufferPointer(rebasing: memory[..<size]), at: offset)
            first = offset
            count = max(0, read)
            if read < 0 { failure = Int32(-read) }
            guard read >= wanted else { return nil }
        }
        return Bytes(rebasing: memory[(offset - first)..<(offset - first + wanted)])
    }
}
