import Buffers
import CCRC32C
import Glibc
import Storage
import Synchronization
import Testing

/// The same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// A directory that goes away with its owner.
final class TemporaryDirectory {
    let path: String

    init() {
        var template = Array("/tmp/sluice-storage-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            guard let start = buffer.baseAddress, let made = mkdtemp(start) else { return "/nonexistent" }
            return String(cString: made)
        }
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    var names: [String] { (SystemFiles().list(path) ?? []).sorted() }
    var logs: [String] { names.filter { $0.hasSuffix(".log") } }

    func read(_ name: String) -> [UInt8] {
        let descriptor = open(path + "/" + name, O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: SystemFiles().size(descriptor))
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        return Array(bytes.prefix(max(0, count)))
    }

    func write(_ name: String, _ bytes: [UInt8]) {
        let descriptor = open(path + "/" + name, O_RDWR | O_CREAT | O_TRUNC, 0o600)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        _ = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    /// The files as they are now: what a process killed at this moment leaves. While compaction is at work, files come
    /// and go: then it is tried again.
    func copy() -> TemporaryDirectory {
        while true {
            let copy = TemporaryDirectory()
            let before = logs
            // The snapshot first: it must not know of more than the segments have.
            for name in ["snapshot"] + before where names.contains(name) { copy.write(name, read(name)) }
            if before == logs, copy.logs == before { return copy }
        }
    }
}

/// The kernel's files, with faults: at the n-th changing call something happens.
///
/// `@unchecked Sendable`: everything under the mutex.
final class FaultyFiles: FileOperations, @unchecked Sendable {
    enum Fault: Equatable {
        case error(Int32)
        /// Half of what was to be written is, then the process is dead.
        case killAfterHalf
        /// Dead before it is done; after that nothing has an effect.
        case kill
        /// Half is written and said so: no fault, but callers must go on.
        case shortWrite
    }

    private struct State {
        var calls = 0
        var faultAt = Int.max
        var fault = Fault.kill
        var isDead = false
        var room: Int?
        var everyWriteIsShort = false
        var log: [String] = []
    }

    private let state = Mutex(State())
    private let system = SystemFiles()

    init(faultAt: Int = .max, fault: Fault = .kill, room: Int? = nil, everyWriteIsShort: Bool = false) {
        state.withLock {
            $0.faultAt = faultAt
            $0.fault = fault
            $0.room = room
            $0.everyWriteIsShort = everyWriteIsShort
        }
    }

    var calls: Int { state.withLock { $0.calls } }
    var isDead: Bool { state.withLock { $0.isDead } }
    /// Names of changing calls, in order.
    var trace: [String] { state.withLock { $0.log } }
    /// Bytes that may be written until the disk is full; nil for no bound.
    var room: Int? {
        get { state.withLock { $0.room } }
        set { state.withLock { $0.room = newValue } }
    }
    func setFault(at call: Int, _ fault: Fault) {
        state.withLock {
            $0.faultAt = call
            $0.fault = fault
        }
    }
    func kill() { state.withLock { $0.isDead = true } }

    private enum Step { case go, half, dead, error(Int32) }

    private func step(_ name: String) -> Step {
        state.withLock { state in
            if state.isDead { return .dead }
            state.calls += 1
            state.log.append(name)
            guard state.calls >= state.faultAt else { return state.everyWriteIsShort ? .half : .go }
            switch state.fault {
            case .error(let code): return .error(code)
            case .kill:
                state.isDead = true
                return .dead
            case .killAfterHalf:
                state.isDead = true
                return .half
            case .shortWrite: return .half
            }
        }
    }

    private func change(_ name: String, _ body: () -> Int) -> Int {
        switch step(name) {
        case .go, .half: body()
        case .dead: -Int(EIO)
        case .error(let code): -Int(code)
        }
    }

    func open(_ path: String, flags: Int32) -> Int32 {
        guard flags & O_CREAT != 0 else { return isDead ? -EIO : system.open(path, flags: flags) }
        return Int32(change("open") { Int(system.open(path, flags: flags)) })
    }
    func close(_ descriptor: Int32) { system.close(descriptor) }

    func write(_ descriptor: Int32, _ vectors: UnsafePointer<iovec>, count: Int, at offset: Int) -> Int {
        switch step("write") {
        case .go:
            var wanted = 0
            for index in 0..<count { wanted += vectors[index].iov_len }
            let room = state.withLock { $0.room }
            guard let room else { return system.write(descriptor, vectors, count: count, at: offset) }
            guard room > 0 else { return -Int(ENOSPC) }
            let done =
                wanted <= room
                ? system.write(descriptor, vectors, count: count, at: offset)
                : writePart(descriptor, vectors, room, offset)
            state.withLock { if let left = $0.room { $0.room = left - max(0, done) } }
            return done
        case .half: return writePart(descriptor, vectors, max(1, vectors[0].iov_len / 2), offset)
        case .dead: return -Int(EIO)
        case .error(let code): return -Int(code)
        }
    }

    /// At most `limit` bytes of the first part.
    private func writePart(_ descriptor: Int32, _ vectors: UnsafePointer<iovec>, _ limit: Int, _ offset: Int) -> Int {
        var first = iovec(iov_base: vectors[0].iov_base, iov_len: min(limit, vectors[0].iov_len))
        return system.write(descriptor, &first, count: 1, at: offset)
    }

    func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
        system.read(descriptor, into: buffer, at: offset)
    }
    func size(_ descriptor: Int32) -> Int { system.size(descriptor) }
    func sync(_ descriptor: Int32) -> Int { change("sync") { system.sync(descriptor) } }
    func truncate(_ descriptor: Int32, to size: Int) -> Int {
        change("truncate") { system.truncate(descriptor, to: size) }
    }
    func allocate(_ descriptor: Int32, size: Int) -> Int {
        change("allocate") { system.allocate(descriptor, size: size) }
    }
    func remove(_ path: String) -> Int { change("remove") { system.remove(path) } }
    func rename(_ path: String, to newPath: String) -> Int {
        change("rename") { system.rename(path, to: newPath) }
    }
    func makeDirectory(_ path: String) -> Int { system.makeDirectory(path) }
    func syncDirectory(_ path: String) -> Int { change("syncDirectory") { system.syncDirectory(path) } }
    func list(_ directory: String) -> [String]? { system.list(directory) }
    func freeBytes(_ directory: String) -> Int { state.withLock { $0.room } ?? system.freeBytes(directory) }
    func lock(_ descriptor: Int32) -> Int { system.lock(descriptor) }
}

extension StoreBatch {
    @discardableResult
    func append(_ text: String, to queue: StoredQueue, note: UInt32 = 0) throws -> UInt64 {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBytes { try append($0, to: queue, note: note) }
    }

    func makeQueue(_ store: DurableStore, name: String, metadata: String = "") throws -> StoredQueue {
        try makeQueue(id: store.makeQueueID(), name: name, metadata: metadata)
    }

    func makeQueue(id: UInt64, name: String, metadata: String = "") throws -> StoredQueue {
        let (name, metadata) = (Array(name.utf8), Array(metadata.utf8))
        return try name.withUnsafeBytes { name in
            try metadata.withUnsafeBytes { try makeQueue(id: id, name: name, metadata: $0) }
        }
    }

    func put(_ key: String, _ value: String, table: UInt32 = 1) throws {
        let (key, value) = (Array(key.utf8), Array(value.utf8))
        try key.withUnsafeBytes { key in try value.withUnsafeBytes { try put(key, $0, in: table) } }
    }

    func delete(_ key: String, table: UInt32 = 1) {
        Array(key.utf8).withUnsafeBytes { delete($0, in: table) }
    }
}

extension DurableStore {
    func text(of queue: StoredQueue) throws -> [String] { try messages(of: queue).map { $0.body } }

    struct Found: Equatable {
        var position: UInt64
        var note: UInt32
        var body: String
    }

    func messages(of queue: StoredQueue) throws -> [Found] {
        try log.waitForWriter()
        var found: [Found] = []
        let reader = StoreReader(self)
        var next: UInt64 = 0
        while true {
            let outcome = reader.read(queue, from: next, limit: .max) {
                found.append(
                    Found(position: $0.position, note: $0.note, body: String(decoding: $0.body, as: UTF8.self)))
                return true
            }
            guard case .pending(let position) = outcome else {
                #expect(outcome == .end)
                return found
            }
            next = position
            try log.waitForWriter()
        }
    }

    func table(_ table: UInt32 = 1) throws -> [String: String] {
        var found: [String: String] = [:]
        try forEach(inTable: table) { found[String(decoding: $0, as: UTF8.self)] = String(decoding: $1, as: UTF8.self) }
        return found
    }
}

/// Small segments, no reserve: what most tests want.
func options(_ directory: TemporaryDirectory, segmentBytes: Int = 8192) -> StoreOptions {
    var options = StoreOptions(directory: directory.path)
    options.log.segmentBytes = segmentBytes
    options.log.reserveBytes = 0
    options.compactionBytesPerSecond = 1 << 30
    return options
}

/// One thread waits for another.
final class Signal: Sendable {
    private let count = Atomic<Int>(0)
    func raise() { count.wrappingAdd(1, ordering: .sequentiallyConsistent) }
    func wait() { while count.load(ordering: .sequentiallyConsistent) == 0 { sched_yield() } }
}

final class TestThread: @unchecked Sendable {  // joined once, by the test
    private var thread = pthread_t()
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    init(_ run: @escaping @Sendable () -> Void) throws {
        let body = Unmanaged.passRetained(Body(run))
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
                return nil
            }, body.toOpaque())
        #expect(code == 0)
    }

    func join() { pthread_join(thread, nil) }
}

enum LogBytes {
    /// The header's CRC put right, so that only what was changed is wrong.
    static func withHeaderCheck(_ bytes: [UInt8]) -> [UInt8] {
        var bytes = bytes
        let crc = sluice_crc32c(0, bytes, 60)
        for index in 0..<4 { bytes[60 + index] = UInt8(truncatingIfNeeded: crc >> (index * 8)) }
        return bytes
    }
}
