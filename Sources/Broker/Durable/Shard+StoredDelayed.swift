import Buffers
import Storage

/// Delayed messages over a restart: one entry each in a table, from when their publisher is answered until the sessions that
/// they are for have them.
extension Shard {
    /// - Returns: false when the store takes nothing at the moment.
    func persistDelayed(_ delayed: DelayedMessage) -> Bool {
        guard let stage = durable else { return true }
        stage.closeOpen()
        isStorageTouched = true
        let view = delayed.message.view
        return withExtendedLifetime(delayed.message) {
            StoredTable.key(view.id).withUnsafeBytes { key in
                do throws(StorageError) {
                    try stage.batch.put(key, in: StoredTable.delayed) {
                        $0.append(littleEndian: delayed.dueAt)
                        StoredMessageCodec.append(view, to: $0)
                    }
                    return true
                } catch {
                    stage.refuse(error)
                    return false
                }
            }
        }
    }

    /// They have been published. Each is removed by the shard that gave it its identity: behind its entry, not beside it.
    func forgetDelayed(_ ids: [MessageID]) {
        for id in ids { send(to: id.shard % node.shards.count) { $0.removeDelayed(id) } }
    }

    fileprivate func removeDelayed(_ id: MessageID) {
        guard let stage = durable else { return }
        stage.closeOpen()
        StoredTable.key(id).withUnsafeBytes { stage.batch.delete($0, in: StoredTable.delayed) }
    }
}

extension StoredTable {
    static func key(_ id: MessageID) -> [UInt8] { bytes(id.high) + bytes(id.low) }
}

extension BrokerNode {
    /// They have been deleted: written when it returns. Blocks.
    func forgetDelayed(_ ids: [MessageID]) {
        guard !ids.isEmpty else { return }
        let count = shards.count
        _ = collect { shard in
            for id in ids where id.shard % count == shard.index { shard.removeDelayed(id) }
            shard.durable?.commit()
            return [Void]()
        }
    }

    func restoreDelayed(_ store: DurableStore) throws(StorageError) {
        var found: [DelayedMessage] = []
        try store.forEach(inTable: StoredTable.delayed) { _, value in
            value.withUnsafeBytes { bytes in
                var reader = StoredReader(bytes)
                let dueAt = reader.integer(Int64.self)
                guard !reader.hasFailed, let decoded = StoredMessageCodec.decode(reader.rest) else { return }
                found.append(DelayedMessage(message: decoded.makeMessage(), dueAt: dueAt))
            }
        }
        // As they came: those of one time keep their order.
        found.sort { a, b in
            let (a, b) = (a.message.header.id, b.message.header.id)
            return (a.high, a.low) < (b.high, b.low)
        }
        delayed.restore(found)
    }
}
