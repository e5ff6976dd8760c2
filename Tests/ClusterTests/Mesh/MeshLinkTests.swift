import Cluster
import Synchronization
import Testing

@Suite("Links between nodes", .timeLimit(.minutes(2))) struct MeshLinkTests {
    private let fixture = MeshFixture()

    @Test func `Two nodes see each other as they are, each by one link`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h") { $0.role = .replicant })
        try await fixture.join(n1, n2)
        let seen = try #require(n1.mesh.peers.first)
        #expect(seen.role == .replicant && seen.nodeID == n2.options.nodeID && seen.version == "1.0.0")
        #expect(seen.incarnation == n2.options.incarnation)
        #expect(n1.owner.events == [.up(seen)])
        let status = try #require(n1.mesh.linkStatuses.first)
        #expect(status.isUp && status.isMember && status.lastFailure == nil)
    }

    @Test func `Batches come once and in order, and are acknowledged`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        let slot = n1.slot(of: n2)
        for number in 1...200 { #expect(n1.post([UInt8(number)], to: slot) == UInt64(number)) }
        try await eventually("all are acknowledged") { n1.owner.acknowledged == 200 }
        #expect(n2.owner.received == (1...200).map { [UInt8($0)] })
        #expect(n1.mesh.backlog(of: slot) == 0)
    }

    @Test func `A batch larger than any buffer comes whole`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        let large = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        n1.post(large, to: n1.slot(of: n2))
        try await eventually("it comes") { n2.owner.received == [large] }
    }

    @Test func `Nobody is up, nothing is taken`() throws {
        let n1 = try fixture.node("n1@h")
        #expect(n1.post([1], to: 0) == 0)
        #expect(n1.post([1], to: 99) == 0)
        #expect(n1.post([1], to: -1) == 0)
    }

    @Test func `Whoever has the address dials, also the node with the greater name`() async throws {
        let (n1, n2) = (
            try fixture.node("n1@h") { $0.failureMilliseconds = 600 },
            try fixture.node("n2@h") { $0.failureMilliseconds = 600 }
        )
        n1.mesh.setPeers([MeshMember(name: n2.options.name)])
        n2.mesh.setPeers([n1.member])
        try await eventually("they meet") { n1.isUp(n2) && n2.isUp(n1) }
    }

    @Test func `A resolver says where a node is`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        let port = try #require(n2.mesh.boundPort)
        n1.mesh.resolve { _ in [MeshAddress(host: "127.0.0.1", port: port)] }
        n1.mesh.setPeers([MeshMember(name: n2.options.name)])
        n2.mesh.setPeers([MeshMember(name: n1.options.name)])
        try await eventually("they meet") { n1.isUp(n2) && n2.isUp(n1) }
    }

    @Test func `A link that breaks for a moment loses and doubles nothing`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        let slot = n1.slot(of: n2)
        for number in 0..<50 { n1.post([UInt8(number)], to: slot) }
        n1.mesh.block([n2.options.name])
        for number in 50..<100 { n1.post([UInt8(number)], to: slot) }
        n1.mesh.unblock()
        for number in 100..<150 { n1.post([UInt8(number)], to: slot) }
        try await eventually("all have come") { n1.owner.acknowledged == 150 }
        #expect(n2.owner.received == (0..<150).map { [UInt8($0)] })
        #expect(n1.owner.downs == 0 && n2.owner.downs == 0)
        #expect(n1.mesh.counters.linksResumed == 1)
        #expect(n1.mesh.linkStatuses.first?.reconnects == 1)
    }

    @Test func `A new incarnation voids what was before`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        let port = try #require(n2.mesh.boundPort)
        n1.post([1], to: n1.slot(of: n2))
        try await eventually("it came") { n1.owner.acknowledged == 1 }
        fixture.stop(n2)
        try await eventually("n2 has said goodbye") { n1.owner.downs == 1 }
        #expect(n1.post([2], to: 0) == 0)
        let again = try fixture.node("n2@h") {
            $0.nodeID = n2.options.nodeID
            $0.listen = MeshAddress(host: "127.0.0.1", port: port)
        }
        again.mesh.setPeers([n1.member])
        try await eventually("it is up again") { n1.isUp(again) && again.isUp(n1) }
        #expect(n1.post([3], to: n1.slot(of: again)) == 1, "numbers begin anew")
        try await eventually("it comes") { again.owner.received == [[3]] }
        #expect(n1.owner.ups == 2 && n1.owner.downs == 1)
    }

    @Test func `A node that falls silent is down after the failure time, and comes back`() async throws {
        let options: (inout MeshOptions) -> Void = { $0.failureMilliseconds = 400 }
        let (n1, n2) = (try fixture.node("n1@h", options), try fixture.node("n2@h", options))
        try await fixture.join(n1, n2)
        let begin = ContinuousClock.now
        n1.mesh.block([n2.options.name], .silent)
        n1.post([1], to: n1.slot(of: n2))
        try await eventually("both take it to be down") { n1.owner.downs == 1 && n2.owner.downs == 1 }
        let time = ContinuousClock.now - begin
        #expect(time > .milliseconds(300) && time < .milliseconds(1500), "\(time)")
        #expect(n1.mesh.linkStatuses.first?.lastFailure?.contains("silent") == true)
        n1.mesh.unblock()
        try await eventually("both are up") { n1.isUp(n2) && n2.isUp(n1) }
        #expect(n2.owner.received.isEmpty, "what was posted before is void")
        n1.post([2], to: n1.slot(of: n2))
        try await eventually("it comes") { n2.owner.received == [[2]] }
    }

    @Test func `A process that is gone is down at once, not after the failure time`() async throws {
        let (n1, n2) = (try fixture.node("n1@h") { $0.failureMilliseconds = 60_000 }, try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        // No goodbye comes through.
        n1.mesh.block([n2.options.name], .silent)
        try await eventually("it is blocked") { n1.mesh.linkStatuses.first?.isBlocked == true }
        fixture.stop(n2)
        n1.mesh.unblock()
        try await eventually("it is down") { n1.owner.downs == 1 }
    }

    @Test func `One node may declare another down that had noticed nothing: both begin anew`() async throws {
        let n1 = try fixture.node("n1@h") { $0.failureMilliseconds = 300 }
        let n2 = try fixture.node("n2@h") { $0.failureMilliseconds = 60_000 }
        try await fixture.join(n1, n2)
        n1.mesh.block([n2.options.name], .silent)
        try await eventually("n1 takes n2 to be down") { n1.owner.downs == 1 }
        n1.mesh.unblock()
        try await eventually("both begin anew") {
            n1.owner.ups == 2 && n2.owner.ups == 2 && n2.owner.downs == 1 && n1.isUp(n2) && n2.isUp(n1)
        }
        #expect(n2.post([5], to: n2.slot(of: n1)) == 1)
        try await eventually("it comes") { n1.owner.received == [[5]] }
    }

    @Test func `Who does not read has a bounded backlog, and is given up`() async throws {
        let n1 = try fixture.node("n1@h") {
            $0.backlogLimit = 4 << 20
            $0.window = 1 << 20
        }
        let n2 = try fixture.node("n2@h", keepsBytes: false)
        try await fixture.join(n1, n2)
        let slot = n1.slot(of: n2)
        n2.mesh.hold(.messages, from: n2.slot(of: n1), true)
        let batch = [UInt8](repeating: 1, count: 64 * 1024)
        var posted = 0
        while n1.post(batch, to: slot) != 0 {
            posted += 1
            try #require(posted < 1000)
            #expect(n1.mesh.backlog(of: slot) <= 4 << 20)
        }
        #expect(posted >= 63 && posted <= 81, "\(posted)")
        try await eventually("it is down") { n1.owner.downs == 1 && n2.owner.downs == 1 }
        #expect(n1.mesh.counters.overflows == 1)
        #expect(n2.owner.bytes <= (1 << 20) + batch.count + (1 << 20), "no more than the window was sent")
    }

    @Test func `A lane that is held stops its sender at the window, and goes on`() async throws {
        let n1 = try fixture.node("n1@h") { $0.window = 256 * 1024 }
        let n2 = try fixture.node("n2@h", keepsBytes: false)
        try await fixture.join(n1, n2)
        let slot = n1.slot(of: n2)
        n2.mesh.hold(.messages, from: n2.slot(of: n1), true)
        let batch = [UInt8](repeating: 1, count: 32 * 1024)
        for _ in 0..<64 { #expect(n1.post(batch, to: slot) != 0) }
        try await eventually("the window is full") { n2.owner.bytes >= 256 * 1024 }
        // Other lanes, and calls, go on.
        n2.mesh.handle(.ping) { _, body, reply in reply(.success(body)) }
        #expect(await call(n1, n2.options.name, .ping, [9]) == .success([9]))
        #expect(n2.owner.bytes == 256 * 1024)
        #expect(n1.mesh.backlog(of: slot) == 64 * batch.count)
        n2.mesh.hold(.messages, from: n2.slot(of: n1), false)
        try await eventually("all have come") { n2.owner.bytes == 64 * batch.count && n1.mesh.backlog(of: slot) == 0 }
    }

    @Test func `A node that is no member any more goes down`() async throws {
        let (n1, n2, n3) = (try fixture.node("n1@h"), try fixture.node("n2@h"), try fixture.node("n3@h"))
        try await fixture.join(n1, n2, n3)
        n1.mesh.setPeers([n2.member], removed: [n3.options.nodeID])
        try await eventually("it is down") { !n1.isUp(n3) && !n3.isUp(n1) }
        try await eventually("it is told why") {
            n3.mesh.linkStatuses.first { $0.name == n1.options.name }?.lastFailure?.contains("removed") == true
        }
        #expect(n1.isUp(n2) && n3.isUp(n2))
    }

    @Test func `Of four nodes, two that can't reach each other disturb nobody`() async throws {
        let options: (inout MeshOptions) -> Void = { $0.failureMilliseconds = 400 }
        let nodes = try (1...4).map { try fixture.node("n\($0)@h", options) }
        try await fixture.join(nodes[0], nodes[1], nodes[2], nodes[3])
        for node in nodes { #expect(Set(node.mesh.peers.map(\.slot)).count == 3) }
        nodes[0].mesh.block([nodes[1].options.name], .silent)
        try await eventually("both ends take the other to be down") {
            nodes[0].owner.downs == 1 && nodes[1].owner.downs == 1
        }
        for from in nodes {
            for to in nodes where from.isUp(to) { from.post(Array(from.options.name.text.utf8), to: from.slot(of: to)) }
        }
        try await eventually("ten batches come") { nodes.reduce(0) { $0 + $1.owner.received.count } == 10 }
        #expect(nodes[2].owner.downs == 0 && nodes[3].owner.downs == 0)
    }

    @Test func `64 names have slots; one that left gives its slot to the 65th`() async throws {
        let n1 = try fixture.node("n1@h")
        let others = (0..<64).map { MeshMember(name: NodeName("x\($0)@h"), nodeID: UInt64(1000 + $0)) }
        n1.mesh.setPeers(others)
        let n2 = try fixture.node("n2@h")
        n2.mesh.setPeers([n1.member])
        n1.mesh.setPeers(others + [n2.member])
        try await eventually("there is no room") {
            n2.mesh.linkStatuses.first?.lastFailure?.contains("as many nodes") == true
        }
        n1.mesh.setPeers(Array(others.dropFirst()) + [n2.member])
        try await eventually("there is room") { n1.isUp(n2) && n2.isUp(n1) }
        #expect((0..<64).contains(n1.slot(of: n2)))
        #expect(n1.mesh.linkStatuses.count == 64)
    }
}
