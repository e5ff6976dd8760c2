package import Buffers
import Glibc

extension DurableStore {
    /// The bytes last given with ``StoreBatch/setMetadata(_:of:)``. Blocks for the disk.
    package func metadata(of queue: StoredQueue) throws(StorageError) -> [UInt8] {
        let (location, size, segment) = lock.withLock {
            (queue.record, queue.recordSize, index.segment(queue.record.segment))
        }
        guard let segment, size > 0 else { return [] }
        return try withRecord(location, size, segment, type: StoreRecord.queue) { payload in
            guard let record = StoreRecord.Queue(payload), record.id == queue.id else { return nil }
            return Array(record.metadata)
        }
    }

    /// A key's value; nil when it has none. Blocks for the disk.
    package func value(of key: Bytes, in table: UInt32) throws(StorageError) -> [UInt8]? {
        let name = TableKey(table: table, bytes: Array(key))
        let found = lock.withLock { () -> (TableEntry, Segment)? in
            guard let entry = index.tables[StoreIndex.partition(name)][name],
                let segment = index.segment(entry.location.segment)
            else { return nil }
            return (entry, segment)
        }
        guard let (entry, segment) = found else { return nil }
        return try value(name, entry, segment)
    }

    private func value(_ key: TableKey, _ entry: TableEntry, _ segment: Segment) throws(StorageError) -> [UInt8] {
        try withRecord(entry.location, Int(entry.size), segment, type: StoreRecord.put) { payload in
            guard let record = StoreRecord.Entry(payload), record.table == key.table,
                record.key.elementsEqual(key.bytes)
            else { return nil }
            return Array(record.value)
        }
    }

    /// Calls `body` with each key and value of a table, in no order. Blocks for the disk; what is put or deleted
    /// meanwhile may be seen or not. Entries that are damaged are passed over and reported (as events).
    package func forEach(inTable table: UInt32, _ body: ([UInt8], [UInt8]) -> Void) throws(StorageError) {
        for partition in 0..<StoreIndex.partitions {
            let found = lock.withLock { () -> [(TableKey, TableEntry, Segment)] in
                index.tables[partition].compactMap { key, entry in
                    guard key.table == table, let segment = index.segment(entry.location.segment) else { return nil }
                    return (key, entry, segment)
                }
            }
            for (key, entry, segment) in found.sorted(by: { $0.1.location < $1.1.location }) {
                do throws(StorageError) {
                    body(key.bytes, try value(key, entry, segment))
                } catch {
                    guard case .damaged = error else { throw error }
                }
            }
        }
    }

    private func withRecord<R>(
        _ location: LogLocation, _ size: Int, _ segment: Segment, type: UInt8, _ body: (Bytes) -> R?
    ) throws(StorageError) -> R {
        // Committed, or moved by compaction, and not written yet.
        if segment.written.load(ordering: .acquiring) < location.offset + size { try log.waitForWriter() }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 8)
        defer { buffer.deallocate() }
        let count = segment.read(into: buffer, at: location.offset)
        if count < 0 { throw .failed(operation: "pread", path: segment.path, errno: Int32(-count)) }
        let frame = Bytes(rebasing: buffer[..<count])
        if count == size, LogFormat.isIntact(frame, at: location, salt: segment.salt),
            frame.raw(8, as: UInt64.self) >> 56 == UInt64(type)
        {
            let length = Int(frame.raw(4, as: UInt32.self))
            let payload = frame[LogFormat.frameBytes..<(LogFormat.frameBytes + length)]
            if let result = body(Bytes(rebasing: payload)) { return result }
        }
        let finding = Finding(.damaged, file: segment.path, offset: location.offset, length: size)
        report(finding)
        throw .damaged(finding)
    }
}

extension SegmentLog {
    /// Waits until all that was handed over is written. For threads that may block.
    package func waitForWriter() throws(StorageError) {
        try monitor.withLock { () throws(StorageError) in
            let target = nextSequence - 1
            blocked += 1
            defer { blocked -= 1 }
            while written < target {
                if let failure { throw failure }
                monitor.wakeAll()
                monitor.wait()
            }
        }
    }
}
