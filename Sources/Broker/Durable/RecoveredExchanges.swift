import Storage
import Synchronization

/// QoS 2 messages of persistent sessions that some shards had stored when the node ended, while the publisher's own shard
/// had not written yet that it has the message. When the publisher sends one again, the sessions of these shards have it
/// already. [MQTT-4.3.3-10]
///
/// Each shard's record of such a message has one more target: the shard's ledger. What is found there at the start, and
/// is not known to the publisher's session, stands here until the exchange is done.
final class RecoveredExchanges: Sendable {
    struct Entry {
        /// The shards that had it.
        var shards: UInt64 = 0
        var places: [(ledger: StoredQueue, position: UInt64)] = []
    }

    private let entries = Guarded<[UInt64: Entry]>([:])
    private let hasEntries = Atomic<Bool>(false)

    /// The exchange's name: the publisher's session and the packet identifier.
    static func key(_ queue: StoredQueue, _ identifier: UInt16) -> UInt64 { queue.id << 16 | UInt64(identifier) }

    func add(_ key: UInt64, shard: Int, ledger: StoredQueue, position: UInt64) {
        entries.withLock { entries in
            entries[key, default: Entry()].shards |= 1 << UInt64(shard & 63)
            entries[key, default: Entry()].places.append((ledger, position))
        }
        hasEntries.store(true, ordering: .releasing)
    }

    /// Whether a session had got this message in the node's earlier life.
    @inline(__always)
    func contains(_ key: UInt64, for session: Session) -> Bool {
        guard hasEntries.load(ordering: .acquiring), session.formerShard >= 0 else { return false }
        return entries.withLock { $0[key].map { $0.shards & 1 << UInt64(session.formerShard & 63) != 0 } ?? false }
    }

    /// The exchange is done, or its identifier stands for another message.
    /// - Returns: where it is written, to be removed.
    func remove(_ key: UInt64) -> [(ledger: StoredQueue, position: UInt64)] {
        guard hasEntries.load(ordering: .acquiring) else { return [] }
        return entries.withLock { entries in
            let found = entries.removeValue(forKey: key)?.places ?? []
            if entries.isEmpty { hasEntries.store(false, ordering: .releasing) }
            return found
        }
    }
}
