package import Buffers

/// What this node subscribes to, counted, and what it tells the others of it. It is the only writer of these entries.
///
/// Changes gather until ``takeDelta()``, which says of each entry that changed how it is now. Deltas have numbers without
/// gaps; a dump is a begin, chunks with all entries and an end, and deltas may come between them, since both say how an
/// entry is and not how it changed. A value: the owner guards it, and posts what it makes in the order of the calls.
package struct LocalRoutes {
    private struct Entry {
        var key: RouteKey
        var members = 0
        var online = 0
        var stored = 0
        /// What the others were told.
        var told: RouteValue?
        var isChanged = false

        var value: RouteValue? {
            guard members > 0 else { return nil }
            guard key.isShared else { return RouteValue(isStored: stored > 0) }
            return RouteValue(
                members: UInt32(clamping: members), online: UInt32(clamping: min(online, members)),
                isStored: stored > 0)
        }
    }

    private var entries: [Entry?] = []
    private var free: [Int] = []
    private var places: [RouteKey: Int] = [:]
    private var changed: [Int] = []
    /// Number of the last delta that was taken.
    package private(set) var version: UInt64 = 0
    /// Over what the others were told; order does not matter.
    package private(set) var hash: UInt64 = 0
    private var lastDump: UInt32 = 0

    package init() {}

    /// Entries that are in force.
    package var count: Int { places.count }
    package var hasChanges: Bool { !changed.isEmpty }

    /// Counts subscriptions that came, went, or changed their state.
    package mutating func change(_ key: RouteKey, members: Int, online: Int = 0, stored: Int = 0) {
        let place = places[key] ?? insert(key)
        entries[place]?.members += members
        entries[place]?.online += online
        entries[place]?.stored += stored
        guard let entry = entries[place], !entry.isChanged, entry.value != entry.told else { return }
        entries[place]?.isChanged = true
        changed.append(place)
    }

    private mutating func insert(_ key: RouteKey) -> Int {
        let place = free.popLast() ?? entries.count
        if place == entries.count { entries.append(nil) }
        entries[place] = Entry(key: key)
        places[key] = place
        return place
    }

    /// The next delta: what has changed since the last one was taken. More may be left.
    /// - Returns: nil when nothing has.
    package mutating func takeDelta() -> OutputBuffer? {
        let batch = OutputBuffer(capacity: 1024)
        batch.append(StateBatch.routeDelta.rawValue)
        batch.append(wire: version)
        let header = batch.count
        while batch.count < RouteCodec.batchBytes, let place = changed.popLast() {
            guard let entry = entries[place] else { continue }
            let value = entry.value
            entries[place]?.isChanged = false
            if value != entry.told {
                if let told = entry.told { hash ^= entry.key.hash(with: told) }
                if let value { hash ^= entry.key.hash(with: value) }
                entries[place]?.told = value
                RouteCodec.append(entry.key, value, to: batch)
            }
            if value == nil {
                entries[place] = nil
                places[entry.key] = nil
                free.append(place)
            }
        }
        guard batch.count > header else { return nil }
        version += 1
        return batch
    }

    // MARK: Dumps

    /// How far a dump for one node has come.
    package struct Dump: Sendable {
        fileprivate var number: UInt32
        fileprivate var next = 0
        package fileprivate(set) var isFinished = false
    }

    /// - Returns: the dump, and the batch that begins it.
    package mutating func beginDump() -> (dump: Dump, batch: OutputBuffer) {
        lastDump &+= 1
        let batch = OutputBuffer(capacity: 64)
        batch.append(StateBatch.routeDumpBegin.rawValue)
        batch.append(wire: lastDump)
        batch.append(wire: version)
        return (Dump(number: lastDump), batch)
    }

    /// - Returns: the next batch of a dump that is not finished.
    package func nextChunk(of dump: inout Dump) -> OutputBuffer {
        let batch = OutputBuffer(capacity: RouteCodec.batchBytes + 1024)
        guard dump.next < entries.count else {
            dump.isFinished = true
            batch.append(StateBatch.routeDumpEnd.rawValue)
            batch.append(wire: dump.number)
            batch.append(wire: version)
            batch.append(wire: hash)
            return batch
        }
        batch.append(StateBatch.routeDumpChunk.rawValue)
        batch.append(wire: dump.number)
        while dump.next < entries.count, batch.count < RouteCodec.batchBytes {
            if let entry = entries[dump.next], let told = entry.told { RouteCodec.append(entry.key, told, to: batch) }
            dump.next += 1
        }
        return batch
    }

    /// What another node compares its copy with; see ``PeerRoutes/compare(with:)``.
    package var summary: [UInt8] {
        let batch = OutputBuffer(capacity: 32)
        batch.append(wire: version)
        batch.append(wire: hash)
        return Array(batch.bytes)
    }
}
