import Buffers
import Glibc
import Synchronization

package struct StoreOptions: Sendable {
    package var log: LogOptions
    /// A full segment of which less than a quarter is needed is rewritten, at most this many bytes a second.
    package var compactionBytesPerSecond = 64 << 20
    /// Bytes of log after which the index is saved again, so that a restart has less to read. 0: at the end alone.
    package var snapshotEveryBytes = 512 << 20

    package init(directory: String) { log = LogOptions(directory: directory) }
}

/// Queues of messages and tables of values, kept in one log on disk.
///
/// A thread encodes what it wants stored into its own ``StoreBatch`` and calls ``commit(_:writingNow:)`` at the end of
/// its tick. That gives a sequence; what was to be acknowledged may be, once ``acknowledgeable`` has reached it (a
/// ``LogWaiter`` wakes the thread then). Messages' bodies stay on disk; the index in memory takes 16 bytes for each
/// message in each queue. Messages are read back with a ``StoreReader``.
///
/// Commits are safe from any thread and take the store's lock once, for a time that is proportional to the batch.
/// Compaction and snapshots have a thread of their own.
///
/// `@unchecked Sendable`: `index` is touched under `lock`; the other properties do not change.
package final class DurableStore: @unchecked Sendable {
    let options: StoreOptions
    let files: any FileOperations
    package let log: SegmentLog
    let lock = Monitor()
    let index: StoreIndex

    private let stopping = Atomic<Bool>(false)
    var isStopping: Bool { stopping.load(ordering: .relaxed) }

    // Under the lock.
    var sealedSinceSnapshot = 0
    /// The segment at which reading begins behind the snapshot that is there; 0 without one.
    var snapshotSegment: UInt32 = 0
    private var maintenance: BackgroundThread?

    private init(options: StoreOptions, files: any FileOperations, log: SegmentLog, index: StoreIndex) {
        self.options = options
        self.files = files
        self.log = log
        self.index = index
    }

    /// Opens the store in a directory, or makes it; reads the snapshot and the log behind it. Blocks. Ends with
    /// ``close()`` alone.
    package static func open(
        _ options: StoreOptions, files: any FileOperations = SystemFiles()
    ) throws(StorageError) -> (store: DurableStore, report: RecoveryReport) {
        var index = StoreIndex()
        index.isReplaying = true
        var start: SegmentLog.Start?
        var problem: Finding?
        switch SnapshotReader.load(directory: options.log.directory, files: files) {
        case .none: break
        case .unusable(let finding): problem = finding
        case .loaded(let loaded, let from):
            index = loaded
            start = from
        }
        let target = index
        var foreign: Finding?
        let opened = try SegmentLog.open(options: options.log, files: files, from: start) { record in
            if !target.replay(record), foreign == nil {
                foreign = Finding(
                    .damaged, file: LogFormat.fileName(record.location.segment), offset: record.location.offset,
                    length: record.size)
            }
        }
        var report = opened.report
        report.usedSnapshot = start != nil
        report.findings += [problem, foreign].compactMap { $0 } + index.finishReplay(opened.segments)
        if options.log.stopsAtDamage, let loss = report.findings.first(where: { $0.isLoss }) {
            opened.log.close()
            throw .damaged(loss)
        }
        let store = DurableStore(options: options, files: files, log: opened.log, index: index)
        store.snapshotSegment = start?.location.segment ?? 0
        store.maintenance = try BackgroundThread(name: "store-upkeep") { store.maintain() }
        return (store, report)
    }

    /// Writes, syncs, saves the index and ends the threads. No commits and reads after it.
    package func close() {
        let running = lock.withLock { () -> BackgroundThread? in
            stopping.store(true, ordering: .relaxed)
            lock.wakeAll()
            let running = maintenance
            maintenance = nil
            return running
        }
        running?.join()
        log.close()
    }

    // MARK: Writing

    package func makeBatch() -> StoreBatch { StoreBatch(admission: log) }

    /// Hands a batch over; it comes back empty. Does not wait for the disk.
    ///
    /// - Parameter writingNow: writes on this thread when the writer's is idle (see ``SegmentLog/writeNow()``): cheaper
    ///   and sooner for small batches, but this thread waits for the kernel's page cache.
    /// - Returns: the sequence to wait for; 0 when the batch was empty.
    /// - Throws: when the disk has failed for good; nothing of the batch is stored then.
    @discardableResult
    package func commit(_ batch: StoreBatch, writingNow: Bool = false) throws(StorageError) -> UInt64 {
        guard !batch.isEmpty else { return 0 }
        defer { batch.clear() }
        let sequence = try lock.withLock { () throws(StorageError) in try commitLocked(batch) }
        if !writingNow || !log.writeNow() { log.wakeWriter() }
        return sequence
    }

    /// Under the lock, so that the log's order is the index's.
    func commitLocked(_ batch: StoreBatch) throws(StorageError) -> UInt64 {
        let placement = try log.append(batch.log)
        if let sealed = placement.sealed {
            sealed.segment.sealedSize = sealed.size
            sealedSinceSnapshot += sealed.size
            index.add(placement.segment)
            index.isCompactionDue = true
        }
        index.apply(batch, in: placement.segment, at: placement.offset)
        if index.isCompactionDue { lock.wakeAll() }
        return placement.lastSequence
    }

    /// See ``SegmentLog/acknowledgeable``.
    package var acknowledgeable: UInt64 { log.acknowledgeable }

    // MARK: Looking

    /// An id that no queue in the files has.
    package func makeQueueID() -> UInt64 {
        lock.withLock {
            index.highestQueueID += 1
            return index.highestQueueID
        }
    }

    /// All queues, in no order. For the start.
    package func queues() -> [StoredQueue] { lock.withLock { Array(index.queues.values) } }

    package func queue(_ id: UInt64) -> StoredQueue? { lock.withLock { index.queues[id] } }

    /// Messages in a queue and the bytes that they take on disk.
    package func size(of queue: StoredQueue) -> (messages: Int, bytes: Int) {
        lock.withLock { (queue.entries.count, queue.entries.bytes) }
    }

    /// The position of the oldest message that is there at or behind `position`.
    package func firstPosition(of queue: StoredQueue, from position: UInt64 = 0) -> UInt64? {
        lock.withLock {
            var found: UInt64?
            queue.entries.forEach(from: position) { at, _ in
                found = at
                return false
            }
            return found
        }
    }

    /// Calls `body` with each message's position and note, in order, until it returns false. No disk access; `body` is
    /// called under the store's lock and must be brief.
    package func forEachNote(in queue: StoredQueue, from position: UInt64 = 0, _ body: (UInt64, UInt32) -> Bool) {
        lock.withLock { queue.entries.forEach(from: position) { body($0, $1.note) } }
    }

    /// How many entries a table has.
    package func count(ofTable table: UInt32) -> Int {
        lock.withLock { index.tables.reduce(0) { $0 + $1.keys.count { $0.table == table } } }
    }

    /// What the files hold.
    package struct Usage: Sendable, Equatable {
        package var segments = 0
        /// Bytes in full segments, and of these what is needed.
        package var sealedBytes = 0
        package var liveBytes = 0
    }

    package var usage: Usage {
        lock.withLock {
            var usage = Usage()
            for case let segment? in index.segments {
                usage.segments += 1
                usage.sealedBytes += segment.sealedSize
                usage.liveBytes += segment.live
            }
            return usage
        }
    }

    func report(_ finding: Finding) { options.log.onEvent(.found(finding)) }
}
