import Buffers

/// The retained message of each topic, for the whole node. Cold: a retained PUBLISH and a SUBSCRIBE come here.
final class RetainedStore: Sendable {
    private typealias Level = RetainedLevel

    private struct State {
        var root = Level()
        var count = 0
        var expiry = RetainedExpiry()
    }

    /// What became of a message that was to be retained.
    enum Outcome { case stored, full, tooDeep, refused }

    private let state = Guarded(State())
    /// The most topics that may have one; 0 for no limit.
    private let limit: Int

    init(limit: Int) { self.limit = limit }

    var count: Int { state.withLock { $0.count } }

    /// The tree is walked and freed level by level on the stack.
    private static let deepest = 1024

    /// - Parameter persist: writes it to the disk, under the lock so that both are in the same order; false refuses it.
    /// - Returns: `full` when the topic has none yet and there are as many as may be.
    func store(_ message: Message, persist: () -> Bool = { true }) -> Outcome {
        let levels = Self.levels(of: message.view.topic)
        guard levels.count <= Self.deepest else { return .tooDeep }
        return state.withLock { state in
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
            return .stored
        }
    }

    /// - Parameter persist: removes it from the disk, under the lock.
    func remove(_ topic: Bytes, persist: () -> Void = {}) {
        let levels = Self.levels(of: topic)
        guard levels.count <= Self.deepest else { return }
        state.withLock { state in
            guard Self.remove(levels[...], below: state.root, only: nil, &state.expiry) else { return }
            state.count -= 1
            persist()
        }
    }

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
                withExtendedLifetime(message) { persist(message.view.topic) }
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
