import CRaft
import Glibc
import Synchronization

struct Proposal: Sendable {
    let command: [UInt8]
    let completion: @Sendable (Result<[UInt8], ProposalError>) -> Void
}

/// What other threads ask of the engine's.
enum EngineJob: Sendable {
    case change(MembershipChange, @Sendable (Result<Void, ProposalError>) -> Void)
    case dialed(token: UInt64, descriptor: Int32)
    case accepted(descriptor: Int32, id: UInt64, name: String)
    case stop
}

/// The way into the engine's thread: bounded for proposals, closed once the engine has ended. Thread-safe.
final class Inbox: Sendable {
    private struct State {
        var proposals: [Proposal] = []
        var jobs: [EngineJob] = []
        /// Proposals here and in the engine's queue.
        var commands = 0
        var bytes = 0
        /// nil before the start and after the end.
        nonisolated(unsafe) var core: OpaquePointer?  // used for craft_wake alone, which any thread may call
    }

    private let state = Mutex(State())

    /// From here on proposals and jobs are taken.
    func open(_ core: OpaquePointer) { state.withLock { $0.core = core } }

    /// - Returns: what had not been fetched.
    func close() -> ([Proposal], [EngineJob]) {
        state.withLock { state in
            state.core = nil
            defer {
                state.proposals = []
                state.jobs = []
            }
            return (state.proposals, state.jobs)
        }
    }

    /// - Returns: why it was not taken.
    func add(_ proposal: Proposal, limits: RaftConfiguration) -> ProposalError? {
        state.withLock { state in
            guard let core = state.core else { return .refused("the node is stopping") }
            let bytes = proposal.command.count
            guard state.commands < limits.queuedCommands, state.bytes + bytes <= limits.queuedBytes || state.bytes == 0
            else { return .refused("too many proposals are waiting") }
            state.commands += 1
            state.bytes += bytes
            state.proposals.append(proposal)
            craft_wake(core)
            return nil
        }
    }

    /// - Returns: false when the engine has ended.
    func add(_ job: EngineJob) -> Bool {
        state.withLock { state in
            guard let core = state.core else { return false }
            state.jobs.append(job)
            craft_wake(core)
            return true
        }
    }

    func take() -> ([Proposal], [EngineJob]) {
        state.withLock { state in
            defer {
                state.proposals = []
                state.jobs = []
            }
            return (state.proposals, state.jobs)
        }
    }

    /// These have left the queue.
    func release(commands: Int, bytes: Int) {
        state.withLock { state in
            state.commands -= commands
            state.bytes -= bytes
        }
    }
}
