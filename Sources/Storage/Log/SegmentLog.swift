import Buffers
import Glibc
import Synchronization

/// An append-only log in files of bounded size, written by one thread for many producers.
///
/// A producer encodes records into a ``LogBatch`` of its own and hands it over; that takes a lock for the time of a few
/// pointer moves and gives the batch its place and its sequences at once. The writer thread writes whatever has
/// arrived with one `pwritev` per segment (and syncs it, with ``Durability/fsync``), then moves the watermarks: all
/// records up to ``written`` are with the kernel, all up to ``synced`` on the disk.
///
/// Ends with ``close()`` alone: its thread keeps it alive.
///
/// Never blocks a producer. When too much waits, or the disk is full, ``admission`` says so; who goes on appending
/// nevertheless is served (removals must go through), so that producers look before they append content.
///
/// `@unchecked Sendable`: the plain properties are touched under `monitor`, but for `work`, `dirty` and `reserve`,
/// which belong to whoever holds the writer's role (`isWriting`).
package final class SegmentLog: @unchecked Sendable {
    package let options: LogOptions
    let files: any FileOperations
    let monitor = Monitor()

    // Under the monitor.
    var nextSequence: UInt64
    var active: Segment
    var activeOffset: Int
    var pending: [PendingWrite] = []
    var pendingBytes = 0
    var spares: [OutputBuffer] = []
    var waiters: [LogWaiter] = []
    var failure: StorageError?
    var isStopping = false
    var isWriting = false
    /// Threads that wait for the watermarks to move.
    var blocked = 0
    /// Somebody waits for ``synced`` to reach this.
    var syncTarget: UInt64 = 0

    // Whoever has the writer's role.
    var work: [PendingWrite] = []
    var workIndex = 0
    var dirty: [Segment] = []
    var isDirectoryDirty = true
    var reserve: DiskReserve

    private let writtenMark: Atomic<UInt64>
    private let syncedMark: Atomic<UInt64>
    private let committedMark: Atomic<UInt64>
    private let admissionBits = Atomic<UInt8>(0)
    private var thread: BackgroundThread?
    private let lockDescriptor: Int32

    struct PendingWrite {
        var segment: Segment
        var offset: Int
        var buffer: OutputBuffer
        var lastSequence: UInt64
    }

    /// Where a batch lies.
    package struct Placement {
        package var segment: Segment
        /// Of the first byte of the batch in the segment.
        package var offset: Int
        package var firstSequence: UInt64
        /// Wait for this one.
        package var lastSequence: UInt64
        /// The segment that was closed for the batch, with its size.
        package var sealed: (segment: Segment, size: Int)?
    }

    init(
        options: LogOptions, files: any FileOperations, lockDescriptor: Int32, lastSequence: UInt64,
        continuing: (segment: Segment, size: Int)?, nextNumber: UInt32, unsynced: [Segment]
    ) {
        self.options = options
        self.files = files
        self.lockDescriptor = lockDescriptor
        nextSequence = lastSequence + 1
        writtenMark = Atomic(lastSequence)
        syncedMark = Atomic(lastSequence)
        committedMark = Atomic(lastSequence)
        reserve = DiskReserve(options: options, files: files)
        dirty = unsynced
        if let continuing {
            active = continuing.segment
            activeOffset = continuing.size
        } else {
            active = Self.makeSegment(nextNumber, options, files)
            activeOffset = 0
        }
        if activeOffset == 0 { appendHeader() }
    }

    deinit { files.close(lockDescriptor) }

    func start() throws(StorageError) {
        reserve.prepare(log: self)
        thread = try BackgroundThread(name: "log-writer") { self.writerLoop() }
    }

    /// All records up to this one were written to the kernel.
    package var written: UInt64 { writtenMark.load(ordering: .acquiring) }
    /// All records up to this one were synced to the disk.
    package var synced: UInt64 { syncedMark.load(ordering: .acquiring) }
    /// The last record that was handed over.
    package var committed: UInt64 { committedMark.load(ordering: .acquiring) }

    /// Acknowledgements for records up to this one may leave, as ``LogOptions/durability`` says.
    package var acknowledgeable: UInt64 {
        switch options.durability {
        case .none: committed
        case .process: written
        case .fsync: synced
        }
    }

    /// Why new content should not be appended at the moment; empty when it may. One atomic load.
    @inline(__always)
    package var admission: Admission { Admission(rawValue: admissionBits.load(ordering: .relaxed)) }

    /// Throws what ``admission`` says. Costs a nanosecond.
    @inline(__always)
    package func admit() throws(StorageError) {
        let state = admission
        if !state.isEmpty { throw refusal(state) }
    }

    @inline(never)
    private func refusal(_ state: Admission) -> StorageError {
        if state.contains(.failed) {
            return monitor.withLock { failure } ?? .failed(operation: "log", path: options.directory, errno: EIO)
        }
        return state.contains(.diskFull) ? .diskFull : .backlog
    }

    /// Hands a batch over; it comes back empty. Any thread; never waits for the disk.
    ///
    /// - Throws: ``StorageError/failed(operation:path:errno:)`` alone; the batch is emptied then too.
    package func append(_ batch: LogBatch) throws(StorageError) -> Placement {
        try monitor.withLock { () throws(StorageError) -> Placement in
            if let failure {
                batch.buffer.removeAll()
                batch.records = 0
                throw failure
            }
            guard !batch.isEmpty else {
                return Placement(
                    segment: active, offset: activeOffset, firstSequence: nextSequence, lastSequence: nextSequence - 1)
            }
            let placement = place(batch.buffer, records: batch.records)
            batch.buffer = spares.popLast() ?? OutputBuffer(capacity: 4096)
            batch.records = 0
            committedMark.store(placement.lastSequence, ordering: .releasing)
            if pendingBytes > options.pendingBytes { set(.backlog) }
            return placement
        }
    }

    /// Wakes the writer thread for what was appended; once for several batches is enough.
    package func wakeWriter() {
        monitor.withLock { if !isWriting { monitor.wakeAll() } }
    }

    private func place(_ buffer: OutputBuffer, records: Int) -> Placement {
        var sealed: (Segment, Int)?
        let room = LogFormat.frameBytes
        if activeOffset + buffer.count + room > options.segmentBytes, activeOffset > LogFormat.headerBytes {
            sealed = roll()
        }
        let first = nextSequence
        let last = first + UInt64(records) - 1
        let location = LogLocation(segment: active.number, offset: activeOffset)
        LogBatch.place(buffer.bytes, first: first, at: location, salt: active.salt)
        let placement = Placement(
            segment: active, offset: activeOffset, firstSequence: first, lastSequence: last, sealed: sealed)
        enqueue(buffer, last)
        nextSequence = last + 1
        return placement
    }

    private func enqueue(_ buffer: OutputBuffer, _ last: UInt64) {
        pending.append(PendingWrite(segment: active, offset: activeOffset, buffer: buffer, lastSequence: last))
        activeOffset += buffer.count
        pendingBytes += buffer.count
    }

    /// Closes the active segment and begins the next one.
    private func roll() -> (Segment, Int) {
        let seal = LogBatch()
        seal.begin(LogFormat.sealType)
        seal.end()
        LogBatch.place(
            seal.buffer.bytes, first: nextSequence,
            at: LogLocation(segment: active.number, offset: activeOffset), salt: active.salt)
        enqueue(seal.buffer, nextSequence)
        nextSequence += 1
        let sealed = (active, activeOffset)
        active = Self.makeSegment(active.number + 1, options, files)
        activeOffset = 0
        appendHeader()
        return sealed
    }

    private func appendHeader() {
        let header = LogFormat.header(segment: active.number, firstSequence: nextSequence, salt: active.salt)
        enqueue(header, nextSequence - 1)
    }

    private static func makeSegment(_ number: UInt32, _ options: LogOptions, _ files: any FileOperations) -> Segment {
        Segment(
            number: number, salt: UInt64.random(in: .min ... .max),
            path: options.directory + "/" + LogFormat.fileName(number), files: files)
    }

    /// The segment that is being filled.
    var activeSegment: Segment { monitor.withLock { active } }

    /// Where the next record will go.
    var end: (location: LogLocation, sequence: UInt64) {
        monitor.withLock { (LogLocation(segment: active.number, offset: activeOffset), nextSequence) }
    }

    package func register(_ waiter: LogWaiter) { monitor.withLock { waiters.append(waiter) } }
    package func unregister(_ waiter: LogWaiter) { monitor.withLock { waiters.removeAll { $0 === waiter } } }

    func set(_ bit: Admission) { _ = admissionBits.bitwiseOr(bit.rawValue, ordering: .relaxed) }
    func clear(_ bit: Admission) { _ = admissionBits.bitwiseAnd(~bit.rawValue, ordering: .relaxed) }
    func advanceWritten(_ sequence: UInt64) { writtenMark.store(sequence, ordering: .sequentiallyConsistent) }
    func advanceSynced(_ sequence: UInt64) { syncedMark.store(sequence, ordering: .sequentiallyConsistent) }

    /// Waits until all up to `sequence` are on the disk, whatever the durability. For background threads.
    /// - Parameter isGivenUp: asked now and then, under the log's lock.
    package func sync(through sequence: UInt64, unless isGivenUp: () -> Bool = { false }) throws(StorageError) {
        try monitor.withLock { () throws(StorageError) in
            blocked += 1
            defer { blocked -= 1 }
            while synced < sequence {
                if let failure { throw failure }
                if isStopping || isGivenUp() {
                    throw .failed(operation: "sync", path: options.directory, errno: ECANCELED)
                }
                syncTarget = max(syncTarget, sequence)
                monitor.wakeAll()
                monitor.wait(milliseconds: 100)
            }
        }
    }

    /// Writes and syncs what was handed over, and ends the thread. A full disk does not hold it up: what cannot be
    /// written then is given up and was never acknowledgeable.
    package func close() {
        let running = monitor.withLock { () -> BackgroundThread? in
            isStopping = true
            syncTarget = nextSequence - 1
            monitor.wakeAll()
            let running = thread
            thread = nil
            return running
        }
        running?.join()
        reserve.close()
    }
}
