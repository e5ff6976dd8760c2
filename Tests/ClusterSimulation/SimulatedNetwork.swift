package import Cluster
import Synchronization

/// Several nodes' links in one process, on a clock that the test moves: delays, cuts, partitions, crashes, all drawn from one seed.
///
/// Keeps the promises of ``MeshLinks`` and breaks what they leave open: a break of less than the failure time loses nothing,
/// a longer one ends in `down`, at each end at another moment, and what was under way is gone. Callbacks come on the thread
/// that moves the clock; posting and calling is allowed from any thread, but only one thread makes runs repeatable.
package final class SimulatedNetwork: Sendable {
    /// Of silence, after which a node is declared down.
    package let failureMilliseconds: Int
    /// One way, in milliseconds; each batch and call draws its own.
    package let delays: ClosedRange<Int>
    let state: Mutex<SimulationState>

    package init(seed: UInt64, failureMilliseconds: Int = 3_000, delays: ClosedRange<Int> = 1...5) {
        self.failureMilliseconds = failureMilliseconds
        self.delays = delays
        state = Mutex(SimulationState(seed: seed))
    }

    /// A node's links, not yet started; under the name of one that crashed or stopped, its next incarnation.
    package func node(_ name: String, role: NodeRole = .core, nodeID: UInt64? = nil, featureLevel: UInt32 = 1)
        -> SimulatedMesh
    {
        let name = NodeName(name)
        return state.withLock { state in
            state.incarnations += 1
            let identity = MeshPeer(
                name: name, role: role, incarnation: state.incarnations,
                nodeID: nodeID ?? state.knownID(of: name), version: "0.0.0", featureLevel: featureLevel, slot: -1)
            let mesh = SimulatedMesh(network: self, identity: identity)
            state.nodes[name] = mesh
            return mesh
        }
    }

    // MARK: Time

    /// Milliseconds since the beginning.
    package var now: Int { state.withLock { $0.now } }

    /// Lets that much time pass.
    package func advance(milliseconds: Int) {
        let end = now + milliseconds
        while step(until: end) {}
        state.withLock { $0.now = end }
    }

    /// Lets time pass until the condition holds.
    /// - Returns: whether it came to hold within that time.
    @discardableResult
    package func run(atMost milliseconds: Int, until condition: () -> Bool) -> Bool {
        let end = now + milliseconds
        while !condition() {
            guard step(until: end) else { break }
        }
        return condition()
    }

    /// Calls back at that moment from now, between two deliveries.
    package func schedule(afterMilliseconds delay: Int, _ body: @escaping @Sendable () -> Void) {
        state.withLock { $0.schedule(.task(body), at: $0.now + delay) }
    }

    /// Carries out the next event due by then.
    private func step(until end: Int) -> Bool {
        let calls: [@Sendable () -> Void]? = state.withLock { state in
            guard let event = state.next(until: end) else { return nil }
            return carryOut(event, &state)
        }
        guard let calls else { return false }
        for call in calls { call() }
        return true
    }

    // MARK: Faults

    /// Lets nothing through between two nodes, in either direction, until ``heal(_:_:)``. Nobody is told: silence tells.
    package func cut(_ one: String, _ other: String) {
        state.withLock { cut(SimulatedPair(NodeName(one), NodeName(other)), &$0) }
    }

    package func heal(_ one: String, _ other: String) {
        state.withLock { heal(SimulatedPair(NodeName(one), NodeName(other)), &$0) }
    }

    /// Cuts all links between different groups, heals those within one.
    package func partition(_ groups: [[String]]) {
        state.withLock { state in
            for (index, group) in groups.enumerated() {
                for (other, members) in groups.enumerated() where other >= index {
                    for one in group {
                        for second in members where second != one {
                            let pair = SimulatedPair(NodeName(one), NodeName(second))
                            if other == index { heal(pair, &state) } else { cut(pair, &state) }
                        }
                    }
                }
            }
        }
    }

    package func healAll() {
        state.withLock { state in
            for (pair, link) in state.links where link.cutSince != nil { heal(pair, &state) }
        }
    }

    /// Kills the process: the others notice after the failure time, or when ``node(_:role:nodeID:featureLevel:)`` starts again.
    package func crash(_ name: String) {
        state.withLock { state in
            let name = NodeName(name)
            state.nodes[name]?.running.store(false, ordering: .sequentiallyConsistent)
            state.nodes[name] = nil
            for pair in state.pairs(of: name) {
                state.links[pair]?.sides[name] = nil
                _ = state.takeCalls(pair, askedBy: name)
                expire(pair, &state)
            }
        }
    }

    /// Ends a node in good order: the others are told at once.
    package func stop(_ name: String) {
        let calls = state.withLock { state in
            let name = NodeName(name)
            state.nodes[name]?.running.store(false, ordering: .sequentiallyConsistent)
            var calls: [@Sendable () -> Void] = []
            for pair in state.pairs(of: name) { calls += takeDown(pair, &state) }
            state.nodes[name] = nil
            return calls
        }
        for call in calls { call() }
    }
}
