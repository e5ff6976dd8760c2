/// What is replicated: a machine that all nodes feed with the same commands in the same order.
///
/// All calls come from the consensus engine's thread, one after another; each must be short.
package protocol StateMachine: AnyObject, Sendable {
    /// Applies a committed command. Must not fail: a command that is wrong is answered in the result, which only the
    /// node that proposed it sees. Deterministic: no clock, no randomness, no hash order.
    func apply(index: UInt64, command: [UInt8]) -> AppliedCommand

    /// The whole state, in chunks, as of the last command applied.
    func encodeSnapshot() -> [[UInt8]]

    /// Replaces the state.
    /// - Throws: when the bytes are damaged or of a version that is not known; the replica then stops.
    func restore(_ snapshot: [UInt8]) throws
}

package enum AppliedCommand: Sendable {
    /// The bytes are the proposer's answer.
    case result([UInt8])
    /// A command of a later version: this replica stops here, with this explanation, since to skip it would be to diverge.
    case unknown(String)
}

/// Why a proposal did not come to an answer.
package enum ProposalError: Error, Sendable, Equatable {
    /// This node does not lead; certainly not in the log. The leader's name, if one is known.
    case notLeader(String?)
    /// Certainly not in the log, for another reason: no quorum, no room, too large, stopping.
    case refused(String)
    /// It may still be committed: leadership was lost or the node stopped while it was under way.
    case outcomeUnknown
}

package struct ConsensusMember: Sendable, Equatable {
    package enum Role: UInt8, Sendable { case standby = 0, voter = 1, spare = 2 }

    /// Random, made with the data directory, so that a wiped directory is another member.
    package var id: UInt64
    /// The node's name; who dials resolves it.
    package var name: String
    package var role: Role

    package init(id: UInt64, name: String, role: Role) {
        self.id = id
        self.name = name
        self.role = role
    }
}

package struct ConsensusStatus: Sendable, Equatable {
    package enum State: UInt8, Sendable { case unavailable, follower, candidate, leader }

    package var state = State.unavailable
    package var term: UInt64 = 0
    /// 0 and nil while no leader is known.
    package var leaderID: UInt64 = 0
    package var leader: String?
    package var lastIndex: UInt64 = 0
    package var commitIndex: UInt64 = 0
    package var appliedIndex: UInt64 = 0
    package var members: [ConsensusMember] = []
    /// Whether what is committed has been applied, as far as a leader has said since the start. Until then the state is what was
    /// last known here.
    package var isCurrent = false
    /// Why the replica has stopped for good, if it has.
    package var failure: String?

    package init() {}
}

package enum MembershipChange: Sendable, Equatable {
    /// As a spare: it gets nothing yet.
    case add(id: UInt64, name: String)
    /// To voter: returns when it has caught up and votes.
    case assign(id: UInt64, role: ConsensusMember.Role)
    case remove(id: UInt64)
    /// Gives leadership away; nil leaves the choice to the engine.
    case transfer(to: UInt64?)
}

/// One replicated log. Thread-safe; completions come on the engine's thread and must be short.
package protocol Consensus: AnyObject, Sendable {
    /// Appends a command on the leader; completes when it has been applied here, with the machine's answer.
    func propose(_ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void)

    /// As of the last turn of the engine's loop.
    var status: ConsensusStatus { get }

    /// On the leader, one at a time.
    func change(_ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void)

    /// Called on the engine's thread whenever ``status`` has changed. One observer; set before the start.
    func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void)

    /// A byte stream from that member's engine, opened by the other side and authenticated: takes the descriptor over.
    func accept(stream: Int32, from id: UInt64, name: String)

    /// Ends the engine; returns when its thread has ended. What was not committed is answered with `outcomeUnknown`.
    func stop()
}
