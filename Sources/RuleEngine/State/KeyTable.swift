internal import Synchronization

/// What a rule remembers by key: one table for all shards, since the same key may come from several.
///
/// Bounded: beyond ``limit`` keys the one that was used longest ago is forgotten for each new one. The table is cut into
/// parts, each under a mutex that is held for the look at one key; a large table forgets the oldest key of the part
/// that the new one falls into, and may for that be over its limit by as many keys as it has parts.
final class KeyTable: Sendable {
    /// Keys; at least 1.
    let limit: Int
    private let stripes: [Stripe]
    private let count = Atomic(0)
    private let forgotten = Atomic(0)

    private final class Stripe: Sendable {
        let entries = Mutex(KeyEntries())
    }

    init(limit: Int) {
        self.limit = max(1, limit)
        // A small table is one part, so that its bound is exact.
        stripes = (0..<(limit < 1024 ? 1 : 16)).map { _ in Stripe() }
    }

    /// How many keys it holds, and how many it has forgotten for others. Any thread.
    var figures: (keys: Int, forgotten: Int) {
        (count.load(ordering: .relaxed), forgotten.load(ordering: .relaxed))
    }

    /// Looks at one key with its part of the table held: `body` gets the part and the key's entry, if there is one.
    func withEntry<Result: Sendable>(_ key: KeyDigest, _ body: (inout KeyEntries, Int?) -> Result) -> Result {
        stripes[Int(truncatingIfNeeded: key.second & UInt64(stripes.count - 1))].entries.withLock { entries in
            body(&entries, entries.find(key))
        }
    }

    /// Sets a key's state and makes it the one that was used last.
    /// - Parameter known: what ``withEntry(_:_:)`` gave for the key.
    func set(_ state: KeyDigest, of key: KeyDigest, known: Int?, in entries: inout KeyEntries) {
        if let known {
            entries[known] = state
            entries.touch(known)
        } else if entries.isEmpty || count.load(ordering: .relaxed) < limit {
            entries.add(key, state)
            count.add(1, ordering: .relaxed)
        } else {
            entries.replaceOldest(key, state)
            forgotten.add(1, ordering: .relaxed)
        }
    }
}

/// Keys with 16 bytes of state each, found by open addressing, in the order of their last use.
struct KeyEntries: Sendable {
    private struct Entry: BitwiseCopyable {
        var key: KeyDigest
        var state: KeyDigest
        /// The neighbours in the order of use; -1 at the ends.
        var newer: Int32
        var older: Int32
    }

    private var entries: [Entry] = []
    /// Numbers of entries, -1 where there is none; a power of two, at least twice as many as entries.
    private var index: [Int32] = []
    private var newest: Int32 = -1
    private var oldest: Int32 = -1

    var isEmpty: Bool { entries.isEmpty }

    subscript(entry: Int) -> KeyDigest {
        get { entries[entry].state }
        set { entries[entry].state = newValue }
    }

    func find(_ key: KeyDigest) -> Int? {
        guard !index.isEmpty else { return nil }
        let mask = index.count - 1
        var position = home(key, mask)
        while case let entry = Int(index[position]), entry >= 0 {
            if entries[entry].key == key { return entry }
            position = (position + 1) & mask
        }
        return nil
    }

    /// Makes an entry the one that was used last.
    mutating func touch(_ entry: Int) {
        guard newest != Int32(entry) else { return }
        unlink(entry)
        link(entry)
    }

    /// - Parameter key: is not there.
    mutating func add(_ key: KeyDigest, _ state: KeyDigest) {
        if (entries.count + 1) * 2 > index.count { grow() }
        entries.append(Entry(key: key, state: state, newer: -1, older: -1))
        store(entries.count - 1, key)
        link(entries.count - 1)
    }

    /// Puts a key that is not there into the place of the one that was used longest ago.
    mutating func replaceOldest(_ key: KeyDigest, _ state: KeyDigest) {
        let entry = Int(oldest)
        remove(entries[entry].key)
        unlink(entry)
        entries[entry].key = key
        entries[entry].state = state
        store(entry, key)
        link(entry)
    }

    // MARK: order of use

    private mutating func link(_ entry: Int) {
        entries[entry].older = newest
        entries[entry].newer = -1
        if newest >= 0 { entries[Int(newest)].newer = Int32(entry) } else { oldest = Int32(entry) }
        newest = Int32(entry)
    }

    private mutating func unlink(_ entry: Int) {
        let (newer, older) = (entries[entry].newer, entries[entry].older)
        if newer >= 0 { entries[Int(newer)].older = older } else { newest = older }
        if older >= 0 { entries[Int(older)].newer = newer } else { oldest = newer }
    }

    // MARK: index

    private func home(_ key: KeyDigest, _ mask: Int) -> Int { Int(truncatingIfNeeded: key.first) & mask }

    private mutating func store(_ entry: Int, _ key: KeyDigest) {
        let mask = index.count - 1
        var position = home(key, mask)
        while index[position] >= 0 { position = (position + 1) & mask }
        index[position] = Int32(entry)
    }

    private mutating func grow() {
        index = [Int32](repeating: -1, count: max(16, index.count * 2))
        for entry in entries.indices { store(entry, entries[entry].key) }
    }

    /// What was pushed on by the key moves back, so that no gap is left in front of it.
    private mutating func remove(_ key: KeyDigest) {
        let mask = index.count - 1
        var gap = home(key, mask)
        while index[gap] >= 0, entries[Int(index[gap])].key != key { gap = (gap + 1) & mask }
        index[gap] = -1
        var position = (gap + 1) & mask
        while index[position] >= 0 {
            let wanted = home(entries[Int(index[position])].key, mask)
            if (position - wanted) & mask >= (position - gap) & mask {
                index[gap] = index[position]
                index[position] = -1
                gap = position
            }
            position = (position + 1) & mask
        }
    }
}
