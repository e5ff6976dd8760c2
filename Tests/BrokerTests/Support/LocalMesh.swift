import Broker
import Buffers
import Cluster
import Dispatch
import Synchronization

/// Links between nodes of this process, without network: each node's mesh has a queue that stands for its thread. Lanes keep
/// their order; what is under way when a link is cut is lost.
final class LocalNetwork: Sendable {
    private struct State {
        var meshes: [LocalMesh] = []
        /// Number of the link between two nodes while it is up; counts on with each.
        var links: [[UInt64]] = []
        var lastLink: UInt64 = 0
    }

    private let state = Mutex(State())

    func makeMesh(_ name: String) -> LocalMesh {
        state.withLock { state in
            let mesh = LocalMesh(name: name, slot: state.meshes.count, network: self)
            state.meshes.append(mesh)
            for index in state.links.indices { state.links[index].append(0) }
            state.links.append(Array(repeating: 0, count: state.meshes.count))
            return mesh
        }
    }

    func mesh(_ slot: Int) -> LocalMesh? { state.withLock { $0.meshes.indices.contains(slot) ? $0.meshes[slot] : nil } }
    func mesh(_ name: NodeName) -> LocalMesh? { state.withLock { $0.meshes.first { $0.name == name } } }
    func link(_ a: Int, _ b: Int) -> UInt64 { state.withLock { $0.links[a][b] } }

    func connect(_ a: LocalMesh, _ b: LocalMesh) {
        state.withLock { state in
            state.lastLink += 1
            state.links[a.slot][b.slot] = state.lastLink
            state.links[b.slot][a.slot] = state.lastLink
            a.linkUp(b)
            b.linkUp(a)
        }
    }

    func cut(_ a: LocalMesh, _ b: LocalMesh) {
        state.withLock { state in
            guard state.links[a.slot][b.slot] != 0 else { return }
            state.links[a.slot][b.slot] = 0
            state.links[b.slot][a.slot] = 0
            a.linkDown(b)
            b.linkDown(a)
        }
    }

    func connectAll() {
        let meshes = state.withLock { $0.meshes }
        for a in meshes { for b in meshes where a.slot < b.slot && link(a.slot, b.slot) == 0 { connect(a, b) } }
    }

    func cutAll(of mesh: LocalMesh) {
        for other in state.withLock({ $0.meshes }) where other !== mesh { cut(mesh, other) }
    }
}

final class LocalMesh: MeshLinks {
    typealias Handler = @Sendable (MeshPeer, [UInt8], @escaping @Sendable (Result<[UInt8], MeshError>) -> Void) -> Void

    private struct State {
        var owners: [MeshLane: any MeshLaneOwner] = [:]
        var handlers: [MeshMethod: Handler] = [:]
        var peers: [Int: MeshPeer] = [:]
        var numbers: [Int: [MeshLane: UInt64]] = [:]
        var backlog: [Int: Int] = [:]
    }

    /// What comes in has a lock of its own: two nodes that post to each other hold their own states meanwhile.
    private struct Intake {
        var isHolding = false
        var held: [@Sendable () -> Void] = []
    }

    let name: NodeName
    let slot: Int
    private unowned let network: LocalNetwork
    let queue: DispatchQueue
    private let state = Mutex(State())
    private let intake = Mutex(Intake())

    init(name: String, slot: Int, network: LocalNetwork) {
        self.name = NodeName(name)
        self.slot = slot
        self.network = network
        queue = DispatchQueue(label: "mesh \(name)")
    }

    var peer: MeshPeer {
        MeshPeer(
            name: name, role: .core, incarnation: 1, nodeID: UInt64(slot), version: "test", featureLevel: 1, slot: slot)
    }

    var peers: [MeshPeer] { state.withLock { Array($0.peers.values) } }

    /// Keeps what comes for this node back, as a network that is stuck would, until ``release()``.
    func hold() { intake.withLock { $0.isHolding = true } }

    func release() {
        intake.withLock { intake in
            intake.isHolding = false
            for body in intake.held { queue.async(execute: body) }
            intake.held = []
        }
    }

    /// Waits for what this node's mesh has begun.
    func settle() { queue.sync {} }

    private func enqueue(_ body: @escaping @Sendable () -> Void) {
        intake.withLock { intake in
            if intake.isHolding { intake.held.append(body) } else { queue.async(execute: body) }
        }
    }

    // MARK: Links

    fileprivate func linkUp(_ other: LocalMesh) {
        let peer = other.peer
        queue.async { [self] in
            let owners = state.withLock { state in
                state.peers[peer.slot] = peer
                state.numbers[peer.slot] = [:]
                state.backlog[peer.slot] = 0
                return MeshLane.allCases.compactMap { state.owners[$0] }
            }
            for owner in owners { owner.up(peer) }
        }
    }

    fileprivate func linkDown(_ other: LocalMesh) {
        let peer = other.peer
        queue.async { [self] in
            let owners = state.withLock { state in
                state.peers[peer.slot] = nil
                state.backlog[peer.slot] = 0
                return MeshLane.allCases.compactMap { state.owners[$0] }
            }
            for owner in owners { owner.down(peer) }
        }
    }

    // MARK: MeshLinks

    func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 {
        let link = network.link(self.slot, slot)
        let bytes = Array(batch.bytes)
        guard link != 0, let target = network.mesh(slot) else { return 0 }
        // Under the lock, so that the lane has the order of the numbers.
        return state.withLock { state in
            guard state.peers[slot] != nil else { return 0 }
            let number = (state.numbers[slot]?[lane] ?? 0) + 1
            state.numbers[slot, default: [:]][lane] = number
            state.backlog[slot, default: 0] += bytes.count
            target.enqueue { [self] in
                guard network.link(self.slot, slot) == link else { return }
                target.receive(bytes, lane, from: peer)
                queue.async { [self] in acknowledged(number, bytes.count, lane, by: target.peer, link) }
            }
            return number
        }
    }

    private func receive(_ bytes: [UInt8], _ lane: MeshLane, from peer: MeshPeer) {
        let owner = state.withLock { $0.owners[lane] }
        bytes.withUnsafeBytes { owner?.received($0, from: peer) }
    }

    private func acknowledged(_ number: UInt64, _ count: Int, _ lane: MeshLane, by peer: MeshPeer, _ link: UInt64) {
        guard network.link(slot, peer.slot) == link else { return }
        let owner = state.withLock { state in
            state.backlog[peer.slot, default: 0] -= count
            return state.owners[lane]
        }
        owner?.acknowledged(upTo: number, by: peer)
    }

    func backlog(of slot: Int) -> Int { state.withLock { $0.backlog[slot] ?? 0 } }

    func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        guard let target = network.mesh(node), network.link(slot, target.slot) != 0 else {
            queue.async { completion(.failure(.notConnected)) }
            return
        }
        target.queue.async { [self] in
            guard let handler = target.state.withLock({ $0.handlers[method] }) else {
                queue.async { completion(.failure(.refused("no handler"))) }
                return
            }
            handler(peer, body) { result in self.queue.async { completion(result) } }
        }
    }

    func handle(_ method: MeshMethod, _ handler: @escaping Handler) {
        state.withLock { $0.handlers[method] = handler }
    }

    func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) { state.withLock { $0.owners[lane] = owner } }
}
