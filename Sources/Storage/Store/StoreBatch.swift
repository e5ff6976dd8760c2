package import Buffers

/// What a thread wants stored together: messages, removals, queue records, table entries. One per shard, used again.
///
/// Everything in it is written in this order and by one `pwritev`, behind all batches committed before and ahead of all
/// committed after. Nothing of it exists before ``DurableStore/commit(_:)``. Confined to one thread.
///
/// Content (messages, table entries, queues) is refused with ``StorageError/diskFull`` or ``StorageError/backlog`` when
/// the store takes none at the moment; removals never are.
package final class StoreBatch {
    enum Operation {
        case message(target: Int32, frame: Int32, size: Int32)
        case remove(StoredQueue, Range<UInt64>, size: Int)
        case queue(StoredQueue, frame: Int, size: Int)
        case drop(StoredQueue, size: Int)
        case put(TableKey, frame: Int, size: Int)
        case delete(TableKey, size: Int)
        /// Changes nothing in the index.
        case control(size: Int)
    }

    struct Target {
        var queue: StoredQueue
        var position: UInt64
        var note: UInt32
    }

    let log = LogBatch()
    var operations: ContiguousArray<Operation> = []
    var targets: ContiguousArray<Target> = []
    private let admission: SegmentLog
    private var messageFrame = 0
    private var bodyCount = 0
    private var firstTarget = 0
    /// The removal that the next one may be joined to.
    private var openRemoval = false

    init(admission: SegmentLog) { self.admission = admission }

    package var isEmpty: Bool { log.isEmpty }
    package var byteCount: Int { log.byteCount }

    // MARK: Messages

    /// Begins a message: `body` appends its bytes. ``addTarget(_:note:)`` and ``endMessage()`` follow.
    package func beginMessage(_ body: (OutputBuffer) -> Void) throws(StorageError) {
        try admission.admit()
        try forceBeginMessage(body)
    }

    func forceBeginMessage(_ body: (OutputBuffer) -> Void) throws(StorageError) {
        messageFrame = log.begin(StoreRecord.message)
        let buffer = log.buffer
        buffer.reserve(StoreRecord.Message.prefixBytes)
        buffer.advance(StoreRecord.Message.prefixBytes)
        let start = buffer.count
        body(buffer)
        bodyCount = buffer.count - start
        guard bodyCount <= LogFormat.maximumPayload / 2 else {
            log.cancel()
            throw .tooLarge
        }
        buffer.pad()
        firstTarget = targets.count
    }

    /// The message goes to the end of this queue, too.
    /// - Parameter note: what the caller wants to know of this queue's copy before it reads it; kept in memory.
    /// - Returns: its position in the queue.
    @inline(__always) @discardableResult
    package func addTarget(_ queue: StoredQueue, note: UInt32) -> UInt64 {
        let position = queue.nextPosition
        queue.nextPosition += 1
        appendTarget(Target(queue: queue, position: position, note: note))
        return position
    }

    @inline(__always)
    func appendTarget(_ target: Target) {
        targets.append(target)
        log.buffer.append(raw: target.queue.id)
        log.buffer.append(raw: target.position)
        log.buffer.append(raw: target.note)
    }

    /// A message without a target is not stored.
    package func endMessage() {
        let count = targets.count - firstTarget
        guard count > 0 else { return log.cancel() }
        let prefix = messageFrame + LogFormat.frameBytes
        let buffer = log.buffer
        buffer.patch(prefix, UInt32(bodyCount))
        buffer.patch(prefix + 4, UInt32(count))
        var check: UInt32 = 0
        if count > 1 {
            let start = prefix + StoreRecord.Message.prefixBytes
            check = StoreRecord.Message.bodyCheck(Bytes(rebasing: buffer.bytes[start..<(start + bodyCount)]))
        }
        buffer.patch(prefix + 8, UInt64(check))
        let size = log.end()
        let readSize = count > 1 ? StoreRecord.Message.sharedReadSize(body: bodyCount) : size
        operations.append(
            .message(target: Int32(count), frame: Int32(messageFrame), size: Int32(readSize)))
        openRemoval = false
    }

    /// One message for one queue.
    /// - Returns: its position.
    @discardableResult
    package func append(_ body: Bytes, to queue: StoredQueue, note: UInt32 = 0) throws(StorageError) -> UInt64 {
        try beginMessage { $0.append(body) }
        let position = addTarget(queue, note: note)
        endMessage()
        return position
    }

    /// The message is not wanted any more (acknowledged, expired, dropped). Never refused; positions that hold nothing
    /// are passed over.
    package func remove(_ position: UInt64, from queue: StoredQueue) { remove(position..<(position + 1), from: queue) }

    package func remove(_ positions: Range<UInt64>, from queue: StoredQueue) {
        guard !positions.isEmpty else { return }
        if openRemoval, case .remove(let last, let range, let size)? = operations.last, last === queue,
            range.upperBound == positions.lowerBound
        {
            // Acknowledgements come in order: one record for a run of them.
            let frame = log.buffer.count - size
            log.buffer.truncate(to: frame)
            log.records -= 1
            operations.removeLast()
            return appendRemoval(range.lowerBound..<positions.upperBound, queue)
        }
        appendRemoval(positions, queue)
    }

    private func appendRemoval(_ positions: Range<UInt64>, _ queue: StoredQueue) {
        log.begin(StoreRecord.remove)
        log.buffer.append(raw: queue.id)
        log.buffer.append(raw: positions.lowerBound)
        log.buffer.append(raw: positions.upperBound)
        operations.append(.remove(queue, positions, size: log.end()))
        openRemoval = true
    }

    // MARK: Queues

    /// Makes a queue.
    /// - Parameters:
    ///   - id: not in use, and of no queue that was dropped in this store's life; see ``DurableStore/makeQueueID()``.
    ///   - metadata: as in ``setMetadata(_:of:)``.
    /// - Returns: the handle, for use in this batch at once.
    package func makeQueue(id: UInt64, name: Bytes, metadata: Bytes) throws(StorageError) -> StoredQueue {
        try admission.admit()
        let queue = StoredQueue(id: id, name: Array(name))
        try setMetadata(metadata, of: queue)
        return queue
    }

    /// Replaces the queue's own record: opaque bytes, kept on disk, given back by ``DurableStore/metadata(of:)``.
    ///
    /// Not refused while the disk is full, so that a session can be brought up to date; not for content.
    package func setMetadata(_ metadata: Bytes, of queue: StoredQueue) throws(StorageError) {
        guard metadata.count + queue.name.count <= LogFormat.maximumPayload / 2 else { throw .tooLarge }
        let frame = log.begin(StoreRecord.queue)
        appendQueue(queue, metadata, next: queue.nextPosition)
        operations.append(.queue(queue, frame: frame, size: log.end()))
        openRemoval = false
    }

    private func appendQueue(_ queue: StoredQueue, _ metadata: Bytes, next: UInt64) {
        log.buffer.append(raw: queue.id)
        log.buffer.append(raw: next)
        log.buffer.append(raw: UInt32(queue.name.count))
        log.buffer.append(raw: UInt32(metadata.count))
        log.buffer.append(queue.name)
        log.buffer.append(metadata)
    }

    /// Ends a queue with all that is in it. The handle is not to be used again.
    package func drop(_ queue: StoredQueue) {
        log.begin(StoreRecord.drop)
        log.buffer.append(raw: queue.id)
        operations.append(.drop(queue, size: log.end()))
        openRemoval = false
    }

    // MARK: Tables

    /// Sets a key's value, in a table of the caller's numbering.
    package func put(_ key: Bytes, _ value: Bytes, in table: UInt32) throws(StorageError) {
        try put(key, in: table) { $0.append(value) }
    }

    /// The same, with a value that `value` appends.
    package func put(_ key: Bytes, in table: UInt32, value: (OutputBuffer) -> Void) throws(StorageError) {
        try admission.admit()
        try forcePut(key, in: table, value: value)
    }

    /// Sets a small state of the caller's that takes the place of content that it removes. Not refused while the disk is
    /// full; not for content.
    package func putState(_ key: Bytes, in table: UInt32, value: (OutputBuffer) -> Void) throws(StorageError) {
        try forcePut(key, in: table, value: value)
    }

    func forcePut(_ key: Bytes, in table: UInt32, value: (OutputBuffer) -> Void) throws(StorageError) {
        let frame = log.begin(StoreRecord.put)
        appendKey(key, table)
        value(log.buffer)
        guard log.buffer.count - frame <= LogFormat.maximumPayload / 2 else {
            log.cancel()
            throw .tooLarge
        }
        operations.append(.put(TableKey(table: table, bytes: Array(key)), frame: frame, size: log.end()))
        openRemoval = false
    }

    /// Removes a key. Never refused.
    package func delete(_ key: Bytes, in table: UInt32) {
        log.begin(StoreRecord.delete)
        appendKey(key, table)
        operations.append(.delete(TableKey(table: table, bytes: Array(key)), size: log.end()))
        openRemoval = false
    }

    private func appendKey(_ key: Bytes, _ table: UInt32) {
        log.buffer.append(raw: table)
        log.buffer.append(raw: UInt32(key.count))
        log.buffer.append(key)
    }

    // MARK: For compaction

    /// A record that stands for all removals of a queue so far. Under the store's lock.
    func appendRemovedState(of queue: StoredQueue) -> Int {
        log.begin(StoreRecord.removedState)
        log.buffer.append(raw: queue.id)
        log.buffer.append(raw: queue.committed)
        log.buffer.append(raw: queue.entries.first ?? queue.committed)
        for gap in queue.entries.gaps(upTo: queue.committed) {
            log.buffer.append(raw: gap.lowerBound)
            log.buffer.append(raw: gap.upperBound)
        }
        return log.end()
    }

    func appendDrop(of id: UInt64) -> Int {
        log.begin(StoreRecord.drop)
        log.buffer.append(raw: id)
        return log.end()
    }

    func appendQueueCopy(_ queue: StoredQueue, metadata: Bytes) -> (frame: Int, size: Int) {
        let frame = log.begin(StoreRecord.queue)
        appendQueue(queue, metadata, next: queue.committed)
        return (frame, log.end())
    }

    /// Forgets what was not committed; positions given to messages in it stay unused.
    package func discard() {
        log.buffer.removeAll()
        log.records = 0
        clear()
    }

    func clear() {
        operations.removeAll(keepingCapacity: true)
        targets.removeAll(keepingCapacity: true)
        openRemoval = false
    }
}
