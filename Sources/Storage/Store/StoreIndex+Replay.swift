import Buffers

/// Reading the log back. Each record sets a state, whatever was there: so records may be read that a snapshot has seen
/// already, and copies that compaction made and was killed over.
extension StoreIndex {
    /// - Returns: false for a record that is none of the store's.
    func replay(_ record: LogRecord) -> Bool {
        let payload = record.payload
        switch record.type {
        case StoreRecord.message: return replayMessage(record)
        case StoreRecord.remove:
            guard payload.count == 24 else { return false }
            let queue = queue(payload.raw(0, as: UInt64.self))
            let (from, to) = (payload.raw(8, as: UInt64.self), payload.raw(16, as: UInt64.self))
            guard from < to else { return false }
            remove(from..<to, from: queue)
            // A range may reach to the end of all positions.
            if to != .max { queue.committed = max(queue.committed, to) }
            countControl(record)
        case StoreRecord.queue:
            guard let content = StoreRecord.Queue(payload) else { return false }
            let queue = queue(content.id)
            queue.name = Array(content.name)
            queue.committed = max(queue.committed, content.next)
            setRecord(of: queue, record.location, record.size)
        case StoreRecord.drop:
            guard payload.count == 8 else { return false }
            let id = payload.raw(0, as: UInt64.self)
            highestQueueID = max(highestQueueID, id)
            if let queue = queues[id] { drop(queue) }
            countControl(record)
        case StoreRecord.removedState: return replayRemovedState(record)
        case StoreRecord.put:
            guard let entry = StoreRecord.Entry(payload) else { return false }
            put(TableKey(table: entry.table, bytes: Array(entry.key)), record.location, record.size)
        case StoreRecord.delete:
            guard let entry = StoreRecord.Entry(payload) else { return false }
            delete(TableKey(table: entry.table, bytes: Array(entry.key)))
            countControl(record)
        default: return false
        }
        return true
    }

    private func countControl(_ record: LogRecord) {
        replayedControl[record.location.segment, default: 0] += record.size
    }

    private func queue(_ id: UInt64) -> StoredQueue {
        if let queue = queues[id] { return queue }
        // Its own record may come later: compaction has moved it.
        let queue = StoredQueue(id: id, name: [])
        queues[id] = queue
        highestQueueID = max(highestQueueID, id)
        return queue
    }

    private func replayMessage(_ record: LogRecord) -> Bool {
        guard let message = StoreRecord.Message(record.payload), message.targetCount > 0 else { return false }
        let isShared = message.targetCount > 1
        let length = isShared ? StoreRecord.Message.sharedReadSize(body: message.body.count) : record.size
        let place = record.location.rawValue | (isShared ? QueueEntry.sharedBit : 0)
        for index in 0..<message.targetCount {
            let target = message.target(index)
            guard target.position < .max else { return false }
            insert(
                QueueEntry(place: place, length: UInt32(length), note: target.note), at: target.position,
                in: queue(target.queue))
        }
        return true
    }

    private func replayRemovedState(_ record: LogRecord) -> Bool {
        let payload = record.payload
        guard payload.count >= 24, (payload.count - 24) % 16 == 0 else { return false }
        let queue = queue(payload.raw(0, as: UInt64.self))
        queue.committed = max(queue.committed, payload.raw(8, as: UInt64.self))
        remove(0..<payload.raw(16, as: UInt64.self), from: queue)
        for at in stride(from: 24, to: payload.count, by: 16) {
            let (from, to) = (payload.raw(at, as: UInt64.self), payload.raw(at + 8, as: UInt64.self))
            guard from < to else { return false }
            remove(from..<to, from: queue)
        }
        countControl(record)
        return true
    }

    /// Opens the accounts, and finds what the index names and the files do not have.
    func finishReplay(_ opened: [Segment]) -> [Finding] {
        isReplaying = false
        for segment in opened {
            add(segment)
            segment.control = replayedControl[segment.number] ?? 0
        }
        replayedControl = [:]
        var missing = MissingContent()
        for queue in Array(queues.values) { finish(queue, &missing) }
        for partition in 0..<Self.partitions {
            for (key, entry) in tables[partition] {
                if let segment = readable(entry.location, Int(entry.size)) {
                    segment.live += Int(entry.size)
                } else {
                    missing.add(entry.location, Int(entry.size))
                    tables[partition][key] = nil
                }
            }
        }
        isCompactionDue = true
        return missing.findings(directory: opened.first.map { $0.path } ?? "")
    }

    /// The segment that has such bytes, if one does.
    private func readable(_ location: LogLocation, _ size: Int) -> Segment? {
        guard let segment = segment(location.segment),
            segment.written.load(ordering: .relaxed) >= location.offset + size
        else { return nil }
        return segment
    }

    private func finish(_ queue: StoredQueue, _ missing: inout MissingContent) {
        guard queue.recordSize > 0, let segment = readable(queue.record, queue.recordSize) else {
            missing.orphans.append(.orphanedQueue(id: queue.id, messages: queue.entries.count))
            if queue.recordSize > 0 { missing.add(queue.record, queue.recordSize) }
            queue.isDropped = true
            queues[queue.id] = nil
            return
        }
        segment.live += queue.recordSize
        var lost: [UInt64] = []
        queue.entries.forEach { position, entry in
            if let segment = readable(entry.location, Int(entry.length)) {
                account(entry, in: segment)
            } else {
                missing.add(entry.location, Int(entry.length))
                lost.append(position)
            }
            return true
        }
        for position in lost { queue.entries.clear(position..<(position + 1)) { _ in } }
        queue.nextPosition = queue.committed
    }
}

/// Gathers what is missing, one finding for a segment.
private struct MissingContent {
    private var bySegment: [UInt32: (offset: Int, length: Int)] = [:]
    var orphans: [Finding.Kind] = []

    mutating func add(_ location: LogLocation, _ size: Int) {
        let known = bySegment[location.segment] ?? (location.offset, 0)
        bySegment[location.segment] = (min(known.offset, location.offset), known.length + size)
    }

    /// - Parameter path: of any segment, for the directory's name.
    func findings(directory path: String) -> [Finding] {
        let directory = path.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        let missing = bySegment.sorted { $0.key < $1.key }.map {
            Finding(
                .missing, file: directory + "/" + LogFormat.fileName($0.key), offset: $0.value.offset,
                length: $0.value.length)
        }
        return missing + orphans.map { Finding($0, file: directory, offset: 0) }
    }
}
