package import Buffers

/// What a connection was told about topics, for a while. Sets of four entries, grown with use up to the bound; the topic
/// itself is compared, since its hash is known to whoever reads this.
///
/// Confined to its shard.
package final class AuthorizationCache {
    private struct Entry {
        var hash: UInt64 = 0
        /// Monotonic milliseconds; 0 for an empty entry.
        var expiresAt: Int64 = 0
        var topic = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        /// Action, QoS and retain flag.
        var flags: UInt8 = 0
        var isAllowed = false
    }

    private var entries: UnsafeMutableBufferPointer<Entry>
    private let limit: Int
    private let timeToLive: Int64
    private var turn = 0

    /// - Parameters:
    ///   - limit: the most decisions; a power of two at most that large counts.
    ///   - timeToLive: milliseconds.
    package init(limit: Int, timeToLive: Int64) {
        self.limit = 1 << (Int.bitWidth - 1 - max(1, limit).leadingZeroBitCount)
        self.timeToLive = timeToLive
        entries = Self.allocate(min(4, self.limit))
    }

    deinit {
        for entry in entries { entry.topic.deallocate() }
        entries.deallocate()
    }

    private static func allocate(_ count: Int) -> UnsafeMutableBufferPointer<Entry> {
        let entries = UnsafeMutableBufferPointer<Entry>.allocate(capacity: count)
        entries.initialize(repeating: Entry())
        return entries
    }

    private var ways: Int { min(4, entries.count) }

    private func base(_ hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash >> 8) & (entries.count - 1) & ~(ways - 1)
    }

    /// - Parameters:
    ///   - hash: of the topic.
    ///   - now: monotonic milliseconds.
    /// - Returns: what was decided and until when that holds; nil when nothing is known, or not any more.
    package func find(_ topic: Bytes, hash: UInt64, flags: UInt8, now: Int64) -> (isAllowed: Bool, until: Int64)? {
        let base = base(hash)
        for index in base..<base + ways {
            let entry = entries[index]
            if entry.hash == hash, entry.flags == flags, entry.expiresAt > now, entry.topic.count == topic.count,
                compareBytes(Bytes(entry.topic), topic) == 0
            {
                return (entry.isAllowed, entry.expiresAt)
            }
        }
        return nil
    }

    package func store(_ topic: Bytes, hash: UInt64, flags: UInt8, isAllowed: Bool, now: Int64) {
        var index = place(hash, flags, topic, now)
        while index == nil, entries.count < limit {
            grow()
            index = place(hash, flags, topic, now)
        }
        if index == nil { turn &+= 1 }
        let slot = index ?? base(hash) + (turn & (ways - 1))
        if entries[slot].topic.count != topic.count {
            entries[slot].topic.deallocate()
            entries[slot].topic = .allocate(byteCount: topic.count, alignment: 8)
        }
        entries[slot].topic.copyMemory(from: topic)
        entries[slot].hash = hash
        entries[slot].flags = flags
        entries[slot].isAllowed = isAllowed
        entries[slot].expiresAt = now + timeToLive
    }

    /// The topic's own entry, or one that is free or over.
    private func place(_ hash: UInt64, _ flags: UInt8, _ topic: Bytes, _ now: Int64) -> Int? {
        let base = base(hash)
        var free: Int?
        for index in base..<base + ways {
            let entry = entries[index]
            if entry.expiresAt <= now {
                free = free ?? index
            } else if entry.hash == hash, entry.flags == flags, compareBytes(Bytes(entry.topic), topic) == 0,
                entry.topic.count == topic.count
            {
                return index
            }
        }
        return free
    }

    private func grow() {
        let old = entries
        entries = Self.allocate(old.count * 2)
        for entry in old where entry.expiresAt != 0 {
            let base = base(entry.hash)
            if let slot = (base..<base + ways).first(where: { entries[$0].expiresAt == 0 }) {
                entries[slot] = entry
            } else {
                entry.topic.deallocate()
            }
        }
        old.deallocate()
    }

    package func removeAll() {
        for index in entries.indices { entries[index].expiresAt = 0 }
    }

    /// How many decisions there is room for now.
    package var capacity: Int { entries.count }
}
