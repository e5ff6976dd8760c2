import Cluster
import Consensus
import Logging
import Synchronization
import Testing

@Suite("A node and its cluster") struct ClusterNodeTests {
    private final class Fixture {
        let world = LocalWorld()
        var nodes: [String: ClusterNode] = [:]
        var storages: [String: LocalStorage] = [:]

        func start(_ name: String, role: NodeRole = .core, cluster: String = "c") throws -> ClusterNode {
            let storage = storages[name] ?? LocalStorage(world)
            storages[name] = storage
            var options = ClusterOptions(
                name: "\(name)@h", role: role, clusterName: cluster, address: "\(name):5370", version: "1")
            options.joinTimeoutMilliseconds = 5000
            world.announce("\(name):5370", "\(name)@h")
            let node = ClusterNode(
                options, storage: storage, mesh: WorldMesh(world, "\(name)@h"), logger: Logger(label: "test"))
            try node.start()
            if role == .core { try wait("\(name) founds its cluster") { node.store.state.isMember("\(name)@h") } }
            nodes[name] = node
            return node
        }

        func wait(_ what: String, _ condition: () -> Bool) throws {
            let deadline = ContinuousClock.now + .seconds(5)
            while !condition() {
                try #require(ContinuousClock.now < deadline, "waited in vain: \(what)")
            }
        }

        deinit { for node in nodes.values { node.stop() } }
    }

    private let fixture = Fixture()

    private func object(_ id: String) -> RuleObject { RuleObject(id: id, hash: 1, file: "a.yaml", line: 1) }

    private func apply(_ node: ClusterNode, owner: String, _ id: String = "rule:a") throws {
        _ = try node.store.applyRules(
            owner: owner, files: [RuleFileContent(path: "a.yaml", bytes: Array(id.utf8))], objects: [object(id)],
            offer: 1,
            time: 1, by: "test")
    }

    @Test func `A node on its own founds a cluster of one`() throws {
        let node = try fixture.start("n1")
        let status = node.status()
        #expect(status.clusterID != 0)
        #expect(status.nodes.map(\.part) == ["voter"])
        #expect(status.hasQuorum)
    }

    @Test func `A node that joins gets the cluster's rules, and sets its own log aside`() throws {
        let first = try fixture.start("n1")
        try apply(first, owner: "n1@h")
        let second = try fixture.start("n2")
        let before = second.identity.id
        let notes = try second.join("n1@n1:5370", discards: false)
        #expect(notes.contains { $0.contains("third") })
        #expect(second.store.state.rules.objects.keys.sorted() == ["rule:a"])
        #expect(second.identity.id != before)
        #expect(second.identity.clusterID == first.store.state.clusterID)
        #expect(fixture.storages["n2"]?.asideCount == 1)
        #expect(first.status().nodes.map { "\($0.member.name) \($0.part)" } == ["n1@h voter", "n2@h voter"])
        try apply(second, owner: "n2@h", "rule:b")
        #expect(first.store.state.rules.objects.count == 2)
        #expect(second.check().problems.isEmpty)
    }

    @Test func `A node that is in a cluster does not join another one`() throws {
        _ = try fixture.start("n1")
        let second = try fixture.start("n2")
        _ = try fixture.start("n3")
        _ = try second.join("n1:5370", discards: false)
        #expect {
            try second.join("n3:5370", discards: true)
        } throws: { "\($0)".contains("is in a cluster with n1@h") && "\($0)".contains("leave") }
    }

    @Test func `What a join would lose needs a word more`() throws {
        let first = try fixture.start("n1")
        let second = try fixture.start("n2")
        try apply(second, owner: "")
        #expect {
            try second.join("n1:5370", discards: false)
        } throws: { "\($0)".contains("--discard") }
        #expect(second.store.state.rules.objects.count == 1, "nothing has changed")
        _ = try second.join("n1:5370", discards: true)
        #expect(second.store.state.rules.objects.isEmpty)
        #expect(first.store.state.members.count == 2)
    }

    @Test func `A join that is refused leaves the node as it was`() throws {
        _ = try fixture.start("n1", cluster: "other")
        let second = try fixture.start("n2")
        try apply(second, owner: "n2@h")
        #expect {
            try second.join("n1:5370", discards: false)
        } throws: { "\($0)".contains("cluster.name") }
        #expect(second.store.state.rules.objects.count == 1)
        #expect(fixture.storages["n2"]?.asideCount == 0)
        #expect {
            try second.join("nowhere:5370", discards: false)
        } throws: { "\($0)".contains("nobody answers at nowhere:5370") }
    }

    @Test func `A node that leaves goes on alone with a copy of the rules`() throws {
        let first = try fixture.start("n1")
        let second = try fixture.start("n2")
        let third = try fixture.start("n3")
        _ = try second.join("n1:5370", discards: false)
        _ = try third.join("n2:5370", discards: false)
        try apply(third, owner: "n3@h")
        let cluster = first.store.state.clusterID
        try first.leave()
        #expect(second.store.state.members.keys.sorted() == ["n2@h", "n3@h"])
        #expect(first.store.state.rules.objects.count == 1)
        try fixture.wait("n1 founds its own") { first.store.state.members.count == 1 }
        #expect(first.store.state.clusterID != cluster)
        try apply(second, owner: "n2@h", "rule:b")
        #expect(third.store.state.rules.objects.count == 2)
        #expect(first.store.state.rules.objects.count == 1)
        _ = try first.join("n3:5370", discards: true)
        #expect(first.store.state.rules.objects.count == 2)
    }

    @Test func `A dead node is removed by another, and comes back by joining`() throws {
        let first = try fixture.start("n1")
        let second = try fixture.start("n2")
        let third = try fixture.start("n3")
        _ = try second.join("n1:5370", discards: false)
        _ = try third.join("n1:5370", discards: false)
        #expect {
            try first.forceLeave("n3@h", mayBeAlive: false)
        } throws: { "\($0)".contains("is alive") }
        fixture.world.network.setDown("n3@h", true)
        try second.forceLeave("n3@h", mayBeAlive: false)
        #expect(first.store.state.members.keys.sorted() == ["n1@h", "n2@h"])
        #expect(first.store.state.removed.map(\.name) == ["n3@h"])
        #expect {
            try second.forceLeave("n9@h", mayBeAlive: false)
        } throws: { $0 as? MetaFailure == .notFound("n9@h is not in the cluster") }
    }

    @Test func `A replicant gets the state, follows it, changes it, and another core when its own is lost`() throws {
        let first = try fixture.start("n1")
        let second = try fixture.start("n2")
        _ = try second.join("n1:5370", discards: false)
        for number in 0..<3000 { try first.store.change(.configure(key: "k\(number % 5)", value: "\(number)")) }
        let replicant = try fixture.start("r1", role: .replicant)
        _ = try replicant.join("n2:5370", discards: false)
        #expect(replicant.store.state.configuration == first.store.state.configuration)
        #expect(first.status().nodes.map(\.part) == ["voter", "voter", "stream"])
        try replicant.store.change(.configure(key: "from", value: "replicant"))
        #expect(first.store.state.configuration["from"] == "replicant")
        fixture.world.network.setDown("n1@h", true)
        fixture.world.log(of: second.identity.id)?.lead("n2@h")
        try second.store.change(.configure(key: "after", value: "1"))
        try fixture.wait("the replicant follows n2") { replicant.store.state.configuration["after"] == "1" }
        #expect(replicant.check().problems["n1@h"] != nil)
        #expect(replicant.check().problems["n2@h"] == nil)
    }

    @Test(
        arguments: [
            ("n1@h", "n1@h", "h:5371"), ("n12@h:99", "n12@h", "h:99"), ("h:99", nil, "h:99"),
            ("node@10.0.0.1", "node@10.0.0.1", "10.0.0.1:5370"),
            ("n1@[::1]:99", "n1@::1", "[::1]:99"), ("", nil, nil), ("@h", nil, nil), ("n1@h:0", nil, nil),
            ("n1@h:x", nil, nil),
        ] as [(String, String?, String?)])
    func `A node's address is read from what an operator writes`(_ text: String, _ name: String?, _ address: String?) {
        #expect(ClusterAddress(text)?.text == address)
        if address != nil { #expect(ClusterAddress(text)?.name == name) }
    }

    @Test func `Nodes that discover each other decide alike`() {
        func candidate(_ name: String, _ size: Int = 1, cluster: String = "c") -> DiscoveryChoice.Candidate {
            DiscoveryChoice.Candidate(name: name, address: name, clusterSize: size, clusterName: cluster)
        }
        func choose(_ name: String, _ others: [DiscoveryChoice.Candidate], size: Int = 1) -> String? {
            DiscoveryChoice.choose(others, name: name, clusterName: "c", clusterSize: size)?.name
        }
        #expect(choose("n1", [candidate("n2"), candidate("n3")]) == nil, "the smallest waits for the others")
        #expect(choose("n2", [candidate("n1"), candidate("n3")]) == "n1")
        #expect(choose("n3", [candidate("n2")]) == "n2", "without the smallest the next one counts")
        #expect(choose("n1", [candidate("n2", 2), candidate("n3", 3)]) == "n3", "a cluster draws")
        #expect(choose("n2", [candidate("n1")], size: 2) == nil)
        #expect(choose("n2", [candidate("n1", cluster: "other"), candidate("n2")]) == nil)
    }
}
