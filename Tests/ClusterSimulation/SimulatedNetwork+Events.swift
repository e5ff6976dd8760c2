import Buffers
import Cluster

/// What happens at a moment. All functions are called under the state's lock, and give back what is to be called without it.
extension SimulatedNetwork {
    typealias Callbacks = [@Sendable () -> Void]

    func carryOut(_ event: SimulationEvent, _ state: inout SimulationState) -> Callbacks {
        if let (pair, generation) = event.needs {
            guard let link = state.links[pair], link.generation == generation else { return [] }
            if link.cutSince != nil {
                state.links[pair]?.held.append(event)
                return []
            }
        }
        switch event {
        case .connect(let pair): return connect(pair, &state)
        case .expire(let pair, let side, let breaks): return expired(pair, side, breaks, &state)
        case .batch(let pair, let name, let generation, let lane, let number, let bytes):
            guard let mesh = state.nodes[name], let side = state.links[pair]?.sides[name],
                side.generation == generation
            else { return [] }
            let sender = pair.other(than: name)
            state.schedule(
                .acknowledgement(pair, to: sender, generation: generation, lane: lane, number: number),
                at: state.now + state.draw(delays))
            let owner = mesh.owner(of: lane)
            return [{ bytes.withUnsafeBytes { owner?.received($0, from: side.peer) } }]
        case .acknowledgement(let pair, let name, let generation, let lane, let number):
            return acknowledged(pair, name, generation, lane, number, &state)
        case .request(let pair, let name, let generation, let id, let method, let body):
            return asked(pair, name, generation, id, method, body, &state)
        case .response(_, _, let id, let result):
            guard let call = state.calls.removeValue(forKey: id) else { return [] }
            return [{ call.completion(result) }]
        case .timeout(let id):
            guard let call = state.calls.removeValue(forKey: id) else { return [] }
            return [{ call.completion(.failure(.timedOut)) }]
        case .task(let body): return [body]
        }
    }

    // MARK: Up and down

    func offerConnection(_ pair: SimulatedPair, _ state: inout SimulationState) {
        guard !state.links[pair, default: SimulatedLink()].connecting else { return }
        state.links[pair, default: SimulatedLink()].connecting = true
        state.schedule(.connect(pair), at: state.now + state.draw(delays))
    }

    private func connect(_ pair: SimulatedPair, _ state: inout SimulationState) -> Callbacks {
        guard var link = state.links[pair] else { return [] }
        link.connecting = false
        state.links[pair] = link
        guard link.cutSince == nil, let first = state.nodes[pair.first], let second = state.nodes[pair.second],
            first.wants(pair.second), second.wants(pair.first)
        else { return [] }
        let alive = link.sides.values.filter { $0.generation == link.generation }.count
        if alive == 2 { return [] }
        var calls = takeDown(pair, &state)
        let generation = link.generation + 1
        state.links[pair]?.generation = generation
        for (mesh, other) in [(first, second), (second, first)] {
            var peer = other.identity
            peer.slot = state.slot(of: peer.name, at: mesh.identity.name)
            state.links[pair]?.sides[mesh.identity.name] = SimulatedSide(generation: generation, peer: peer)
            for lane in MeshLane.allCases {
                guard let owner = mesh.owner(of: lane) else { continue }
                calls.append { [peer] in owner.up(peer) }
            }
        }
        return calls
    }

    /// Ends both ends that are still up.
    func takeDown(_ pair: SimulatedPair, _ state: inout SimulationState) -> Callbacks {
        state.links[pair]?.generation += 1
        state.links[pair]?.held = []
        return [pair.first, pair.second].flatMap { takeDown(pair, side: $0, &state) }
    }

    private func takeDown(_ pair: SimulatedPair, side name: NodeName, _ state: inout SimulationState) -> Callbacks {
        guard let side = state.links[pair]?.sides.removeValue(forKey: name) else { return [] }
        let lost = state.takeCalls(pair, askedBy: name)
        guard let mesh = state.nodes[name] else { return [] }
        var calls: Callbacks = lost.map { call in { call.completion(.failure(.linkLost)) } }
        for lane in MeshLane.allCases {
            guard let owner = mesh.owner(of: lane) else { continue }
            calls.append { owner.down(side.peer) }
        }
        return calls
    }

    /// Each end notices the silence at a moment of its own.
    func expire(_ pair: SimulatedPair, _ state: inout SimulationState) {
        guard state.links[pair] != nil else { return }
        state.links[pair]?.breaks += 1
        let breaks = state.links[pair]?.breaks ?? 0
        for name in [pair.first, pair.second] {
            let due = state.now + failureMilliseconds + state.draw(0...max(1, failureMilliseconds / 6))
            state.schedule(.expire(pair, side: name, breaks: breaks), at: due)
        }
    }

    private func expired(_ pair: SimulatedPair, _ name: NodeName, _ breaks: Int, _ state: inout SimulationState)
        -> Callbacks
    {
        guard let link = state.links[pair], link.breaks == breaks else { return [] }
        if link.sides[name]?.generation == link.generation {
            state.links[pair]?.generation += 1
            state.links[pair]?.held = []
        }
        return takeDown(pair, side: name, &state)
    }

    func cut(_ pair: SimulatedPair, _ state: inout SimulationState) {
        guard state.links[pair, default: SimulatedLink()].cutSince == nil else { return }
        state.links[pair, default: SimulatedLink()].cutSince = state.now
        expire(pair, &state)
    }

    func heal(_ pair: SimulatedPair, _ state: inout SimulationState) {
        guard let link = state.links[pair], link.cutSince != nil else { return }
        state.links[pair]?.cutSince = nil
        state.links[pair]?.breaks += 1
        state.links[pair]?.held = []
        // Before all that is still to come due: nothing may overtake what was held.
        for event in link.held { state.schedule(event, at: state.now - 1) }
        offerConnection(pair, &state)
    }

    // MARK: Lanes and calls

    private func acknowledged(
        _ pair: SimulatedPair, _ name: NodeName, _ generation: UInt64, _ lane: MeshLane, _ number: UInt64,
        _ state: inout SimulationState
    ) -> Callbacks {
        guard let mesh = state.nodes[name], let side = state.links[pair]?.sides[name], side.generation == generation,
            let waiting = side.lanes[lane]?.unacknowledged, let first = waiting.first, first.number <= number
        else { return [] }
        state.links[pair]?.sides[name]?.lanes[lane]?.unacknowledged = waiting.filter { $0.number > number }
        let owner = mesh.owner(of: lane)
        return [{ owner?.acknowledged(upTo: number, by: side.peer) }]
    }

    private func asked(
        _ pair: SimulatedPair, _ name: NodeName, _ generation: UInt64, _ id: UInt64, _ method: MeshMethod,
        _ body: [UInt8], _ state: inout SimulationState
    ) -> Callbacks {
        guard let mesh = state.nodes[name], let side = state.links[pair]?.sides[name] else { return [] }
        let answer: @Sendable (Result<[UInt8], MeshError>) -> Void = { [self] result in
            self.state.withLock { state in
                let due = state.now + state.draw(delays)
                state.schedule(.response(pair, generation: generation, id: id, result), at: due)
            }
        }
        guard let handler = mesh.handler(of: method) else {
            return [{ answer(.failure(.refused("no handler for \(method)"))) }]
        }
        return [{ handler(side.peer, body, answer) }]
    }
}
