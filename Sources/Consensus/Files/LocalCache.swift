import CRaft
import Glibc
import Synchronization

/// The state as last applied here, with its index: what a node runs before it has heard of a leader, and the proof of how far its
/// log must reach. The library does not keep the commit index, so without the cache a member that starts alone would know its last
/// snapshot only.
struct LocalCache: Sendable {
    var index: UInt64
    var term: UInt64
    var state: [UInt8]

    /// - Returns: nil when there is none, or none that is whole: a power cut may tear it, and the log is then enough.
    static func read(_ path: String) throws(ConsensusStartError) -> LocalCache? {
        guard let bytes = try AtomicFile.read(path) else { return nil }
        return bytes.withUnsafeBytes { bytes in
            var info = craft_chunks_info()
            guard craft_chunks_check(bytes.baseAddress, bytes.count, &info) == 0 else { return nil }
            let state = [UInt8](unsafeUninitializedCapacity: info.payload) { buffer, count in
                if info.payload > 0 { craft_chunks_join(bytes.baseAddress, bytes.count, buffer.baseAddress) }
                count = info.payload
            }
            return LocalCache(index: info.index, term: info.term, state: state)
        }
    }
}

/// Chunks on their way to a file; the memory is the C side's.
final class EncodedState: @unchecked Sendable {  // filled by the engine's thread, then given away to the writer's
    let index: UInt64
    private let chunks: OpaquePointer

    /// nil when there is no memory.
    init?(index: UInt64, term: UInt64, _ state: [[UInt8]]) {
        guard let chunks = craft_chunks_create(index, term) else { return nil }
        self.index = index
        self.chunks = chunks
        for chunk in state where chunk.withUnsafeBytes({ craft_chunks_add(chunks, $0.baseAddress, $0.count) }) != 0 {
            return nil
        }
    }

    deinit { craft_chunks_destroy(chunks) }

    func write(to path: String) throws(ConsensusStartError) {
        var count = 0
        let bytes = craft_chunks_bytes(chunks, &count)
        try AtomicFile.write(UnsafeRawBufferPointer(start: bytes, count: count), to: path)
    }
}

/// Writes the cache on a thread of its own, as it waits for the disk. Only the newest state waits.
final class CacheWriter: @unchecked Sendable {  // what is shared is under the mutex
    private let path: String
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var waiting: EncodedState?
    private var isEnding = false
    private var failure: String?
    private var thread: EngineThread?

    init(path: String) {
        self.path = path
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// By its owner, as the rest of these.
    func start() throws(ConsensusStartError) {
        thread = try EngineThread(name: "raft-cache") { self.run() }
    }

    /// - Returns: why the last one could not be written, told once.
    func write(_ state: EncodedState) -> String? {
        locked {
            waiting = state
            pthread_cond_signal(condition)
            defer { failure = nil }
            return failure
        }
    }

    /// Returns when what waits has been written.
    func end() {
        locked {
            isEnding = true
            pthread_cond_signal(condition)
        }
        thread?.join()
        thread = nil
    }

    private func run() {
        while let state = next() {
            do {
                try state.write(to: path)
            } catch {
                locked { failure = error.description }
            }
        }
    }

    private func next() -> EncodedState? {
        locked {
            while waiting == nil && !isEnding { pthread_cond_wait(condition, mutex) }
            defer { waiting = nil }
            return waiting
        }
    }

    private func locked<R>(_ body: () -> R) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return body()
    }
}
