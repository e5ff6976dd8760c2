import Buffers
import CCRC32C

/// What lies where: the queues' messages, the queues' own records, the tables' entries; and how much of each segment is
/// still needed. Under the store's lock.
final class StoreIndex {
    static let partitions = 64

    var queues: [UInt64: StoredQueue] = [:]
    /// Live targets of each shared message, by its location.
    var shared: [UInt64: UInt32] = [:]
    /// In parts, so that a part can be copied while the lock is held.
    var tables = [[TableKey: TableEntry]](repeating: [:], count: partitions)
    var highestQueueID: UInt64 = 0
    private(set) var segments: ContiguousArray<Segment?> = []
    private var firstSegment: UInt32 = 1
    /// A full segment has become worth looking at.
    var isCompactionDue = false

    /// While the log is read: there are no accounts yet.
    var isReplaying = false
    /// While the log is read: control bytes by segment.
    var replayedControl: [UInt32: Int] = [:]

    static func partition(_ key: TableKey) -> Int {
        key.bytes.withUnsafeBytes { Int(sluice_crc32c(key.table, $0.baseAddress, $0.count)) & (partitions - 1) }
    }

    // MARK: Segments

    func add(_ segment: Segment) {
        while let first = segments.first, first == nil {
            segments.removeFirst()
            firstSegment += 1
        }
        if segments.isEmpty { firstSegment = segment.number }
        while firstSegment + UInt32(segments.count) < segment.number { segments.append(nil) }
        segments.append(segment)
    }

    @inline(__always)
    func segment(_ number: UInt32) -> Segment? {
        guard number >= firstSegment, number - firstSegment < UInt32(segments.count) else { return nil }
        return segments[Int(number - firstSegment)]
    }

    func remove(_ segment: Segment) { segments[Int(segment.number - firstSegment)] = nil }

    private func release(_ bytes: Int, in number: UInt32) {
        guard !isReplaying, let segment = segment(number) else { return }
        let before = segment.live
        segment.live -= bytes
        let size = segment.sealedSize
        guard size > 0 else { return }
        if segment.live == 0 || (before * 4 >= size && segment.live * 4 < size) { isCompactionDue = true }
    }

    func release(_ entry: QueueEntry) {
        guard entry.isShared else { return release(Int(entry.length), in: entry.location.segment) }
        let key = entry.location.rawValue
        guard !isReplaying, let count = shared[key] else { return }
        if count <= 1 {
            shared[key] = nil
            release(Int(entry.length) + QueueEntry.targetBytes, in: entry.location.segment)
        } else {
            shared[key] = count - 1
            release(QueueEntry.targetBytes, in: entry.location.segment)
        }
    }

    func account(_ entry: QueueEntry, in segment: Segment) {
        guard entry.isShared else {
            segment.live += Int(entry.length)
            return
        }
        let count = shared[entry.location.rawValue, default: 0]
        shared[entry.location.rawValue] = count + 1
        segment.live += QueueEntry.targetBytes + (count == 0 ? Int(entry.length) : 0)
    }

    // MARK: Commits

    /// Makes true what a batch says, now that it has a place.
    func apply(_ batch: StoreBatch, in segment: Segment, at base: Int) {
        var next = 0
        for operation in batch.operations {
            switch operation {
            case .message(let count, let frame, let size):
                let location = LogLocation(segment: segment.number, offset: base + Int(frame))
                let place = location.rawValue | (count > 1 ? QueueEntry.sharedBit : 0)
                for at in next..<(next + Int(count)) where !batch.targets[at].queue.isDropped {
                    let entry = QueueEntry(place: place, length: UInt32(size), note: batch.targets[at].note)
                    insert(entry, at: batch.targets[at].position, in: batch.targets[at].queue)
                    account(entry, in: segment)
                }
                next += Int(count)
            case .remove(let queue, let positions, let size):
                segment.control += size
                remove(positions, from: queue)
            case .queue(let queue, let frame, let size):
                setRecord(of: queue, LogLocation(segment: segment.number, offset: base + frame), size)
                if !queue.isDropped { segment.live += size }
            case .drop(let queue, let size):
                segment.control += size
                drop(queue)
            case .put(let key, let frame, let size):
                put(key, LogLocation(segment: segment.number, offset: base + frame), size)
                segment.live += size
            case .delete(let key, let size):
                segment.control += size
                delete(key)
            case .control(let size): segment.control += size
            }
        }
    }

    func insert(_ entry: QueueEntry, at position: UInt64, in queue: StoredQueue) {
        if let old = queue.entries.set(position, entry) { release(old) }
        if position >= queue.committed { queue.committed = position + 1 }
    }

    func remove(_ positions: Range<UInt64>, from queue: StoredQueue) {
        queue.entries.clear(positions) { release($0) }
    }

    func setRecord(of queue: StoredQueue, _ location: LogLocation, _ size: Int) {
        guard !queue.isDropped else { return }
        if queue.recordSize > 0 { release(queue.recordSize, in: queue.record.segment) }
        queue.record = location
        queue.recordSize = size
        queues[queue.id] = queue
        highestQueueID = max(highestQueueID, queue.id)
    }

    func drop(_ queue: StoredQueue) {
        guard !queue.isDropped else { return }
        queue.entries.clear(0..<UInt64.max) { release($0) }
        if queue.recordSize > 0 { release(queue.recordSize, in: queue.record.segment) }
        queue.recordSize = 0
        queue.isDropped = true
        queues[queue.id] = nil
    }

    func put(_ key: TableKey, _ location: LogLocation, _ size: Int) {
        let entry = TableEntry(location: location, size: UInt32(size))
        if let old = tables[Self.partition(key)].updateValue(entry, forKey: key) {
            release(Int(old.size), in: old.location.segment)
        }
    }

    func delete(_ key: TableKey) {
        guard let old = tables[Self.partition(key)].removeValue(forKey: key) else { return }
        release(Int(old.size), in: old.location.segment)
    }
}
