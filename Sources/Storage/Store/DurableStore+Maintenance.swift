import Buffers
import Glibc

/// The maintenance thread: deletes and rewrites segments, saves the index.
extension DurableStore {
    func maintain() {
        while let errand = nextErrand() {
            switch errand {
            case .compact(let segment, let isOldest): if !compact(segment, isOldest: isOldest) { pause(1000) }
            case .snapshot: saveSnapshot()
            }
        }
        if log.admission.isDisjoint(with: [.failed]) { saveSnapshot() }
    }

    private enum Errand {
        case compact(Segment, isOldest: Bool)
        case snapshot
    }

    private func nextErrand() -> Errand? {
        lock.withLock {
            while !isStopping {
                if log.admission.contains(.failed) {
                    lock.wait(milliseconds: 1000)
                    continue
                }
                if options.snapshotEveryBytes > 0, sealedSinceSnapshot >= options.snapshotEveryBytes {
                    return .snapshot
                }
                if index.isCompactionDue {
                    if let (segment, isOldest) = index.nextVictim(
                        segmentBytes: options.log.segmentBytes, isDiskFull: log.admission.contains(.diskFull),
                        below: victimBound)
                    {
                        return .compact(segment, isOldest: isOldest)
                    }
                    index.isCompactionDue = false
                }
                lock.wait()
            }
            return nil
        }
    }

    /// Segments that the snapshot needs are left alone until the next one, when the log is so large that a start would
    /// miss it. Under the lock.
    private var victimBound: UInt32 {
        guard snapshotSegment > 0, options.snapshotEveryBytes > 0 else { return .max }
        let size = index.segments.reduce(0) { $0 + ($1?.sealedSize ?? 0) }
        return size > 2 * options.snapshotEveryBytes ? snapshotSegment : .max
    }

    /// Waits, or until the store is to be closed.
    func pause(_ milliseconds: Int) {
        let due = monotonicMilliseconds() + milliseconds
        lock.withLock {
            while !isStopping, monotonicMilliseconds() < due {
                lock.wait(milliseconds: max(1, due - monotonicMilliseconds()))
            }
        }
    }

    /// What was committed so far is on the disk then. Not waited for when the store is closed on a full disk.
    func syncAll() throws(StorageError) {
        try log.sync(through: log.committed) { isStopping && log.admission.contains(.diskFull) }
    }

    /// Whether the index finds room besides what is kept for removals.
    private var hasRoomForSnapshot: Bool {
        let size = lock.withLock {
            index.queues.values.reduce(0) { $0 + 64 + $1.entries.count * 24 }
                + index.tables.reduce(0) { $0 + $1.count * 128 }
        }
        return files.freeBytes(options.log.directory) - size > 2 * options.log.reserveBytes
    }

    /// Saves the index. What it shows must be on the disk before it is.
    func saveSnapshot() {
        defer { lock.withLock { sealedSinceSnapshot = 0 } }
        guard hasRoomForSnapshot else { return }
        do throws(StorageError) {
            var writer = try SnapshotWriter(directory: options.log.directory, files: files)
            defer { writer.close() }
            let segment = try write(&writer)
            try syncAll()
            try writer.finish(directory: options.log.directory)
            lock.withLock {
                snapshotSegment = segment
                index.isCompactionDue = true
            }
        } catch {
            // The log has everything; a start takes longer, that is all. A disk without room says so by itself.
            _ = files.remove(options.log.directory + "/" + Snapshot.temporaryName)
        }
    }

    /// - Returns: the segment at which reading begins.
    private func write(_ writer: inout SnapshotWriter) throws(StorageError) -> UInt32 {
        let (queues, start) = lock.withLock { () -> ([StoredQueue], UInt32) in
            let end = log.end
            writer.header(end, highestQueueID: index.highestQueueID)
            for case let segment? in index.segments { writer.segment(segment) }
            return (Array(index.queues.values), end.location.segment)
        }
        var rest = queues[...]
        while !rest.isEmpty {
            lock.withLock {
                while !writer.isFull, let queue = rest.popFirst() {
                    if !queue.isDropped { writer.queue(queue) }
                }
            }
            try writer.write()
        }
        for partition in 0..<StoreIndex.partitions {
            let entries = lock.withLock { index.tables[partition] }
            for (key, entry) in entries {
                writer.entry(key, entry)
                if writer.isFull { try writer.write() }
            }
        }
        return start
    }
}

extension StoreIndex {
    /// The segment that is best given up or rewritten now.
    ///
    /// Only the oldest segment can go without a trace: what stands in it about removals concerns itself alone. Of any
    /// other, the removals are condensed into newer records as long as older segments have what they remove.
    ///
    /// - Parameter bound: segments of this number and above are not looked at.
    func nextVictim(segmentBytes: Int, isDiskFull: Bool, below bound: UInt32) -> (segment: Segment, isOldest: Bool)? {
        let share = isDiskFull ? 8 : 4
        var oldest: Segment?
        var total = 0
        var needed = 0
        var best: Segment?
        for case let segment? in segments {
            if oldest == nil { oldest = segment }
            guard segment.sealedSize > 0, segment.number < bound else { continue }
            total += segment.sealedSize
            needed += segment.live
            if segment === oldest {
                if segment.live == 0 || (!segment.isDamaged && segment.live * share < segment.sealedSize) {
                    return (segment, true)
                }
            } else if !segment.isDamaged, (segment.live + condensed(segment)) * share < segment.sealedSize {
                return (segment, false)
            }
            if !segment.isDamaged, segment.live * 4 < segment.sealedSize * 3,
                best.map({ $0.live > segment.live }) ?? true
            {
                best = segment
            }
        }
        // Removals alone may hold much more than what is needed: then the log is rewritten from the oldest on.
        guard !isDiskFull, let best, total > 2 * needed + 8 * segmentBytes else { return nil }
        return (best, best === oldest)
    }

    /// A guess at what is left of a segment's removals: one record for a queue at most, or what there is.
    private func condensed(_ segment: Segment) -> Int { min(segment.control, segment.sealedSize / 2) / 4 }
}
