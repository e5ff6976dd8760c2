import Cluster
import Synchronization
import Testing

@Suite("Who may link", .timeLimit(.minutes(1))) struct MeshHandshakeTests {
    private let fixture = MeshFixture()
    private let attacker = Attacker()

    /// What the second node's status says of the first after it has been refused, while the first takes no harm.
    private func refusal(
        of change: (inout MeshOptions) -> Void, cookie: String = testCookie, name: String = "n2@h",
        member: (MeshMember) -> MeshMember = { $0 }, removed: Set<UInt64> = []
    ) async throws -> (reason: String, counters: MeshCounters) {
        let n1 = try fixture.node("n1@h")
        let n2 = try fixture.node(name, cookie: cookie, change)
        n1.mesh.setPeers([member(n2.member)], removed: removed)
        n2.mesh.setPeers([n1.member])
        // The smaller name dials: either side learns why.
        try await eventually("it is refused") {
            n2.mesh.linkStatuses.first?.lastFailure != nil && n1.mesh.linkStatuses.first?.lastFailure != nil
        }
        #expect(!n1.isUp(n2) && !n2.isUp(n1))
        return (n2.mesh.linkStatuses.first?.lastFailure ?? "", n1.mesh.counters)
    }

    @Test func `Another cookie is refused, and both say why`() async throws {
        let (reason, _) = try await refusal(of: { _ in }, cookie: "another-cookie-of-tests-0123456789-xyz")
        #expect(reason.contains("cookie"))
    }

    @Test func `An older epoch is refused, and told so`() async throws {
        let (reason, _) = try await refusal(of: { $0.epoch = 0 })
        #expect(reason.contains("epoch"))
    }

    @Test func `Another cluster is refused`() async throws {
        let (reason, _) = try await refusal(of: { $0.clusterID = 8 })
        #expect(reason.contains("another cluster"))
    }

    @Test func `A copied node id is refused`() async throws {
        let (reason, _) = try await refusal(of: { $0.nodeID = 1 })
        #expect(reason.contains("copied"))
    }

    @Test func `A member's name with another id is refused: its directory is new`() async throws {
        let (reason, _) = try await refusal(
            of: { _ in },
            member: {
                var member = $0
                member.nodeID = 77
                return member
            })
        #expect(reason.contains("another node id"))
    }

    @Test func `A removed node is told so`() async throws {
        let n1 = try fixture.node("n1@h")
        let n2 = try fixture.node("n2@h")
        let events = Mutex<[MeshRefusal]>([])
        n2.mesh.observe { event in
            if case .refusedBy(_, let refusal) = event { events.withLock { $0.append(refusal) } }
        }
        n1.mesh.setPeers([], removed: [n2.options.nodeID])
        n2.mesh.setPeers([n1.member])
        try await eventually("it is told") { events.withLock { $0.contains(.removed) } }
        #expect(n1.mesh.counters.refused.membership >= 1)
    }

    @Test func `A stranger is refused as a peer`() async throws {
        let (n1, n2, n3) = (try fixture.node("n1@h"), try fixture.node("n2@h"), try fixture.node("n3@h"))
        try await fixture.join(n1, n2)
        n3.mesh.setPeers([n1.member])
        try await eventually("it is told") {
            n3.mesh.linkStatuses.first?.lastFailure?.contains("no member") == true
        }
        #expect(n1.mesh.peers.map(\.name) == [n2.options.name])
    }

    @Test func `While a node is up, a second one with its name and id stays out`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        try await fixture.join(n1, n2)
        let copy = try fixture.node("n2@h") { $0.nodeID = n2.options.nodeID }
        copy.mesh.setPeers([n1.member])
        try await eventually("it is told") {
            copy.mesh.linkStatuses.first?.lastFailure?.contains("copied") == true
        }
        #expect(n1.mesh.peers.map(\.incarnation) == [n2.options.incarnation])
        #expect(n1.owner.downs == 0)
    }

    @Test func `Another node behind a member's address is found out`() async throws {
        let (n1, n2, n3) = (try fixture.node("n1@h"), try fixture.node("n2@h"), try fixture.node("n3@h"))
        var wrong = n2.member
        wrong.address = n3.member.address
        n1.mesh.setPeers([wrong, n3.member])
        n3.mesh.setPeers([n1.member])
        try await eventually("it says so") {
            n1.mesh.linkStatuses.first { $0.name == n2.options.name }?.lastFailure?.contains("another node answers")
                == true
        }
    }

    @Test func `A node of a later feature level is let in, and its level is known`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h") { $0.featureLevel = 2 })
        try await fixture.join(n1, n2)
        #expect(n1.mesh.peers.first?.featureLevel == 2)
    }

    // MARK: Who proves nothing

    @Test func `A relay with another certificate gets nowhere, though both ends are real`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        let own = try MeshCertificate.temporary(name: NodeName("relay"))
        let port = try await attacker.relay(
            to: try #require(n2.mesh.boundPort), certificate: own.chain, key: own.key)
        var relayed = n2.member
        relayed.address = MeshAddress(host: "127.0.0.1", port: port)
        n1.mesh.setPeers([relayed])
        n2.mesh.setPeers([MeshMember(name: n1.options.name, nodeID: n1.options.nodeID)])
        try await eventually("n2 refuses") { n2.mesh.counters.refused.cookie >= 1 }
        #expect(!n1.isUp(n2) && !n2.isUp(n1))
    }

    @Test func `With an authority, a certificate of nobody is refused in TLS`() async throws {
        let authority = try MeshCertificate.temporary(name: NodeName("authority"))
        let n1 = try fixture.node("n1@h") { $0.certificate.authorities = authority.chain }
        let n2 = try fixture.node("n2@h")
        n2.mesh.setPeers([n1.member])
        n1.mesh.setPeers([n2.member])
        try await eventually("TLS fails") { n2.mesh.linkStatuses.first?.lastFailure != nil }
        #expect(!n1.isUp(n2) && n1.mesh.counters.handshakes == 0)
    }

    @Test func `With an authority, nodes that it vouches for link`() async throws {
        let certificates = try ["n1@h", "n2@h"].map { try MeshCertificate.temporary(name: NodeName($0)) }
        let trusted = certificates.flatMap(\.chain)
        let nodes = try certificates.map { own in
            try fixture.node("n\(own.chain == certificates[0].chain ? 1 : 2)@h") {
                $0.certificate = own
                $0.certificate.authorities = trusted
            }
        }
        try await fixture.join(nodes[0], nodes[1])
    }

    @Test func `Garbage, in TLS or not, closes the connection`() async throws {
        let n1 = try fixture.node("n1@h")
        let port = try #require(n1.mesh.boundPort)
        let plain = try await attacker.connect(port, tls: false, sending: Array("GET / HTTP/1.1\r\n\r\n".utf8))
        let inside = try await attacker.connect(port, tls: true, sending: [0, 5] + Array("hello".utf8))
        let early = try await attacker.connect(
            port, tls: true,
            sending: [0, 38] + Array("SLM1".utf8) + [1, 1] + [UInt8](repeating: 0, count: 32) + [0, 40]
                + [UInt8](repeating: 1, count: 40))
        try await eventually("all are closed") { plain.isClosed && inside.isClosed && early.isClosed }
        let counters = n1.mesh.counters
        #expect(counters.refused.garbage == 2 && counters.refused.cookie == 1)
    }

    @Test func `A message above 4 KB is refused by its length alone`() async throws {
        let n1 = try fixture.node("n1@h")
        let watch = try await attacker.connect(try #require(n1.mesh.boundPort), tls: true, sending: [0x10, 0x01])
        try await eventually("it is closed") { watch.isClosed }
        #expect(n1.mesh.counters.refused.oversized == 1)
    }

    @Test func `Versions that do not meet are told so`() async throws {
        let n1 = try fixture.node("n1@h")
        let watch = try await attacker.connect(
            try #require(n1.mesh.boundPort), tls: true,
            sending: [0, 38] + Array("SLM1".utf8) + [9, 12] + [UInt8](repeating: 0, count: 32))
        try await eventually("it is closed") { watch.isClosed }
        #expect(watch.received == [0, 1, MeshRefusal.version.rawValue])
        // One that speaks this version and later ones is welcome.
        let later = try await attacker.connect(
            try #require(n1.mesh.boundPort), tls: true,
            sending: [0, 38] + Array("SLM1".utf8) + [1, 12] + [UInt8](repeating: 0, count: 32))
        try await eventually("it is answered") { later.received.count == 36 }
        #expect(Array(later.received.prefix(4)) == [0, 34, 0, 1])
    }

    @Test func `A silent client is closed after the handshake's time`() async throws {
        let n1 = try fixture.node("n1@h") { $0.handshakeMilliseconds = 200 }
        let port = try #require(n1.mesh.boundPort)
        let watches = [
            try await attacker.connect(port, tls: false, sending: []),
            try await attacker.connect(port, tls: true, sending: []),
            try await attacker.connect(
                port, tls: true, sending: [0, 38] + Array("SLM1".utf8) + [1, 1] + [UInt8](repeating: 0, count: 32)),
        ]
        try await eventually("all are closed") { watches.allSatisfy(\.isClosed) }
        #expect(n1.mesh.counters.refused.timedOut == 3)
    }

    @Test func `A flood of open handshakes keeps no node out`() async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h") { $0.openHandshakes = 8 })
        var watches: [Attacker.Watch] = []
        for _ in 0..<40 {
            watches.append(try await attacker.connect(try #require(n2.mesh.boundPort), tls: false, sending: []))
        }
        try await eventually("the oldest are gone") { watches.count(where: \.isClosed) == 32 }
        try await fixture.join(n1, n2)
        #expect(n2.mesh.counters.refused.evicted >= 32)
    }
}
