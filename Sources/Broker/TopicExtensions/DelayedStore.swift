import HeapModule

/// A message that is published later, under the topic that stood behind `$delayed/seconds/`.
struct DelayedMessage {
    let message: Message
    /// Milliseconds since 1970.
    let dueAt: Int64
}

/// The node's delayed messages by their time, in memory, bounded in number and bytes; `Shard+StoredDelayed.swift` keeps them
/// on disk besides. [EMQX: delayed publish]
final class DelayedStore: Sendable {
    private struct Due: Comparable {
        var at: Int64
        /// Messages of one time keep their order.
        var number: UInt64
        var id: MessageID

        static func < (a: Due, b: Due) -> Bool { (a.at, a.number) < (b.at, b.number) }
        static func == (a: Due, b: Due) -> Bool { a.at == b.at && a.number == b.number }
    }

    private struct State {
        var order = Heap<Due>()
        var messages: [MessageID: DelayedMessage] = [:]
        var bytes = 0
        var lastNumber: UInt64 = 0

        mutating func take(_ id: MessageID) -> DelayedMessage? {
            guard let delayed = messages.removeValue(forKey: id) else { return nil }
            bytes -= delayed.message.byteCount
            return delayed
        }
    }

    private let state = Guarded(State())
    private let limit: Int
    private let byteLimit: Int

    init(limit: Int, byteLimit: Int) {
        self.limit = limit
        self.byteLimit = byteLimit
    }

    var count: Int { state.withLock { $0.messages.count } }
    var byteCount: Int { state.withLock { $0.bytes } }

    /// All that wait, soonest first. Copies references; for administration.
    var all: [DelayedMessage] {
        state.withLock { Array($0.messages.values) }.sorted { $0.dueAt < $1.dueAt }
    }

    /// - Returns: false when there are as many as may be.
    func add(_ delayed: DelayedMessage) -> Bool { insert(delayed, isBounded: true) }

    /// Takes back what was kept over a restart, whatever the bounds say now.
    func restore(_ messages: [DelayedMessage]) {
        for delayed in messages { _ = insert(delayed, isBounded: false) }
    }

    private func insert(_ delayed: DelayedMessage, isBounded: Bool) -> Bool {
        let size = delayed.message.byteCount
        return state.withLock { state in
            if isBounded {
                if limit > 0, state.messages.count >= limit { return false }
                if byteLimit > 0, state.bytes + size > byteLimit { return false }
            }
            let id = delayed.message.header.id
            guard state.messages.updateValue(delayed, forKey: id) == nil else { return true }
            state.bytes += size
            state.lastNumber += 1
            state.order.insert(Due(at: delayed.dueAt, number: state.lastNumber, id: id))
            return true
        }
    }

    /// Takes out what is due, in its order.
    /// - Parameter most: bounds the work and the time under the lock.
    func takeDue(now: Int64, most: Int) -> [DelayedMessage] {
        state.withLock { state in
            var due: [DelayedMessage] = []
            while due.count < most, let first = state.order.min, first.at <= now {
                state.order.removeMin()
                if let delayed = state.take(first.id) { due.append(delayed) }
            }
            return due
        }
    }

    /// - Returns: false when there is no such message any more.
    func remove(_ id: MessageID) -> Bool {
        state.withLock { state in
            guard state.take(id) != nil else { return false }
            // What was deleted leaves its place in the order behind; these are not to become many.
            if state.order.count > 2 * state.messages.count + 1024 {
                state.order = Heap(state.order.unordered.filter { state.messages[$0.id] != nil })
            }
            return true
        }
    }

    /// - Returns: the messages of that topic, which are deleted.
    func remove(topic: String) -> [MessageID] {
        let ids = all.filter { $0.message.view.topic.elementsEqual(topic.utf8) }.map(\.message.header.id)
        return ids.filter { remove($0) }
    }
}
