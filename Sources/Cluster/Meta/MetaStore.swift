package import Consensus
import Dispatch
import Synchronization

/// Why a change of the cluster's state did not happen, or may have.
package enum MetaFailure: Error, Sendable, Equatable, CustomStringConvertible {
    /// Certainly not done.
    case refused(reason: String, next: String)
    /// Certainly not done: something else was first, or it belongs to somebody else.
    case conflict(reason: String, next: String)
    case notFound(String)
    /// Nobody has said; it may be done, now or later.
    case outcomeUnknown(reason: String, next: String)

    package var description: String {
        switch self {
        case .refused(let reason, let next), .conflict(let reason, let next), .outcomeUnknown(let reason, let next):
            next.isEmpty ? reason : "\(reason)\nNext: \(next)"
        case .notFound(let reason): reason
        }
    }

    package static func of(_ answer: MetaAnswer) -> MetaFailure? {
        switch answer {
        case .done, .unchanged: nil
        case .refused(let reason, let next): .refused(reason: reason, next: next)
        case .conflict(let reason, let next): .conflict(reason: reason, next: next)
        case .notFound(let reason): .notFound(reason)
        case .missing: .refused(reason: "the rule files have not arrived", next: "try again")
        }
    }
}

/// Changes the cluster's state, from whichever node: on the leader, or through it.
///
/// Thread-safe. A command that has to be sent again keeps its key, so that it counts once.
package final class MetaStore: Sendable {
    package let machine: MetaStateMachine
    private let name: NodeName
    private let queue = DispatchQueue(label: "meta-store")
    private let ways = Mutex(Ways())

    /// How commands travel. Nil: not yet, or not any more.
    private struct Ways {
        var consensus: (any Consensus)?
        var links: (any MeshLinks)?
        /// A core that takes commands for a replicant.
        var upstream: NodeName?
        var isStopped = false
    }

    private static let pauseMilliseconds = 40
    private static let callMilliseconds = 3000

    package init(machine: MetaStateMachine, name: NodeName) {
        self.machine = machine
        self.name = name
    }

    package var state: MetaState { machine.state }

    /// The engine of a core; it changes when the node joins another cluster.
    package func use(_ consensus: (any Consensus)?) { ways.withLock { $0.consensus = consensus } }

    package func use(upstream: NodeName?) { ways.withLock { $0.upstream = upstream } }

    /// Forwards by these links from now on, and takes what other nodes forward. Once.
    package func attach(_ links: any MeshLinks) {
        ways.withLock { $0.links = links }
        links.handle(.propose) { [weak self] _, body, reply in
            guard let self else { return reply(.failure(.refused("stopping"))) }
            guard let steps = body.first else { return reply(.failure(.refused("there is no command"))) }
            self.take(Array(body.dropFirst()), steps: steps) { reply(.success($0)) }
        }
    }

    /// Answers what is under way as of unknown outcome.
    package func stop() {
        ways.withLock {
            $0.isStopped = true
            $0.consensus = nil
        }
    }

    /// The state of the engine; nil for a replicant.
    package var status: ConsensusStatus? { ways.withLock { $0.consensus }?.status }

    // MARK: Propose

    /// Carries a command out. The completion comes once, from any thread, when this node has applied it too.
    package func propose(
        _ command: MetaCommand, key: CommandKey = .random(), timeoutMilliseconds: Int = 5000,
        completion: @escaping @Sendable (Result<MetaAnswer, MetaFailure>) -> Void
    ) {
        let bytes = command.encoded(key)
        guard bytes.count <= MetaLimits.command else {
            completion(
                .failure(
                    .refused(
                        reason: "the change has \(bytes.count) bytes, at most \(MetaLimits.command) are possible",
                        next: "make it in smaller steps")))
            return
        }
        let attempt = Attempt(
            bytes: bytes, deadline: .now() + .milliseconds(timeoutMilliseconds), completion: completion)
        queue.async { self.run(attempt) }
    }

    /// Carries a command out and waits for it. Not for an event loop or the engine's thread.
    package func submit(
        _ command: MetaCommand, key: CommandKey = .random(), timeoutMilliseconds: Int = 5000
    ) throws(MetaFailure) -> MetaAnswer {
        let done = DispatchSemaphore(value: 0)
        let result = Mutex<Result<MetaAnswer, MetaFailure>?>(nil)
        propose(command, key: key, timeoutMilliseconds: timeoutMilliseconds) { outcome in
            result.withLock { $0 = outcome }
            done.signal()
        }
        done.wait()
        guard let outcome = result.withLock({ $0 }) else { throw Self.unknown("the node is stopping") }
        return try outcome.get()
    }

    /// Like ``submit(_:key:timeoutMilliseconds:)`` for a command that must be done.
    /// - Returns: whether anything changed, and the generation of the rules after it.
    @discardableResult
    package func change(
        _ command: MetaCommand, timeoutMilliseconds: Int = 5000
    ) throws(MetaFailure) -> (changed: Bool, generation: UInt64) {
        let answer = try submit(command, timeoutMilliseconds: timeoutMilliseconds)
        switch answer {
        case .done(let generation): return (true, generation)
        case .unchanged(let generation): return (false, generation)
        default: throw MetaFailure.of(answer) ?? Self.unknown("the answer is none")
        }
    }

    private static func unknown(_ reason: String) -> MetaFailure {
        .outcomeUnknown(
            reason: reason, next: "look whether it was done before you try again: sluice ctl cluster status")
    }

    /// One command on its way. Confined to the queue.
    private final class Attempt: @unchecked Sendable {
        let bytes: [UInt8]
        let deadline: DispatchTime
        let completion: @Sendable (Result<MetaAnswer, MetaFailure>) -> Void
        /// Whether it has been handed to somebody who did not say that it is not in the log.
        var mayBeDone = false
        var lastReason = ""

        init(
            bytes: [UInt8], deadline: DispatchTime,
            completion: @escaping @Sendable (Result<MetaAnswer, MetaFailure>) -> Void
        ) {
            self.bytes = bytes
            self.deadline = deadline
            self.completion = completion
        }

        var millisecondsLeft: Int {
            let now = DispatchTime.now()
            guard now < deadline else { return 0 }
            return Int((deadline.uptimeNanoseconds - now.uptimeNanoseconds) / 1_000_000)
        }
    }

    /// What an attempt at a node came to.
    private enum Outcome: Sendable {
        case answered(sequence: UInt64, [UInt8])
        /// Certainly not in the log; perhaps another time, or elsewhere.
        case notNow(String)
        /// Certainly not in the log, for good.
        case never(String)
        case unknown(String)
    }

    private func run(_ attempt: Attempt) {
        let ways = ways.withLock { $0 }
        guard !ways.isStopped else { return give(up: attempt, "the node is stopping") }
        guard attempt.millisecondsLeft > 0 else { return give(up: attempt, attempt.lastReason) }
        let next: @Sendable (Outcome) -> Void = { outcome in self.queue.async { self.took(attempt, outcome) } }
        if let consensus = ways.consensus {
            let status = consensus.status
            if status.state == .leader {
                hand(attempt.bytes, to: consensus, next)
            } else if let leader = status.leader, leader != name.text, let links = ways.links {
                forward(attempt, to: NodeName(leader), links, next)
            } else {
                next(.notNow(status.failure ?? Self.noLeader(status)))
            }
        } else if let upstream = ways.upstream, let links = ways.links {
            forward(attempt, to: upstream, links, next)
        } else {
            next(.notNow("no core node can be reached"))
        }
    }

    private static func noLeader(_ status: ConsensusStatus) -> String {
        let voters = status.members.filter { $0.role == .voter }.count
        return voters > 1
            ? "the cores have no leader: fewer than \(voters / 2 + 1) of \(voters) can reach each other"
            : "the replicated log has no leader yet"
    }

    private func hand(_ bytes: [UInt8], to consensus: any Consensus, _ next: @escaping @Sendable (Outcome) -> Void) {
        let machine = machine
        consensus.propose(bytes) { result in
            switch result {
            case .success(let answer): next(.answered(sequence: machine.state.sequence, answer))
            case .failure(.notLeader): next(.notNow("the leader has changed"))
            case .failure(.refused(let reason)): next(.never(reason))
            case .failure(.outcomeUnknown): next(.unknown("leadership was lost while the change was under way"))
            }
        }
    }

    private func forward(
        _ attempt: Attempt, to node: NodeName, _ links: any MeshLinks, steps: UInt8 = 1,
        _ next: @escaping @Sendable (Outcome) -> Void
    ) {
        links.call(
            node, method: .propose, body: [steps] + attempt.bytes,
            timeoutMilliseconds: max(1, min(attempt.millisecondsLeft, Self.callMilliseconds))
        ) { result in
            switch result {
            case .success(let body): next(ForwardedOutcome(decoding: body).outcome)
            case .failure(.notConnected): next(.notNow("there is no link to \(node), which leads"))
            case .failure(.refused(let reason)): next(.notNow("\(node) has refused it: \(reason)"))
            case .failure(.timedOut), .failure(.linkLost): next(.unknown("\(node), which leads, has not answered"))
            }
        }
    }

    private func took(_ attempt: Attempt, _ outcome: Outcome) {
        switch outcome {
        case .answered(let sequence, let bytes):
            finish(attempt, sequence, bytes)
            return
        case .never(let reason):
            attempt.lastReason = reason
            // What was sent before may still be committed.
            if !attempt.mayBeDone { return give(up: attempt, reason) }
        case .notNow(let reason): attempt.lastReason = reason
        case .unknown(let reason):
            attempt.lastReason = reason
            attempt.mayBeDone = true
        }
        queue.asyncAfter(deadline: .now() + .milliseconds(Self.pauseMilliseconds)) { self.run(attempt) }
    }

    private func finish(_ attempt: Attempt, _ sequence: UInt64, _ bytes: [UInt8]) {
        let answer: MetaAnswer
        do throws(MetaFormatError) { answer = try MetaAnswer(decoding: bytes) } catch {
            attempt.completion(.failure(Self.unknown("the answer can't be read: \(error)")))
            return
        }
        machine.whenApplied(sequence, timeoutMilliseconds: max(1, attempt.millisecondsLeft)) { isApplied in
            attempt.completion(
                isApplied
                    ? .success(answer)
                    : .failure(
                        .outcomeUnknown(
                            reason: "the change is committed, but this node has not got it yet",
                            next: "sluice ctl cluster status shows how far this node is")))
        }
    }

    private func give(up attempt: Attempt, _ reason: String) {
        let reason = reason.isEmpty ? "no answer in time" : reason
        attempt.completion(
            .failure(
                attempt.mayBeDone
                    ? Self.unknown(reason)
                    : .refused(
                        reason: reason,
                        next:
                            "start the cores that are missing (sluice ctl cluster status), or, if they are lost for good, "
                            + "sluice ctl cluster recover on one that is left")))
    }

    // MARK: What others forward

    /// - Parameter steps: how often it may be passed on: two nodes may each take the other for the leader.
    private func take(_ bytes: [UInt8], steps: UInt8, _ reply: @escaping @Sendable ([UInt8]) -> Void) {
        let ways = ways.withLock { $0 }
        guard let consensus = ways.consensus, !ways.isStopped else {
            return reply(ForwardedOutcome.notNow("it has no part in the log").encoded)
        }
        let status = consensus.status
        if status.state == .leader {
            hand(bytes, to: consensus) { reply(ForwardedOutcome($0).encoded) }
        } else if steps > 0, let leader = status.leader, leader != name.text, let links = ways.links {
            // A replicant asks any core: one more step to the leader.
            let attempt = Attempt(bytes: bytes, deadline: .now() + .milliseconds(Self.callMilliseconds)) { _ in }
            forward(attempt, to: NodeName(leader), links, steps: 0) { reply(ForwardedOutcome($0).encoded) }
        } else {
            reply(ForwardedOutcome.notNow(Self.noLeader(status)).encoded)
        }
    }

    /// An outcome as one node tells it another.
    private enum ForwardedOutcome {
        case answered(UInt64, [UInt8])
        case notNow(String)
        case never(String)
        case unknown(String)

        init(_ outcome: Outcome) {
            switch outcome {
            case .answered(let sequence, let bytes): self = .answered(sequence, bytes)
            case .notNow(let reason): self = .notNow(reason)
            case .never(let reason): self = .never(reason)
            case .unknown(let reason): self = .unknown(reason)
            }
        }

        var outcome: Outcome {
            switch self {
            case .answered(let sequence, let bytes): .answered(sequence: sequence, bytes)
            case .notNow(let reason): .notNow(reason)
            case .never(let reason): .never(reason)
            case .unknown(let reason): .unknown(reason)
            }
        }

        var encoded: [UInt8] {
            var writer = MetaWriter()
            switch self {
            case .answered(let sequence, let bytes):
                writer.byte(0)
                writer.number(sequence)
                writer.data(bytes)
            case .notNow(let reason):
                writer.byte(1)
                writer.text(reason)
            case .never(let reason):
                writer.byte(2)
                writer.text(reason)
            case .unknown(let reason):
                writer.byte(3)
                writer.text(reason)
            }
            return writer.bytes
        }

        init(decoding bytes: [UInt8]) {
            var reader = MetaReader(bytes)
            do throws(MetaFormatError) {
                switch try reader.byte() {
                case 0: self = .answered(try reader.number(), try reader.data(limit: MetaLimits.command))
                case 1: self = .notNow(try reader.text(limit: 65_536))
                case 2: self = .never(try reader.text(limit: 65_536))
                default: self = .unknown(try reader.text(limit: 65_536))
                }
            } catch { self = .unknown("the leader's answer can't be read: \(error)") }
        }
    }
}
