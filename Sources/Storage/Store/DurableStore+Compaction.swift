import Buffers
import Glibc

/// Moving what is needed out of a segment, so that its file can be deleted.
///
/// A record is copied to the log's end under the store's lock, together with the index's change: so a copy never stands
/// behind the removal of what it copies. The file is deleted after the copies are synced, whatever the durability.
/// Killed at any moment, the log then has both, and the later one is the same message at the same position.
extension DurableStore {
    private static let chunkBytes = 128 * 1024

    /// - Returns: false when the segment could not be given up now.
    func compact(_ segment: Segment, isOldest: Bool) -> Bool {
        let isEmpty = lock.withLock { segment.live == 0 }
        do throws(StorageError) {
            // Full segments may still wait to be written.
            while segment.written.load(ordering: .acquiring) < segment.sealedSize {
                guard !isStopping, !log.admission.contains(.failed) else { return false }
                pause(5)
            }
            if !(isOldest && isEmpty) {
                let mover = SegmentMover(store: self, segment: segment, isOldest: isOldest)
                guard try mover.run() else { return !isStopping }
            }
            // What made the rest of the segment dead may not have been written yet.
            try syncAll()
            return delete(segment)
        } catch {
            return false
        }
    }

    private func delete(_ segment: Segment) -> Bool {
        // The snapshot is completed by what stands in the log behind it: it goes before any of that does.
        if lock.withLock({ snapshotSegment > 0 && segment.number >= snapshotSegment }) {
            let code = files.remove(options.log.directory + "/" + Snapshot.fileName)
            guard code >= 0 || code == -Int(ENOENT), files.syncDirectory(options.log.directory) >= 0 else {
                return false
            }
            lock.withLock { snapshotSegment = 0 }
        }
        let code = files.remove(segment.path)
        guard code >= 0 || code == -Int(ENOENT) else {
            report(Finding(.damaged, file: segment.path, offset: 0))
            lock.withLock { segment.isDamaged = true }
            return false
        }
        lock.withLock { index.remove(segment) }
        return files.syncDirectory(options.log.directory) >= 0
    }

    /// Moves one segment's needed records, a chunk at a time.
    private final class SegmentMover {
        struct Piece {
            var type: UInt8
            var location: LogLocation
            var start: Int
            var count: Int
        }

        let store: DurableStore
        let segment: Segment
        let isOldest: Bool
        let batch: StoreBatch
        let chunk = OutputBuffer(capacity: DurableStore.chunkBytes * 2)
        var pieces: [Piece] = []
        /// Queues of which the segment has removals.
        var removedFrom: Set<UInt64> = []
        var failure: StorageError?

        init(store: DurableStore, segment: Segment, isOldest: Bool) {
            self.store = store
            self.segment = segment
            self.isOldest = isOldest
            batch = store.makeBatch()
        }

        /// - Returns: whether nothing in the segment is needed any more.
        func run() throws(StorageError) -> Bool {
            let outcome = SegmentScanner.scan(
                segment, from: LogFormat.headerBytes, end: segment.sealedSize, after: 0, isLast: false
            ) { [self] record in
                pieces.append(
                    Piece(
                        type: record.type, location: record.location, start: chunk.count, count: record.payload.count))
                chunk.append(record.payload)
                return chunk.count < DurableStore.chunkBytes || moveChunk()
            }
            if let failure { throw failure }
            // The first record's sequence is not 1, which is no gap.
            let damage = outcome.findings.filter { $0.kind == .damaged }
            guard damage.isEmpty, outcome.isSealed else {
                for finding in damage { store.report(finding) }
                if !damage.isEmpty { store.lock.withLock { segment.isDamaged = true } }
                return false
            }
            guard moveChunk(), moveRemovals() else {
                if let failure { throw failure }
                return false
            }
            return store.lock.withLock {
                // Something in the index that the file does not have where it should be.
                if segment.live != 0 { segment.isDamaged = true }
                return segment.live == 0
            }
        }

        /// - Returns: false to stop: on failure, or because the store is being closed.
        private func moveChunk() -> Bool {
            let size = chunk.count
            commit { () throws(StorageError) in
                for piece in pieces { try move(piece) }
            }
            pieces.removeAll(keepingCapacity: true)
            chunk.removeAll()
            return failure == nil && store.restAfter(size)
        }

        private func commit(_ body: () throws(StorageError) -> Void) {
            do throws(StorageError) {
                try store.lock.withLock { () throws(StorageError) in
                    try body()
                    if !batch.isEmpty { _ = try store.commitLocked(batch) }
                }
                store.log.wakeWriter()
            } catch {
                failure = error
            }
            batch.clear()
        }

        private func move(_ piece: Piece) throws(StorageError) {
            let payload = Bytes(rebasing: chunk.bytes[piece.start..<(piece.start + piece.count)])
            switch piece.type {
            case StoreRecord.message: try moveMessage(payload, piece.location)
            case StoreRecord.queue: moveQueue(payload, piece.location)
            case StoreRecord.put: try moveEntry(payload, piece.location)
            case StoreRecord.remove, StoreRecord.drop, StoreRecord.removedState:
                if !isOldest, payload.count >= 8 { removedFrom.insert(payload.raw(0, as: UInt64.self)) }
            case StoreRecord.delete: moveDelete(payload)
            default: break
            }
        }

        private func moveMessage(_ payload: Bytes, _ location: LogLocation) throws(StorageError) {
            guard let message = StoreRecord.Message(payload) else { return }
            var isBegun = false
            for index in 0..<message.targetCount {
                let target = message.target(index)
                guard let queue = store.index.queues[target.queue],
                    queue.entries.get(target.position)?.location == location
                else { continue }
                if !isBegun { try batch.forceBeginMessage { $0.append(message.body) } }
                isBegun = true
                batch.appendTarget(StoreBatch.Target(queue: queue, position: target.position, note: target.note))
            }
            if isBegun { batch.endMessage() }
        }

        private func moveQueue(_ payload: Bytes, _ location: LogLocation) {
            guard let record = StoreRecord.Queue(payload), let queue = store.index.queues[record.id],
                queue.record == location
            else { return }
            let copy = batch.appendQueueCopy(queue, metadata: record.metadata)
            batch.operations.append(.queue(queue, frame: copy.frame, size: copy.size))
        }

        private func moveEntry(_ payload: Bytes, _ location: LogLocation) throws(StorageError) {
            guard let record = StoreRecord.Entry(payload) else { return }
            let key = TableKey(table: record.table, bytes: Array(record.key))
            guard store.index.tables[StoreIndex.partition(key)][key]?.location == location else { return }
            try batch.forcePut(record.key, in: record.table) { $0.append(record.value) }
        }

        private func moveDelete(_ payload: Bytes) {
            guard !isOldest, let record = StoreRecord.Entry(payload) else { return }
            let key = TableKey(table: record.table, bytes: Array(record.key))
            if store.index.tables[StoreIndex.partition(key)][key] == nil {
                batch.delete(record.key, in: record.table)
            }
        }

        /// One record for each queue that stands for all removals from it.
        private func moveRemovals() -> Bool {
            var rest = Array(removedFrom)[...]
            while !rest.isEmpty, failure == nil {
                commit { () throws(StorageError) in
                    while batch.byteCount < DurableStore.chunkBytes, let id = rest.popFirst() {
                        let queue = store.index.queues[id]
                        let size = queue.map { batch.appendRemovedState(of: $0) } ?? batch.appendDrop(of: id)
                        batch.operations.append(.control(size: size))
                    }
                }
            }
            return failure == nil
        }
    }

    /// Keeps compaction from taking the disk from the producers.
    /// - Returns: false when the store is being closed.
    private func restAfter(_ bytes: Int) -> Bool {
        pause(max(1, bytes * 1000 / max(1, options.compactionBytesPerSecond)))
        while log.admission.contains(.backlog), !isStopping { pause(10) }
        return !isStopping
    }
}
