package import Consensus
import Dispatch
import Synchronization

/// The cluster's state as the replicated log feeds it.
///
/// `apply`, `encodeSnapshot` and `restore` come from one thread at a time, the engine's or that of a replicant's follower.
/// Whoever reads gets a value that does not change any more, and never waits for a command that is being applied.
package final class MetaStateMachine: StateMachine {
    /// A command as a follower gets it.
    package struct Entry: Sendable, Equatable {
        package var sequence: UInt64
        package var index: UInt64
        package var command: [UInt8]
    }

    /// What a follower that has applied up to a sequence needs next.
    package enum Tail: Sendable, Equatable {
        case entries([Entry])
        /// Too far behind: everything anew.
        case snapshot([UInt8])
    }

    private struct Working {
        var state = MetaState()
        var answers: [CommandKey: [UInt8]] = [:]
        /// The keys of `answers`, the oldest first, from `oldest` on.
        var keys: [CommandKey] = []
        var oldest = 0
    }

    private struct Published {
        var state = MetaState()
        var entries = EntryRing()
        /// Sequence numbers and the rolling hash after them.
        var hashes: [(sequence: UInt64, hash: UInt64)] = []
        var waiters: [Waiter] = []
        var failure: String?
    }

    private struct Waiter {
        let sequence: UInt64
        let id: UInt64
        let body: @Sendable (Bool) -> Void
    }

    private struct Observers {
        var bodies: [@Sendable (MetaState, MetaChange) -> Void] = []
        var pending: MetaChange = []
    }

    /// The thread that applies is the only one that takes it; the lock keeps a caller who breaks this from harm.
    private let working = Mutex(Working())
    private let published = Mutex(Published())
    private let observers = Mutex(Observers())
    private let changes = DispatchQueue(label: "meta-changes")
    private let waiterID = Atomic<UInt64>(0)

    private static let hashesKept = 1024

    package init() {}

    // MARK: StateMachine

    package func apply(index: UInt64, command bytes: [UInt8]) -> AppliedCommand {
        let (applied, change) = working.withLock { working -> (AppliedCommand, MetaChange) in
            let command: MetaCommand
            let key: CommandKey
            switch MetaCommand.decode(bytes) {
            case .unknown(let code, let version):
                let text =
                    "command \(code) of format \(version) is of a later version of Sluice: upgrade this node and start it again"
                published.withLock { $0.failure = text }
                return (.unknown(text), [])
            case .malformed(let reason):
                // It is in the log, so it counts, on all nodes alike.
                count(&working, index, bytes)
                return (.result(MetaAnswer.refused(reason: reason, next: "report this as a defect").encoded), [])
            case .command(let decoded, let its):
                command = decoded
                key = its
            }
            count(&working, index, bytes)
            if let answer = working.answers[key] { return (.result(answer), []) }
            let (answer, change) = working.state.apply(command)
            remember(&working, key, answer.encoded)
            return (.result(answer.encoded), change)
        }
        if case .result = applied { publish(index, bytes, change) }
        return applied
    }

    package func encodeSnapshot() -> [[UInt8]] { working.withLock { snapshot($0).encoded() } }

    package func restore(_ snapshot: [UInt8]) throws {
        let decoded = try MetaSnapshot(decoding: snapshot)
        working.withLock { working in
            working = Working()
            working.state = decoded.state
            for entry in decoded.answers { remember(&working, entry.key, entry.answer) }
        }
        publish(nil, [], .everything)
    }

    /// Begins with nothing, for another cluster. Only while nobody feeds it.
    package func reset() {
        working.withLock { $0 = Working() }
        publish(nil, [], .everything)
    }

    private func snapshot(_ working: Working) -> MetaSnapshot {
        MetaSnapshot(
            state: working.state,
            answers: working.keys[working.oldest...].map { ($0, working.answers[$0] ?? []) })
    }

    private func count(_ working: inout Working, _ index: UInt64, _ bytes: [UInt8]) {
        working.state.sequence += 1
        working.state.index = index
        working.state.rollingHash = metaHash(bytes, working.state.rollingHash)
    }

    private func remember(_ working: inout Working, _ key: CommandKey, _ answer: [UInt8]) {
        working.answers[key] = answer
        working.keys.append(key)
        guard working.keys.count - working.oldest > MetaLimits.answers else { return }
        working.answers[working.keys[working.oldest]] = nil
        working.oldest += 1
        if working.oldest >= MetaLimits.answers {
            working.keys.removeFirst(working.oldest)
            working.oldest = 0
        }
    }

    /// - Parameter index: nil after a snapshot.
    private func publish(_ index: UInt64?, _ bytes: [UInt8], _ change: MetaChange) {
        let state = working.withLock { $0.state }
        let due = published.withLock { published -> [Waiter] in
            published.state = state
            if let index {
                published.entries.append(Entry(sequence: state.sequence, index: index, command: bytes))
            } else {
                published.entries = EntryRing()
                published.hashes = []
            }
            published.hashes.append((state.sequence, state.rollingHash))
            if published.hashes.count > 2 * Self.hashesKept {
                published.hashes.removeFirst(published.hashes.count - Self.hashesKept)
            }
            let due = published.waiters.filter { $0.sequence <= state.sequence }
            published.waiters.removeAll { $0.sequence <= state.sequence }
            return due
        }
        for waiter in due { waiter.body(true) }
        if !change.isEmpty { announce(change) }
    }

    // MARK: Read

    /// As of the last command applied here.
    package var state: MetaState { published.withLock { $0.state } }

    /// Why nothing is applied any more, if so.
    package var failure: String? { published.withLock { $0.failure } }

    /// The rolling hash after a command; nil when that is too long ago, or still to come.
    package func rollingHash(at sequence: UInt64) -> UInt64? {
        published.withLock { $0.hashes.last { $0.sequence == sequence }?.hash }
    }

    /// Sequence numbers for which ``rollingHash(at:)`` has an answer.
    package var hashRange: ClosedRange<UInt64> {
        published.withLock { published in
            let last = published.hashes.last?.sequence ?? 0
            return (published.hashes.first?.sequence ?? last)...last
        }
    }

    /// Calls `body` once, with true as soon as so many commands have been applied, or with false when that took too long.
    /// On the thread that applies, or on a queue; at once when it is so already.
    package func whenApplied(
        _ sequence: UInt64, timeoutMilliseconds: Int, _ body: @escaping @Sendable (Bool) -> Void
    ) {
        let id = waiterID.wrappingAdd(1, ordering: .relaxed).newValue
        let isDone = published.withLock { published -> Bool in
            if published.state.sequence >= sequence { return true }
            published.waiters.append(Waiter(sequence: sequence, id: id, body: body))
            return false
        }
        guard !isDone else {
            body(true)
            return
        }
        changes.asyncAfter(deadline: .now() + .milliseconds(timeoutMilliseconds)) { [self] in
            let isLate = published.withLock { published in
                let before = published.waiters.count
                published.waiters.removeAll { $0.id == id }
                return published.waiters.count < before
            }
            if isLate { body(false) }
        }
    }

    /// Tells of each change, with the state that holds by then: several changes may be told at once, never none of the
    /// last. On a queue of its own, one call after another; may block.
    package func observe(_ body: @escaping @Sendable (MetaState, MetaChange) -> Void) {
        observers.withLock { $0.bodies.append(body) }
    }

    private func announce(_ change: MetaChange) {
        let isFirst = observers.withLock { observers -> Bool in
            defer { observers.pending.formUnion(change) }
            return observers.pending.isEmpty
        }
        guard isFirst else { return }
        changes.async { [self] in
            let (bodies, change) = observers.withLock { observers in
                defer { observers.pending = [] }
                return (observers.bodies, observers.pending)
            }
            let state = state
            for body in bodies { body(state, change) }
        }
    }

    // MARK: Followers

    /// What comes after a sequence number, at most so many bytes.
    package func tail(after sequence: UInt64, maximumBytes: Int) -> Tail {
        let entries = published.withLock { published -> [Entry]? in
            guard sequence <= published.state.sequence else { return nil }
            return published.entries.after(sequence, maximumBytes: maximumBytes, last: published.state.sequence)
        }
        return entries.map { .entries($0) } ?? .snapshot(encodeSnapshot().flatMap { $0 })
    }
}

/// The last commands, bounded in number and bytes.
struct EntryRing {
    static let limit = 2048
    static let byteLimit = 4 * 1024 * 1024

    private var entries: [MetaStateMachine.Entry] = []
    private var first = 0
    private var bytes = 0

    mutating func append(_ entry: MetaStateMachine.Entry) {
        entries.append(entry)
        bytes += entry.command.count
        while entries.count - first > Self.limit || bytes > Self.byteLimit {
            bytes -= entries[first].command.count
            entries[first].command = []
            first += 1
        }
        if first >= Self.limit {
            entries.removeFirst(first)
            first = 0
        }
    }

    /// Nil when some of them are not there any more.
    func after(_ sequence: UInt64, maximumBytes: Int, last: UInt64) -> [MetaStateMachine.Entry]? {
        if sequence == last { return [] }
        guard first < entries.count, entries[first].sequence <= sequence + 1 else { return nil }
        let start = first + Int(sequence + 1 - entries[first].sequence)
        var result: [MetaStateMachine.Entry] = []
        var size = 0
        for entry in entries[start...] {
            guard result.isEmpty || size + entry.command.count <= maximumBytes else { break }
            result.append(entry)
            size += entry.command.count
        }
        return result
    }
}
