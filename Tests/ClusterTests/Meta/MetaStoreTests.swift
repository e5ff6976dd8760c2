import Cluster
import Consensus
import Testing

@Suite("Changes through the leader") struct MetaStoreTests {
    private let log = LocalLog()
    private let network = LocalNetwork()
    private let stores: [MetaStore]

    init() {
        var stores: [MetaStore] = []
        for (index, name) in ["n1@h", "n2@h", "r@h"].enumerated() {
            let machine = MetaStateMachine()
            let store = MetaStore(machine: machine, name: NodeName(name))
            let consensus = log.open(name, id: UInt64(index + 1), machine: machine)
            // The last one is a replicant: its machine is fed, and it has no part in the log.
            if index < 2 { store.use(consensus) } else { store.use(upstream: NodeName("n2@h")) }
            store.attach(network.join(peer(name, id: UInt64(index + 1))))
            stores.append(store)
        }
        self.stores = stores
        log.lead("n1@h")
    }

    @Test(arguments: 0..<3) func `Every node can change the state`(_ node: Int) throws {
        let answer = try stores[node].submit(.configure(key: "a.b", value: "1"))
        #expect(answer == .done(generation: 0))
        #expect(stores[node].state.configuration == ["a.b": "1"])
    }

    @Test(arguments: 0..<2) func `A change whose answer is lost is sent again and counts once`(_ node: Int) throws {
        log.disturb([.outcomeUnknown])
        network.loseAnswers(of: .propose, count: 1)
        #expect(try stores[node].submit(.configure(key: "a.b", value: "1")) == .done(generation: 0))
        #expect(stores[0].state.configurationVersion == 1)
        #expect(stores[0].state.sequence > 1)
    }

    @Test func `Without a leader a change is refused with the next step`() {
        log.lead(nil)
        #expect {
            try stores[0].submit(.barrier, timeoutMilliseconds: 150)
        } throws: { error in
            guard case .refused(let reason, let next)? = error as? MetaFailure else { return false }
            return reason.contains("leader") && next.contains("recover")
        }
    }

    @Test func `A change that may have been committed is said to be so`() {
        log.disturb(Array(repeating: .outcomeUnknown, count: 1000))
        #expect {
            try stores[0].submit(.configure(key: "a", value: "1"), timeoutMilliseconds: 150)
        } throws: { error in
            if case .outcomeUnknown? = error as? MetaFailure { true } else { false }
        }
    }

    @Test func `What the engine refuses is refused, without another try`() {
        log.disturb([.refused("no room")])
        #expect(throws: MetaFailure.self) { try stores[0].submit(.barrier) }
        #expect(stores[0].state.sequence == 0)
    }

    @Test func `Two nodes that take each other for the leader do not pass a change on for ever`() {
        // Both forward to n9, which is not there.
        log.lead("n9@h")
        #expect(throws: MetaFailure.self) { try stores[2].submit(.barrier, timeoutMilliseconds: 150) }
    }

    @Test(arguments: [10, 200_000, 900_000]) func `Rule files of any size arrive whole`(_ size: Int) throws {
        let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let object = RuleObject(id: "rule:a", hash: 1, file: "a.yaml", line: 1)
        let done = try stores[1].applyRules(
            owner: "n2@h", files: [RuleFileContent(path: "a.yaml", bytes: bytes)], objects: [object], offer: 1, time: 1,
            by: "test")
        #expect(done == (true, 1))
        let file = try #require(stores[0].state.rules.bundles["n2@h"]?.files.first)
        #expect(stores[0].state.bytes(of: file) == bytes)
    }

    @Test func `A list of thousands of objects goes the way of a file`() throws {
        let objects = (0..<3000).map {
            RuleObject(id: "rule:a-rule-with-a-long-name-\($0)", hash: UInt64($0), file: "a.yaml", line: UInt32($0))
        }
        _ = try stores[1].applyRules(
            owner: "", files: [RuleFileContent(path: "a.yaml", bytes: [1])], objects: objects, offer: 0, time: 1,
            by: "test")
        #expect(stores[0].state.rules.objects.count == 3000)
    }
}
