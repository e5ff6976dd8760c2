import Buffers
import Cluster
import Consensus
import Synchronization

/// Clusters of nodes in one process: logs without faults, links by function call, data directories in memory.
final class LocalWorld: Sendable {
    private struct State {
        var logs: [UInt64: LocalLog] = [:]
        /// Members that wait for a leader to add them.
        var waiting: [UInt64: any StateMachine] = [:]
        var addresses: [String: String] = [:]
        var nextID: UInt64 = 1
    }

    let network = LocalNetwork()
    private let state = Mutex(State())

    func takeID() -> UInt64 {
        state.withLock { state in
            state.nextID += 1
            return state.nextID
        }
    }

    func announce(_ address: String, _ name: String) { state.withLock { $0.addresses[address] = name } }
    func name(at address: String) -> String? { state.withLock { $0.addresses[address] } }

    func log(of id: UInt64) -> LocalLog? { state.withLock { $0.logs[id] } }

    func open(_ id: UInt64, _ name: String, bootstraps: Bool, machine: any StateMachine) -> any Consensus {
        if let known = log(of: id) { return WorldConsensus(self, id, name, known.open(name, id: id, machine: machine)) }
        guard bootstraps else {
            state.withLock { $0.waiting[id] = machine }
            return WorldConsensus(self, id, name, nil)
        }
        let log = LocalLog()
        log.state.withLock { $0.members = [ConsensusMember(id: id, name: name, role: .voter)] }
        log.lead(name)
        state.withLock { $0.logs[id] = log }
        return WorldConsensus(self, id, name, log.open(name, id: id, machine: machine))
    }

    func close(_ id: UInt64) { state.withLock { $0.waiting[id] = nil } }

    fileprivate func changed(_ log: LocalLog, _ change: MembershipChange) {
        switch change {
        case .assign(let id, _):
            guard let machine = state.withLock({ $0.waiting.removeValue(forKey: id) }) else { return }
            log.state.withLock { log in
                guard let leader = log.leader.flatMap({ log.machines[$0] }),
                    let name = log.members.first(where: { $0.id == id })?.name
                else { return }
                do { try machine.restore(leader.encodeSnapshot().flatMap { $0 }) } catch { return }
                log.machines[name] = machine
            }
            state.withLock { $0.logs[id] = log }
        case .remove(let id):
            state.withLock { $0.logs[id] = nil }
        default: break
        }
    }
}

/// Finds its log when a leader has added it.
final class WorldConsensus: Consensus {
    private let world: LocalWorld
    private let id: UInt64
    private let name: String
    private let first: LocalConsensus?

    init(_ world: LocalWorld, _ id: UInt64, _ name: String, _ first: LocalConsensus?) {
        self.world = world
        self.id = id
        self.name = name
        self.first = first
    }

    private var inner: LocalConsensus? { world.log(of: id).map { LocalConsensus(name, id, $0) } }

    func propose(_ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void) {
        guard let inner else { return completion(.failure(.notLeader(nil))) }
        inner.propose(command, completion: completion)
    }

    var status: ConsensusStatus { inner?.status ?? ConsensusStatus() }

    func change(_ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void) {
        guard let inner, let log = world.log(of: id) else { return completion(.failure(.notLeader(nil))) }
        let leaving = log.state.withLock { log -> String? in
            if case .remove(let id) = change { log.members.first { $0.id == id }?.name } else { nil }
        }
        inner.change(change) { [world] result in
            if let leaving, case .success = result {
                _ = log.state.withLock { $0.machines.removeValue(forKey: leaving) }
            }
            if case .success = result { world.changed(log, change) }
            completion(result)
        }
    }

    func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void) {}
    func accept(stream: Int32, from id: UInt64, name: String) {}
    func stop() { world.close(id) }
}

final class LocalStorage: ClusterStorage {
    private struct Folder {
        var identity: ClusterIdentity?
        var copy: [UInt8]?
    }

    private struct State {
        var now = Folder()
        var aside: [String: Folder] = [:]
    }

    private let world: LocalWorld
    private let state = Mutex(State())

    init(_ world: LocalWorld) { self.world = world }

    var asideCount: Int { state.withLock { $0.aside.count } }

    func identity() throws(ClusterStorageError) -> (identity: ClusterIdentity, isNew: Bool) {
        let id = world.takeID()
        return state.withLock { state in
            if let identity = state.now.identity { return (identity, false) }
            let made = ClusterIdentity(id: id)
            state.now.identity = made
            return (made, true)
        }
    }

    func keep(_ identity: ClusterIdentity) throws(ClusterStorageError) { state.withLock { $0.now.identity = identity } }

    func open(
        _ identity: ClusterIdentity, name: String, bootstraps: Bool, machine: any StateMachine,
        dial: @escaping @Sendable (UInt64, String, @escaping @Sendable (Int32?) -> Void) -> Void
    ) throws(ClusterStorageError) -> any Consensus {
        world.open(identity.id, name, bootstraps: bootstraps, machine: machine)
    }

    func setAside() throws(ClusterStorageError) -> String {
        state.withLock { state in
            let name = "aside-\(state.aside.count)"
            state.aside[name] = state.now
            state.now = Folder()
            return name
        }
    }

    func bringBack(_ folder: String) throws(ClusterStorageError) {
        state.withLock { $0.now = $0.aside.removeValue(forKey: folder) ?? Folder() }
    }

    func readCopy() -> [UInt8]? { state.withLock { $0.now.copy } }
    func writeCopy(_ bytes: [UInt8]) throws(ClusterStorageError) { state.withLock { $0.now.copy = bytes } }
}

/// Links of one node, whose id changes when it joins.
final class WorldMesh: ClusterMesh {
    private let world: LocalWorld
    private let name: String
    private let links: Mutex<LocalLinks>

    init(_ world: LocalWorld, _ name: String) {
        self.world = world
        self.name = name
        links = Mutex(world.network.join(peer(name, id: 0)))
    }

    private var now: LocalLinks { links.withLock { $0 } }

    var peers: [MeshPeer] { now.peers }
    func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 { 0 }
    func backlog(of slot: Int) -> Int { 0 }
    func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) {}
    func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        now.call(node, method: method, body: body, timeoutMilliseconds: timeoutMilliseconds, completion: completion)
    }
    func handle(
        _ method: MeshMethod,
        _ handler:
            @escaping @Sendable (
                _ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
            ) -> Void
    ) { now.handle(method, handler) }

    func connect(
        to address: String, timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<MeshPeer, MeshError>) -> Void
    ) {
        guard let found = peers.first(where: { $0.name.text == world.name(at: address) }) else {
            return completion(.failure(.notConnected))
        }
        completion(.success(found))
    }

    func introduce(_ identity: ClusterIdentity, role: NodeRole) {
        let links = world.network.join(peer(name, id: identity.id, role: role))
        self.links.withLock { $0 = links }
    }

    func setMembers(_ members: [ClusterMember], removed: Set<UInt64>) {}
    func openStream(to id: UInt64, name: String, connected: @escaping @Sendable (Int32?) -> Void) { connected(nil) }
    func acceptStreams(_ body: @escaping @Sendable (Int32, UInt64, String) -> Void) {}
}
