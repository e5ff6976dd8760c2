import Buffers
import Cluster
import Consensus
import Synchronization

/// Numbers that a seed decides.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_F491_4F6C_DD1D
    }
}

/// Calls between nodes of one process; links can be cut.
final class LocalNetwork: Sendable {
    typealias Handler =
        @Sendable (MeshPeer, [UInt8], @escaping @Sendable (Result<[UInt8], MeshError>) -> Void) -> Void

    private struct State {
        var handlers: [NodeName: [MeshMethod: Handler]] = [:]
        var nodes: [NodeName: MeshPeer] = [:]
        var down: Set<NodeName> = []
        /// Methods whose answers get lost, by how often still.
        var lostAnswers: [MeshMethod: Int] = [:]
    }

    private let state = Mutex(State())

    func join(_ peer: MeshPeer) -> LocalLinks {
        state.withLock { $0.nodes[peer.name] = peer }
        return LocalLinks(peer, self)
    }

    func setDown(_ name: String, _ isDown: Bool) {
        state.withLock {
            if isDown { $0.down.insert(NodeName(name)) } else { $0.down.remove(NodeName(name)) }
        }
    }

    func loseAnswers(of method: MeshMethod, count: Int) { state.withLock { $0.lostAnswers[method] = count } }

    fileprivate func handle(_ node: NodeName, _ method: MeshMethod, _ handler: @escaping Handler) {
        state.withLock { $0.handlers[node, default: [:]][method] = handler }
    }

    fileprivate func peers(of name: NodeName) -> [MeshPeer] {
        state.withLock { state in
            state.down.contains(name)
                ? [] : state.nodes.values.filter { $0.name != name && !state.down.contains($0.name) }
        }
    }

    fileprivate func call(
        _ from: MeshPeer, _ node: NodeName, _ method: MeshMethod, _ body: [UInt8],
        _ completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        let (handler, isLost) = state.withLock { state -> (Handler?, Bool) in
            guard !state.down.contains(from.name), !state.down.contains(node) else { return (nil, false) }
            let lost = state.lostAnswers[method] ?? 0
            if lost > 0 { state.lostAnswers[method] = lost - 1 }
            return (state.handlers[node]?[method], lost > 0)
        }
        guard let handler else { return completion(.failure(.notConnected)) }
        handler(from, body) { result in completion(isLost ? .failure(.linkLost) : result) }
    }
}

final class LocalLinks: MeshLinks {
    private let peer: MeshPeer
    private let network: LocalNetwork

    init(_ peer: MeshPeer, _ network: LocalNetwork) {
        self.peer = peer
        self.network = network
    }

    var peers: [MeshPeer] { network.peers(of: peer.name) }
    func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 { 0 }
    func backlog(of slot: Int) -> Int { 0 }
    func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) {}

    func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) { network.call(peer, node, method, body, completion) }

    func handle(
        _ method: MeshMethod,
        _ handler:
            @escaping @Sendable (
                _ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
            ) -> Void
    ) { network.handle(peer.name, method, handler) }
}

func peer(_ name: String, id: UInt64, role: NodeRole = .core) -> MeshPeer {
    MeshPeer(
        name: NodeName(name), role: role, incarnation: id, nodeID: id, version: "1", featureLevel: 1, slot: Int(id))
}

/// A replicated log without faults of its own: what the leader takes, all machines apply at once. Leadership is set by hand.
final class LocalLog: Sendable {
    struct State {
        var leader: String?
        var index: UInt64 = 0
        var machines: [String: any StateMachine] = [:]
        var log: [[UInt8]] = []
        var members: [ConsensusMember] = []
        /// What is answered instead of the truth, one after another.
        var answers: [ProposalError] = []
        /// Members that apply nothing for now, with how much they have.
        var behind: [String: Int] = [:]
    }

    let state = Mutex(State())

    func open(_ name: String, id: UInt64, machine: any StateMachine) -> LocalConsensus {
        state.withLock { $0.machines[name] = machine }
        return LocalConsensus(name, id, self)
    }

    func lead(_ name: String?) { state.withLock { $0.leader = name } }

    func disturb(_ answers: [ProposalError]) { state.withLock { $0.answers = answers } }

    func propose(_ name: String, _ command: [UInt8]) -> Result<[UInt8], ProposalError> {
        let (error, machines, index) = state.withLock {
            state -> (ProposalError?, [(String, any StateMachine)], UInt64) in
            guard state.leader == name else { return (.notLeader(state.leader), [], 0) }
            let error = state.answers.isEmpty ? nil : state.answers.removeFirst()
            if let error, error != .outcomeUnknown { return (error, [], 0) }
            state.index += 1
            state.log.append(command)
            return (error, Array(state.machines), state.index)
        }
        guard !machines.isEmpty else { return .failure(error ?? .refused("no machine")) }
        var answer: Result<[UInt8], ProposalError> = .failure(.outcomeUnknown)
        for (owner, machine) in machines {
            switch machine.apply(index: index, command: command) {
            case .result(let bytes): if owner == name { answer = .success(bytes) }
            case .unknown(let text): if owner == name { answer = .failure(.refused(text)) }
            }
        }
        return error.map { .failure($0) } ?? answer
    }
}

final class LocalConsensus: Consensus {
    private let name: String
    private let id: UInt64
    private let log: LocalLog

    init(_ name: String, _ id: UInt64, _ log: LocalLog) {
        self.name = name
        self.id = id
        self.log = log
    }

    func propose(_ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void) {
        completion(log.propose(name, command))
    }

    var status: ConsensusStatus {
        log.state.withLock { state in
            var status = ConsensusStatus()
            status.state = state.leader == name ? .leader : .follower
            status.leader = state.leader
            status.members = state.members
            status.commitIndex = state.index
            status.appliedIndex = state.index
            status.lastIndex = state.index
            return status
        }
    }

    func change(_ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void) {
        completion(
            log.state.withLock { state in
                guard state.leader == name else { return .failure(.notLeader(state.leader)) }
                switch change {
                case .add(let id, let name): state.members.append(ConsensusMember(id: id, name: name, role: .spare))
                case .assign(let id, let role):
                    guard let index = state.members.firstIndex(where: { $0.id == id }) else {
                        return .failure(.refused("no such member"))
                    }
                    state.members[index].role = role
                case .remove(let id): state.members.removeAll { $0.id == id }
                case .transfer(let id):
                    state.leader =
                        state.members.first { $0.role == .voter && (id == nil ? $0.name != name : $0.id == id) }?.name
                        ?? name
                }
                return .success(())
            })
    }

    func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void) {}
    func accept(stream: Int32, from id: UInt64, name: String) {}
    func stop() {}
}
