package import Buffers
package import Cluster
import Synchronization

/// One node's links in a ``SimulatedNetwork``.
package final class SimulatedMesh: MeshLinks {
    package typealias Handler =
        @Sendable (_ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void)
        -> Void

    private struct Wiring {
        var owners: [MeshLane: any MeshLaneOwner] = [:]
        var handlers: [MeshMethod: Handler] = [:]
        /// Nil: links to everybody.
        var wanted: Set<NodeName>?
    }

    /// As the others see it; the slot is theirs to give.
    package let identity: MeshPeer
    let running = Atomic<Bool>(false)
    private let network: SimulatedNetwork
    private let wiring = Mutex(Wiring())

    init(network: SimulatedNetwork, identity: MeshPeer) {
        self.network = network
        self.identity = identity
    }

    package var name: NodeName { identity.name }

    /// From here on it looks for the others; `up` follows as the clock moves.
    package func start() {
        running.store(true, ordering: .sequentiallyConsistent)
        lookForOthers()
    }

    /// Which nodes to have links to; everybody as long as this has not been called. Links to others go down at once.
    package func setPeers(_ names: [NodeName]) {
        wiring.withLock { $0.wanted = Set(names) }
        let calls = network.state.withLock { state in
            state.pairs(of: name).filter { !wants($0.other(than: name)) }
                .flatMap { network.takeDown($0, &state) }
        }
        for call in calls { call() }
        lookForOthers()
    }

    private func lookForOthers() {
        network.state.withLock { state in
            for other in state.nodes.keys.sorted() where other != name {
                network.offerConnection(SimulatedPair(name, other), &state)
            }
        }
    }

    func wants(_ other: NodeName) -> Bool {
        running.load(ordering: .sequentiallyConsistent) && wiring.withLock { $0.wanted?.contains(other) ?? true }
    }

    func owner(of lane: MeshLane) -> (any MeshLaneOwner)? { wiring.withLock { $0.owners[lane] } }
    func handler(of method: MeshMethod) -> Handler? { wiring.withLock { $0.handlers[method] } }

    // MARK: MeshLinks

    package var peers: [MeshPeer] {
        network.state.withLock { state in
            state.pairs(of: name).compactMap { state.links[$0]?.sides[name]?.peer }.sorted { $0.name < $1.name }
        }
    }

    package func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 {
        let bytes = [UInt8](batch.bytes)
        return network.state.withLock { state in
            guard let pair = pair(of: slot, state), var side = state.links[pair]?.sides[name] else { return 0 }
            var queue = side.lanes[lane] ?? SimulatedSide.Lane()
            queue.last += 1
            queue.unacknowledged.append((queue.last, bytes.count))
            queue.lastDue = max(queue.lastDue, state.now + state.draw(network.delays))
            side.lanes[lane] = queue
            state.links[pair]?.sides[name] = side
            let event = SimulationEvent.batch(
                pair, to: pair.other(than: name), generation: side.generation, lane: lane, number: queue.last,
                bytes: bytes)
            state.schedule(event, at: queue.lastDue)
            return queue.last
        }
    }

    package func backlog(of slot: Int) -> Int {
        network.state.withLock { state in
            pair(of: slot, state).flatMap { state.links[$0]?.sides[name]?.backlog } ?? 0
        }
    }

    package func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        network.state.withLock { state in
            let pair = SimulatedPair(name, node)
            guard let side = state.links[pair]?.sides[name] else {
                state.schedule(.task { completion(.failure(.notConnected)) }, at: state.now)
                return
            }
            state.lastCall += 1
            let id = state.lastCall
            state.calls[id] = PendingCall(pair: pair, asker: name, completion: completion)
            state.schedule(
                .request(pair, to: node, generation: side.generation, id: id, method: method, body: body),
                at: state.now + state.draw(network.delays))
            state.schedule(.timeout(id: id), at: state.now + timeoutMilliseconds)
        }
    }

    package func handle(_ method: MeshMethod, _ handler: @escaping Handler) {
        wiring.withLock { $0.handlers[method] = handler }
    }

    package func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) {
        wiring.withLock { $0.owners[lane] = owner }
    }

    private func pair(of slot: Int, _ state: SimulationState) -> SimulatedPair? {
        state.slots[name]?.first { $0.value == slot }.map { SimulatedPair(name, $0.key) }
    }
}
