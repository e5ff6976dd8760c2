import Buffers
import CCRC32C
import Glibc

/// The index in a file, so that a start reads the log only from there on; docs/reference/log-format.md says the format.
///
/// It is written while the store is at work, part by part: what a part shows may be newer than the place in the log at
/// which the snapshot begins. Reading the log from that place on sets it right, whatever it was.
enum Snapshot {
    static let fileName = "snapshot"
    static let temporaryName = "snapshot.new"
    static let magic: UInt64 = 0x5041_4E53_4349_4C53  // "SLICSNAP"
    static let version: UInt32 = 1

    static let queueTag: UInt8 = 1
    static let tableTag: UInt8 = 2
    static let segmentTag: UInt8 = 3
    static let endTag: UInt8 = 0
}

/// Writes it, on the maintenance thread.
struct SnapshotWriter {
    private let files: any FileOperations
    private let path: String
    private let descriptor: Int32
    private let buffer = OutputBuffer(capacity: 1 << 18)
    private var offset = 0
    private var crc: UInt32 = 0

    init(directory: String, files: any FileOperations) throws(StorageError) {
        self.files = files
        path = directory + "/" + Snapshot.temporaryName
        descriptor = files.open(path, flags: O_RDWR | O_CREAT | O_TRUNC)
        if descriptor < 0 { throw .failed(operation: "open", path: path, errno: -descriptor) }
    }

    func close() { files.close(descriptor) }

    mutating func header(_ end: (location: LogLocation, sequence: UInt64), highestQueueID: UInt64) {
        buffer.append(raw: Snapshot.magic)
        buffer.append(raw: Snapshot.version)
        buffer.append(raw: UInt32(0))
        buffer.append(raw: end.location.rawValue)
        buffer.append(raw: end.sequence)
        buffer.append(raw: highestQueueID)
    }

    mutating func segment(_ segment: Segment) {
        buffer.append(Snapshot.segmentTag)
        buffer.append(raw: segment.number)
        buffer.append(raw: UInt64(segment.control))
    }

    /// Under the store's lock.
    mutating func queue(_ queue: StoredQueue) {
        buffer.append(Snapshot.queueTag)
        buffer.append(raw: queue.id)
        buffer.append(raw: queue.committed)
        buffer.append(raw: queue.record.rawValue)
        buffer.append(raw: UInt32(queue.recordSize))
        buffer.append(raw: UInt32(queue.name.count))
        buffer.append(queue.name)
        buffer.append(raw: UInt32(queue.entries.count))
        queue.entries.forEach { position, entry in
            buffer.append(raw: position)
            buffer.append(raw: entry.place)
            buffer.append(raw: entry.length)
            buffer.append(raw: entry.note)
            return true
        }
    }

    mutating func entry(_ key: TableKey, _ entry: TableEntry) {
        buffer.append(Snapshot.tableTag)
        buffer.append(raw: key.table)
        buffer.append(raw: entry.location.rawValue)
        buffer.append(raw: entry.size)
        buffer.append(raw: UInt32(key.bytes.count))
        buffer.append(key.bytes)
    }

    /// Whether enough has gathered for a write.
    var isFull: Bool { buffer.count >= 1 << 18 }

    mutating func write() throws(StorageError) {
        crc = sluice_crc32c(crc, buffer.bytes.baseAddress, buffer.count)
        try writeBuffer()
    }

    private mutating func writeBuffer() throws(StorageError) {
        while !buffer.isEmpty {
            let bytes = buffer.bytes
            var vector = iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            let count = files.write(descriptor, &vector, count: 1, at: offset)
            if count == -Int(EINTR) { continue }
            if count <= 0 { throw .failed(operation: "write", path: path, errno: count < 0 ? Int32(-count) : EIO) }
            offset += count
            buffer.consume(count)
        }
    }

    /// Makes it the snapshot.
    mutating func finish(directory: String) throws(StorageError) {
        buffer.append(Snapshot.endTag)
        try write()
        buffer.append(raw: crc)
        try writeBuffer()
        try check("fdatasync", files.sync(descriptor))
        try check("rename", files.rename(path, to: directory + "/" + Snapshot.fileName))
        try check("fsync", files.syncDirectory(directory))
    }

    private func check(_ operation: String, _ code: Int) throws(StorageError) {
        if code < 0 { throw .failed(operation: operation, path: path, errno: Int32(-code)) }
    }
}

/// Reads it. Everything in the file is checked by its CRC first, then by bounds.
struct SnapshotReader {
    enum Result {
        case none
        case unusable(Finding)
        case loaded(StoreIndex, SegmentLog.Start)
    }

    private let bytes: Bytes
    private var at = 0

    static func load(directory: String, files: any FileOperations) -> Result {
        let path = directory + "/" + Snapshot.fileName
        let descriptor = files.open(path, flags: O_RDONLY)
        if descriptor == -ENOENT { return .none }
        guard descriptor >= 0 else { return .unusable(Finding(.snapshotUnusable, file: path, offset: 0)) }
        let file = Segment(number: 0, salt: 0, path: path, files: files)
        file.descriptor = descriptor
        let size = max(0, files.size(descriptor))
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { memory.deallocate() }
        let whole = Bytes(memory)
        if file.read(into: memory, at: 0) == size, size >= 44,
            whole.raw(size - 4, as: UInt32.self) == sluice_crc32c(0, whole.baseAddress, size - 4)
        {
            var reader = SnapshotReader(bytes: Bytes(rebasing: whole[..<(size - 4)]))
            if let loaded = reader.read() { return .loaded(loaded.0, loaded.1) }
        }
        return .unusable(Finding(.snapshotUnusable, file: path, offset: 0, length: size))
    }

    private init(bytes: Bytes) { self.bytes = bytes }

    private mutating func next<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T? {
        guard bytes.count - at >= MemoryLayout<T>.size else { return nil }
        defer { at += MemoryLayout<T>.size }
        return bytes.raw(at, as: type)
    }

    private mutating func nextBytes() -> [UInt8]? {
        guard let count = next(UInt32.self), Int(count) <= bytes.count - at else { return nil }
        defer { at += Int(count) }
        return Array(bytes[at..<(at + Int(count))])
    }

    private mutating func read() -> (StoreIndex, SegmentLog.Start)? {
        guard next(UInt64.self) == Snapshot.magic, next(UInt32.self) == Snapshot.version, next(UInt32.self) == 0,
            let location = next(UInt64.self), let sequence = next(UInt64.self), let highest = next(UInt64.self)
        else { return nil }
        let index = StoreIndex()
        index.isReplaying = true
        index.highestQueueID = highest
        while let tag = next(UInt8.self) {
            switch tag {
            case Snapshot.queueTag: guard readQueue(index) else { return nil }
            case Snapshot.tableTag: guard readEntry(index) else { return nil }
            case Snapshot.segmentTag:
                guard let number = next(UInt32.self), let control = next(UInt64.self) else { return nil }
                index.replayedControl[number] = Int(clamping: control)
            case Snapshot.endTag:
                let start = SegmentLog.Start(location: LogLocation(rawValue: location), sequence: sequence)
                return at == bytes.count ? (index, start) : nil
            default: return nil
            }
        }
        return nil
    }

    private mutating func readQueue(_ index: StoreIndex) -> Bool {
        guard let id = next(UInt64.self), let committed = next(UInt64.self), let record = next(UInt64.self),
            let size = next(UInt32.self), let name = nextBytes(), let count = next(UInt32.self)
        else { return false }
        let queue = StoredQueue(id: id, name: name)
        queue.committed = committed
        queue.record = LogLocation(rawValue: record)
        queue.recordSize = Int(size)
        for _ in 0..<count {
            guard let position = next(UInt64.self), let place = next(UInt64.self), let length = next(UInt32.self),
                let note = next(UInt32.self), place != 0
            else { return false }
            queue.entries.set(position, QueueEntry(place: place, length: length, note: note))
        }
        index.queues[id] = queue
        index.highestQueueID = max(index.highestQueueID, id)
        return true
    }

    private mutating func readEntry(_ index: StoreIndex) -> Bool {
        guard let table = next(UInt32.self), let location = next(UInt64.self), let size = next(UInt32.self),
            let key = nextBytes()
        else { return false }
        index.put(TableKey(table: table, bytes: key), LogLocation(rawValue: location), Int(size))
        return true
    }
}
