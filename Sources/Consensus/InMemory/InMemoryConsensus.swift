import Glibc
import Synchronization

/// A replicated log of several nodes in one process, without files, threads or time: a fixture for what stands on ``Consensus``.
///
/// Everything happens inside the calls: a proposal on the leader is applied on all nodes that it reaches before
/// ``Consensus/propose(_:completion:)`` returns. The leader is the first voter, in the order in which they were added, that is
/// up and reaches a majority. Nodes that a partition cuts off catch up when it heals. Machines are called with the fixture's lock
/// held, so they must not ask it anything from there; completions and observers may.
package final class InMemoryCluster: Sendable {
    fileprivate struct Node {
        let consensus: InMemoryConsensus
        let machine: any StateMachine
        var role: ConsensusMember.Role
        var isUp = true
        var applied = 0
        var status = ConsensusStatus()
    }

    fileprivate struct State {
        var nodes: [Node] = []
        var log: [[UInt8]] = []
        /// Nodes of different numbers do not reach each other.
        var groups: [UInt64: Int] = [:]
        var term: UInt64 = 0
        var leader: UInt64 = 0
        var losesAnswers = false
        /// What is to be called once the lock is free, in order.
        var calls: [@Sendable () -> Void] = []
        var isCalling = false
    }

    private let state = Mutex(State())

    package init() {}

    /// A node whose machine begins empty; it is brought up to date at once.
    package func add(
        id: UInt64, name: String, role: ConsensusMember.Role = .voter, machine: any StateMachine
    ) -> InMemoryConsensus {
        let consensus = InMemoryConsensus(cluster: self, id: id, name: name)
        act { $0.nodes.append(Node(consensus: consensus, machine: machine, role: role)) }
        return consensus
    }

    /// Each set is a part that reaches itself alone; who is in none is alone.
    package func partition(_ parts: [Set<UInt64>]) {
        act { state in
            state.groups = [:]
            for (number, part) in parts.enumerated() { for id in part { state.groups[id] = number + 1 } }
            for (position, node) in state.nodes.enumerated() where state.groups[node.consensus.id] == nil {
                state.groups[node.consensus.id] = -position - 1
            }
        }
    }

    package func heal() { act { $0.groups = [:] } }

    package func setUp(_ id: UInt64, _ isUp: Bool) {
        act { state in
            guard let position = state.position(id) else { return }
            state.nodes[position].isUp = isUp
        }
    }

    /// From now on the leader's answers are lost: commands are committed, and their outcome is unknown to who proposed them.
    package func loseAnswers(_ isLosing: Bool) { act { $0.losesAnswers = isLosing } }

    fileprivate func propose(
        _ id: UInt64, _ command: [UInt8], _ completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void
    ) {
        act { state in
            if let error = state.whyNotLeader(id) { return state.calls.append { completion(.failure(error)) } }
            state.log.append(command)
            let answer = state.catchUp(answerFor: id)
            let isLost = state.losesAnswers
            state.calls.append {
                guard !isLost, case .result(let bytes)? = answer else { return completion(.failure(.outcomeUnknown)) }
                completion(.success(bytes))
            }
        }
    }

    fileprivate func change(
        _ id: UInt64, _ change: MembershipChange,
        _ completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void
    ) {
        act { state in
            if let error = state.whyNotLeader(id) { return state.calls.append { completion(.failure(error)) } }
            let result = state.perform(change)
            state.calls.append { completion(result) }
        }
    }

    fileprivate func status(_ id: UInt64) -> ConsensusStatus {
        state.withLock { state in state.position(id).map { state.nodes[$0].status } ?? ConsensusStatus() }
    }

    /// Changes the state, lets the consequences happen, and calls what is to be called; calls made meanwhile are added behind.
    private func act(_ body: (inout State) -> Void) {
        state.withLock { state in
            body(&state)
            state.settle()
        }
        while let call = state.withLock({ $0.nextCall() }) {
            call()
            state.withLock { $0.isCalling = false }
        }
    }
}

extension InMemoryCluster.State {
    fileprivate func position(_ id: UInt64) -> Int? { nodes.firstIndex { $0.consensus.id == id } }

    fileprivate mutating func nextCall() -> (@Sendable () -> Void)? {
        guard !isCalling, !calls.isEmpty else { return nil }
        isCalling = true
        return calls.removeFirst()
    }

    private func reaches(_ left: InMemoryCluster.Node, _ right: InMemoryCluster.Node) -> Bool {
        left.isUp && right.isUp && groups[left.consensus.id] == groups[right.consensus.id]
    }

    private func hasMajority(_ node: InMemoryCluster.Node) -> Bool {
        let voters = nodes.filter { $0.role == .voter }
        return voters.count { reaches(node, $0) } * 2 > voters.count
    }

    fileprivate mutating func settle() {
        let current = nodes.first { $0.consensus.id == leader }
        let keeps = current.map { $0.role == .voter && $0.isUp && hasMajority($0) } ?? false
        if !keeps {
            let next = nodes.first { $0.role == .voter && $0.isUp && hasMajority($0) }
            leader = next?.consensus.id ?? 0
            if leader != 0 { term += 1 }
        }
        _ = catchUp(answerFor: 0)
        for position in nodes.indices { publish(position) }
    }

    /// Applies what is committed wherever the leader reaches.
    fileprivate mutating func catchUp(answerFor id: UInt64) -> AppliedCommand? {
        var answer: AppliedCommand?
        guard let leading = position(leader) else { return nil }
        for position in nodes.indices where nodes[position].role != .spare && reaches(nodes[leading], nodes[position]) {
            while nodes[position].applied < log.count, nodes[position].status.failure == nil {
                let index = nodes[position].applied
                let result = nodes[position].machine.apply(index: UInt64(index + 1), command: log[index])
                if case .unknown(let reason) = result {
                    nodes[position].status.failure = reason
                } else {
                    nodes[position].applied += 1
                }
                if nodes[position].consensus.id == id { answer = result }
            }
        }
        return answer
    }

    fileprivate func whyNotLeader(_ id: UInt64) -> ProposalError? {
        guard let position = position(id), nodes[position].isUp else { return .refused("the node is stopping") }
        return id == leader ? nil : .notLeader(nodes[position].status.leader)
    }

    fileprivate mutating func perform(_ change: MembershipChange) -> Result<Void, ProposalError> {
        switch change {
        case .add(let id, _), .assign(let id, _), .remove(let id):
            guard let position = position(id) else { return .failure(.refused("there is no such member")) }
            if case .assign(_, let role) = change { nodes[position].role = role }
            if case .remove = change { nodes.remove(at: position) }
        case .transfer(let id):
            let others = nodes.filter { $0.role == .voter && hasMajority($0) && $0.consensus.id != leader }
            guard let next = others.first(where: { id == nil || $0.consensus.id == id }) else {
                return .failure(.refused("no other member has taken the leadership over in time"))
            }
            leader = next.consensus.id
            term += 1
        }
        return .success(())
    }

    private mutating func publish(_ position: Int) {
        let node = nodes[position]
        var status = node.status
        let leading = self.position(leader).map { nodes[$0] }
        let seesLeader = leading.map { reaches(node, $0) } ?? false
        status.state = !node.isUp ? .unavailable : leader == node.consensus.id ? .leader : .follower
        status.leaderID = seesLeader ? leader : 0
        status.leader = seesLeader ? leading?.consensus.name : nil
        if seesLeader {
            status.term = term
            status.isCurrent = true
            status.members = nodes.map { ConsensusMember(id: $0.consensus.id, name: $0.consensus.name, role: $0.role) }
        }
        status.appliedIndex = UInt64(node.applied)
        status.commitIndex = status.appliedIndex
        status.lastIndex = status.appliedIndex
        guard status != node.status else { return }
        nodes[position].status = status
        let consensus = node.consensus
        calls.append { [status] in consensus.tell(status) }
    }
}

/// A node of an ``InMemoryCluster``.
package final class InMemoryConsensus: Consensus {
    package let id: UInt64
    package let name: String
    private let cluster: InMemoryCluster
    private let observer = Mutex<(@Sendable (ConsensusStatus) -> Void)?>(nil)

    fileprivate init(cluster: InMemoryCluster, id: UInt64, name: String) {
        self.cluster = cluster
        self.id = id
        self.name = name
    }

    package func propose(
        _ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void
    ) { cluster.propose(id, command, completion) }

    package var status: ConsensusStatus { cluster.status(id) }

    package func change(
        _ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void
    ) { cluster.change(id, change, completion) }

    /// Here the observer is told the present status at once.
    package func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void) {
        observer.withLock { $0 = body }
        body(status)
    }

    /// There are no streams: the descriptor is closed.
    package func accept(stream: Int32, from id: UInt64, name: String) { close(stream) }

    package func stop() { cluster.setUp(id, false) }

    fileprivate func tell(_ status: ConsensusStatus) { observer.withLock { $0 }?(status) }
}
