import Buffers
import Cluster

/// The retained message of each topic, for the whole node. Cold: a retained PUBLISH and a SUBSCRIBE come here.
final class RetainedStore: Sendable {
    private typealias Level = RetainedLevel

    private struct State {
        var root = Level()
        var count = 0
        var expiry = RetainedExpiry()
        /// Who wrote each topic last, where other nodes have the messages too.
        var replica: RetainedReplica?
    }

    /// What became of a message that was to be retained.
    enum Outcome {
        /// With the stamp that other nodes are told, of a message that they should have.
        case stored(RetainedStamp?)
        case full, tooDeep, refused
        /// A later one has been there, or there is no place for it because of its stamp.
        case older
    }

    private let state = Guarded(State())
    /// The most topics that may have one; 0 for no limit.
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.count } }

    /// The tree is walked and freed level by level on the stack.
    private static let deepest = 1024

    /// - Parameters:
    ///   - stamp: of another node's client that set it; nil for one of this node.
    ///   - wall: milliseconds since 1970.
    ///   - persist: writes it to the disk, under the lock so that both are in the same order; false refuses it.
    /// - Returns: `full` when the topic has none yet and there are as many as may be.
    func store(
        _ message: Message, stamp: RetainedStamp? = nil, wall: Int64, persist: () -> Bool = { true }
    ) -> Outcome {
        let levels = Self.levels(of: message.view.topic)
        guard levels.count <= Self.deepest else { return .tooDeep }
        return state.withLock { state in
            withExtendedLifetime(message) {
                guard let stamp else {
                    let outcome = place(message, levels, &state, persist)
                    guard case .stored = outcome, !Self.isLocal(message.view.topic) else { return outcome }
                    return .stored(state.replica?.write(message.view.topic, isDeleted: false, wall: wall))
                }
                let before = state.replica?[message.view.topic]
                guard state.replica?.admit(message.view.topic, stamp: stamp, isDeleted: false, wall: wall) == .admitted
                else { return .older }
                let outcome = place(message, levels, &state, persist)
                if case .stored = outcome { return outcome }
                state.replica?.revert(message.view.topic, to: before)
                return outcome
            }
        }
    }

    /// A message from an earlier life of the node: as old as it is.
    func restore(_ message: Message) -> Outcome {
        let topic = message.view.topic
        let levels = Self.levels(of: topic)
        guard levels.count <= Self.deepest else { return .tooDeep }
        return state.withLock { state in
            let outcome = place(message, levels, &state) { true }
            if case .stored = outcome, !Self.isLocal(topic) {
                let time = HybridClock.reading(wall: message.traits.receivedAt)
                state.replica?.restore(topic, stamp: RetainedStamp(time: time, origin: 0), isDeleted: false)
            }
            return outcome
        }
    }

    private func place(
        _ message: Message, _ levels: [[UInt8]], _ state: inout State, _ persist: () -> Bool
    ) -> Outcome {
        var level = state.root
        for name in levels {
            if let next = level.children[name] {
                level = next
            } else {
                if limit > 0, state.count >= limit { return .full }
                let next = Level()
                level.children[name] = next
                level = next
            }
        }
        if level.message == nil, limit > 0, state.count >= limit { return .full }
        guard persist() else { return .refused }
        if level.message == nil { state.count += 1 }
        level.message = message
        state.expiry.update(level)
        return .stored(nil)
    }

    /// - Parameters:
    ///   - stamp: of another node's client that deleted it; nil for one of this node.
    ///   - wall: milliseconds since 1970.
    ///   - persist: removes it from the disk, under the lock.
    /// - Returns: the stamp that other nodes are told: they may have a message that this one has not.
    @discardableResult
    func remove(
        _ topic: Bytes, stamp: RetainedStamp? = nil, wall: Int64, persist: () -> Void = {}
    ) -> RetainedStamp? {
        let levels = Self.levels(of: topic)
        guard levels.count <= Self.deepest else { return nil }
        return state.withLock { state in
            if let stamp {
                guard state.replica?.admit(topic, stamp: stamp, isDeleted: true, wall: wall) == .admitted else {
                    return nil
                }
            }
            if Self.remove(levels[...], below: state.root, only: nil, &state.expiry) {
                state.count -= 1
                persist()
            }
            guard stamp == nil, !Self.isLocal(topic) else { return nil }
            return state.replica?.write(topic, isDeleted: true, wall: wall)
        }
    }

    // MARK: Other nodes

    /// From now on topics have stamps. Before anything is stored.
    /// - Parameter origin: this node's number in them.
    func replicate(origin: UInt64) { state.withLock { $0.replica = RetainedReplica(origin: origin) } }

    /// What a node says of itself stays there.
    private static func isLocal(_ topic: Bytes) -> Bool { topic.starts(with: "$SYS/".utf8) }

    /// The batch that shows another node what is here; nil without a mesh.
    var digest: OutputBuffer? { state.withLock { $0.replica?.digest } }

    /// - Returns: the buckets of topics that are not the same here; nil when the bytes are no digest.
    func differences(from digest: Bytes) -> [Int]? { state.withLock { $0.replica?.differences(from: digest) } }

    /// The topics of a bucket; without message when it is deleted or has come to its end.
    func entries(in bucket: Int, now: Int64) -> [(topic: [UInt8], entry: RetainedReplica.Entry, message: Message?)] {
        state.withLock { state in
            (state.replica?.entries(in: bucket) ?? []).map { topic, entry in
                let found = entry.isDeleted ? nil : topic.withUnsafeBytes { Self.find($0, in: state.root) }
                return (topic, entry, found.flatMap { $0.traits.expiresAt > now ? $0 : nil })
            }
        }
    }

    private static func find(_ topic: Bytes, in root: Level) -> Message? {
        var level = root
        for name in levels(of: topic) {
            guard let next = level.children[name] else { return nil }
            level = next
        }
        return level.message
    }

    /// Forgets deletions that every node has heard of by now.
    func sweepTombstones(wall: Int64) { state.withLock { _ = $0.replica?.sweep(wall: wall) } }

    /// Removes messages that have expired, those that expired first.
    /// - Parameter most: bounds the work and the time under the lock.
    /// - Parameter persist: removes one from the disk, under the lock.
    /// - Returns: how many were removed.
    func removeExpired(now: Int64, most: Int, persist: (Bytes) -> Void = { _ in }) -> Int {
        state.withLock { state in
            var removed = 0
            while removed < most, let level = state.expiry.first, level.expiresAt <= now, let message = level.message {
                let levels = Self.levels(of: message.view.topic)
                guard Self.remove(levels[...], below: state.root, only: message, &state.expiry) else { break }
                state.count -= 1
                removed += 1
                withExtendedLifetime(message) {
                    state.replica?.expire(message.view.topic)
                    persist(message.view.topic)
                }
            }
            return removed
        }
    }

    /// Removes the message and the levels that carried nothing else.
    private static func remove(
        _ levels: ArraySlice<[UInt8]>, below level: Level, only: Message?, _ expiry: inout RetainedExpiry
    ) -> Bool {
        guard let name = levels.first else {
            guard let message = level.message, only == nil || only === message else { return false }
            level.message = nil
            expiry.remove(level)
            return true
        }
        guard let child = level.children[name] else { return false }
        let removed = remove(levels.dropFirst(), below: child, only: only, &expiry)
        if child.message == nil, child.children.isEmpty { level.children[name] = nil }
        return removed
    }

    /// Calls `body` with the messages whose topics match, but for those that have expired.
    func match(_ filter: Bytes, now: Int64, _ body: (Message) -> Void) {
        let levels = Self.levels(of: filter)
        guard levels.count <= Self.deepest else { return }
        var found: [Message] = []
        state.withLock { state in
            Self.collect(levels[...], at: state.root, isRoot: true) { message in
                if message.traits.expiresAt > now { found.append(message) }
            }
        }
        for message in found { body(message) }
    }

    private static func collect(_ levels: ArraySlice<[UInt8]>, at level: Level, isRoot: Bool, _ body: (Message) -> Void)
    {
        guard let name = levels.first else {
            if let message = level.message { body(message) }
            return
        }
        let rest = levels.dropFirst()
        if name == [UInt8(ascii: "#")], rest.isEmpty {
            collectAll(at: level, skippingSystem: isRoot, body)
        } else if name == [UInt8(ascii: "+")] {
            for (key, child) in level.children where !(isRoot && key.first == UInt8(ascii: "$")) {
                collect(rest, at: child, isRoot: false, body)
            }
        } else if let child = level.children[name] {
            collect(rest, at: child, isRoot: false, body)
        }
    }

    private static func collectAll(at level: Level, skippingSystem: Bool, _ body: (Message) -> Void) {
        if let message = level.message { body(message) }
        for (key, child) in level.children where !(skippingSystem && key.first == UInt8(ascii: "$")) {
            collectAll(at: child, skippingSystem: false, body)
        }
    }

    private static func levels(of topic: Bytes) -> [[UInt8]] {
        topic.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map { Array($0) }
    }
}
