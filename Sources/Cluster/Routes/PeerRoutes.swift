package import Buffers

/// This node's copy of what another node subscribes to, from the batches that node sends; see ``LocalRoutes``.
///
/// A value without clock or network: the owner calls, and carries out what comes back. Nothing in a batch is trusted: it is
/// taken as a whole or not at all.
package struct PeerRoutes {
    package enum Outcome: Equatable, Sendable {
        case applied
        /// Something is missing: that node is to be asked for a dump (``dumpRequest()``). Said once; until a dump begins,
        /// deltas are passed over.
        case needsDump
        /// It belongs to a dump that has been given up, or comes before the first one.
        case ignored
        /// These are not the bytes of such a batch; nothing of it has been applied.
        case malformed
    }

    package enum Comparison: Equatable, Sendable {
        case equal
        /// The other node is ahead or behind, or a dump is under way: nothing can be said.
        case unknown
        case different
    }

    private struct Entry {
        var value: RouteValue
        var dump: UInt32
    }

    private var entries: [RouteKey: Entry] = [:]
    /// Of the last delta that was applied.
    package private(set) var version: UInt64 = 0
    package private(set) var hash: UInt64 = 0
    /// The dump whose chunks are coming.
    private var dump: UInt32?
    /// The last dump that came, for entries' marks.
    private var mark: UInt32 = 0
    private var hasBegun = false
    private var awaitsDump = false
    /// Batches that were applied, and how many at the last comparison that could say nothing.
    private var progress: UInt64 = 0
    private var progressAtComparison: UInt64?

    package init() {}

    package var count: Int { entries.count }
    /// A dump has come to its end, and everything since has been applied.
    package var isCurrent: Bool { hasBegun && dump == nil && !awaitsDump }

    package subscript(key: RouteKey) -> RouteValue? { entries[key]?.value }

    /// Takes a batch in.
    /// - Parameter changes: gets what becomes different by it, in order.
    package mutating func apply(_ batch: Bytes, changes: inout [RouteChange]) -> Outcome {
        guard batch.count <= RouteCodec.largestBatch else { return .malformed }
        var reader = WireReader(batch)
        let outcome = apply(&reader, &changes)
        if outcome == .applied { progress += 1 }
        return outcome
    }

    private mutating func apply(_ reader: inout WireReader, _ changes: inout [RouteChange]) -> Outcome {
        switch StateBatch(rawValue: reader.byte()) {
        case .routeDelta: return applyDelta(&reader, &changes)
        case .routeDumpBegin: return beginDump(&reader)
        case .routeDumpChunk: return applyChunk(&reader, &changes)
        case .routeDumpEnd: return endDump(&reader, &changes)
        default: return .malformed
        }
    }

    /// The node is gone: everything is.
    package mutating func drop() -> [RouteChange] {
        defer { self = PeerRoutes() }
        return entries.keys.map { RouteChange(key: $0, value: nil) }
    }

    /// - Parameter summary: what that node's ``LocalRoutes/summary`` says.
    package mutating func compare(with summary: Bytes) -> Comparison {
        var reader = WireReader(summary)
        let version = reader.integer(UInt64.self)
        let hash = reader.integer(UInt64.self)
        guard reader.isComplete else { return .unknown }
        if version == self.version, isCurrent {
            progressAtComparison = nil
            return hash == self.hash ? .equal : .different
        }
        // Deltas or a dump are on their way; unless nothing has come since the last time.
        defer { progressAtComparison = progress }
        return progressAtComparison == progress ? .different : .unknown
    }

    /// The batch that asks a node for all its entries.
    package mutating func dumpRequest() -> OutputBuffer {
        awaitsDump = true
        progressAtComparison = nil
        let batch = OutputBuffer(capacity: 16)
        batch.append(StateBatch.routeDumpRequest.rawValue)
        return batch
    }

    // MARK: Batches

    private mutating func applyDelta(_ reader: inout WireReader, _ changes: inout [RouteChange]) -> Outcome {
        let from = reader.integer(UInt64.self)
        guard let records = Self.records(&reader, removing: true) else { return .malformed }
        guard hasBegun, !awaitsDump else { return .ignored }
        guard from == version else {
            awaitsDump = true
            return .needsDump
        }
        version = from &+ 1
        for record in records { set(record, &changes) }
        return .applied
    }

    private mutating func beginDump(_ reader: inout WireReader) -> Outcome {
        let number = reader.integer(UInt32.self)
        let version = reader.integer(UInt64.self)
        guard reader.isComplete else { return .malformed }
        dump = number
        mark = number
        self.version = version
        hasBegun = true
        awaitsDump = false
        return .applied
    }

    private mutating func applyChunk(_ reader: inout WireReader, _ changes: inout [RouteChange]) -> Outcome {
        let number = reader.integer(UInt32.self)
        guard let records = Self.records(&reader, removing: false) else { return .malformed }
        guard let dump, number == dump, !awaitsDump else { return .ignored }
        for record in records { set(record, &changes) }
        return .applied
    }

    private mutating func endDump(_ reader: inout WireReader, _ changes: inout [RouteChange]) -> Outcome {
        let number = reader.integer(UInt32.self)
        let version = reader.integer(UInt64.self)
        let hash = reader.integer(UInt64.self)
        guard reader.isComplete else { return .malformed }
        guard let dump, number == dump, !awaitsDump else { return .ignored }
        self.dump = nil
        // What the dump did not name and no delta since is there no more.
        let gone = entries.filter { $0.value.dump != number }.map(\.key)
        for key in gone { set(RouteChange(key: key, value: nil), &changes) }
        guard version == self.version, hash == self.hash else {
            awaitsDump = true
            return .needsDump
        }
        return .applied
    }

    private static func records(_ reader: inout WireReader, removing: Bool) -> [RouteChange]? {
        var records: [RouteChange] = []
        while reader.remaining > 0 {
            guard let record = RouteCodec.read(&reader), removing || record.value != nil else { return nil }
            records.append(record)
        }
        return reader.hasFailed ? nil : records
    }

    private mutating func set(_ record: RouteChange, _ changes: inout [RouteChange]) {
        let old = entries[record.key]?.value
        if let value = record.value {
            entries[record.key] = Entry(value: value, dump: mark)
        } else {
            entries[record.key] = nil
        }
        guard old != record.value else { return }
        if let old { hash ^= record.key.hash(with: old) }
        if let value = record.value { hash ^= record.key.hash(with: value) }
        changes.append(record)
    }
}
