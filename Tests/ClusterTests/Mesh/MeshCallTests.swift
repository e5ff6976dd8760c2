import Cluster
import Synchronization
import Testing

@Suite("Calls between nodes", .timeLimit(.minutes(1))) struct MeshCallTests {
    private let fixture = MeshFixture()

    private func pair(_ change: (inout MeshOptions) -> Void = { _ in }) async throws -> (
        MeshFixture.Node, MeshFixture.Node
    ) {
        let (n1, n2) = (try fixture.node("n1@h", change), try fixture.node("n2@h", change))
        try await fixture.join(n1, n2)
        return (n1, n2)
    }

    @Test func `A call is answered, or refused with a reason`() async throws {
        let (n1, n2) = try await pair()
        n2.mesh.handle(.ping) { peer, body, reply in reply(.success(body + Array(peer.name.text.utf8))) }
        n2.mesh.handle(.drain) { _, _, reply in reply(.failure(.refused("not now"))) }
        #expect(await call(n1, n2.options.name, .ping, [1]) == .success([1] + Array("n1@h".utf8)))
        #expect(await call(n1, n2.options.name, .drain) == .failure(.refused("not now")))
        #expect(await call(n1, n2.options.name, .status) == .failure(.refused("status is not served here")))
        #expect(await call(n1, NodeName("nobody@h")) == .failure(.notConnected))
    }

    @Test func `An answer of several megabytes comes whole`() async throws {
        let (n1, n2) = try await pair()
        let body = [UInt8](repeating: 7, count: 3_000_000)
        n2.mesh.handle(.follow) { _, _, reply in reply(.success(body)) }
        #expect(await call(n1, n2.options.name, .follow) == .success(body))
    }

    @Test func `A call that is not answered times out, and a late answer finds nobody`() async throws {
        let (n1, n2) = try await pair()
        let late = Mutex<(@Sendable (Result<[UInt8], MeshError>) -> Void)?>(nil)
        n2.mesh.handle(.ping) { _, _, reply in late.withLock { $0 = reply } }
        #expect(await call(n1, n2.options.name, milliseconds: 50) == .failure(.timedOut))
        let reply = try #require(late.withLock { $0 })
        reply(.success([]))
        reply(.success([]))
        n2.mesh.handle(.ping) { _, _, reply in reply(.success([2])) }
        #expect(await call(n1, n2.options.name) == .success([2]))
    }

    @Test func `A call whose link breaks may have been carried out`() async throws {
        let (n1, n2) = try await pair()
        n2.mesh.handle(.ping) { _, _, _ in n2.mesh.block([n1.options.name]) }
        #expect(await call(n1, n2.options.name) == .failure(.linkLost))
    }

    @Test func `Calls that wait for an answer are bounded`() async throws {
        let (n1, n2) = try await pair()
        let replies = Mutex<[@Sendable (Result<[UInt8], MeshError>) -> Void]>([])
        n2.mesh.handle(.ping) { _, _, reply in replies.withLock { $0.append(reply) } }
        let results = Mutex<[Result<[UInt8], MeshError>]>([])
        for _ in 0..<1100 {
            n1.mesh.call(n2.options.name, method: .ping, body: [], timeoutMilliseconds: 20_000) { result in
                results.withLock { $0.append(result) }
            }
        }
        try await eventually("some are refused") { results.withLock { $0.count } == 76 }
        try await eventually("the others are served") { replies.withLock { $0.count } == 1024 }
        for reply in replies.withLock({ $0 }) { reply(.success([])) }
        try await eventually("all are answered") { results.withLock { $0.count } == 1100 }
        #expect(results.withLock { $0.count { $0 == .success([]) } } == 1024)
    }

    @Test func `A stranger that knows the cookie may only join`() async throws {
        let (n1, _) = try await pair()
        n1.mesh.handle(.join) { peer, body, reply in reply(.success(body + Array(peer.name.text.utf8))) }
        n1.mesh.handle(.status) { _, _, reply in reply(.success([])) }
        let stranger = try fixture.node("n9@h") { $0.clusterID = 99 }
        let reached: Result<MeshPeer, MeshError> = await answer {
            stranger.mesh.connect(to: n1.address, timeoutMilliseconds: 5_000, completion: $0)
        }
        let peer = try reached.get()
        #expect(peer.name == n1.options.name && peer.nodeID == n1.options.nodeID)
        #expect(await call(stranger, peer.name, .join, [1]) == .success([1] + Array("n9@h".utf8)))
        guard case .failure(.refused(let reason)) = await call(stranger, peer.name, .status) else {
            Issue.record("a stranger was served")
            return
        }
        #expect(reason.contains("may only join"))
        #expect(!n1.isUp(stranger), "it is no peer")
    }

    @Test func `A node that leaves gets the answer, though it is no member when that comes`() async throws {
        let (n1, n2) = try await pair()
        n2.mesh.handle(.leave) { peer, _, reply in
            n2.mesh.setPeers([], removed: [peer.nodeID])
            reply(.success([1]))
        }
        #expect(await call(n1, n2.options.name, .leave) == .success([1]))
        try await eventually("then the link ends") { !n1.isUp(n2) && !n2.isUp(n1) }
    }

    @Test func `A node that was let in finds its way without a list of members`() async throws {
        let (n2, joiner) = (try fixture.node("n2@h"), try fixture.node("n1@h"))
        let _: Result<MeshPeer, MeshError> = await answer {
            joiner.mesh.connect(to: n2.address, timeoutMilliseconds: 5_000, completion: $0)
        }
        // The cluster learns of it a little later, and does not know where it is.
        n2.mesh.setPeers([MeshMember(name: joiner.options.name, nodeID: joiner.options.nodeID)])
        try await eventually("they meet") { joiner.isUp(n2) && n2.isUp(joiner) }
        joiner.mesh.setPeers([n2.member])
        n2.post([1], to: n2.slot(of: joiner))
        try await eventually("it comes") { joiner.owner.received == [[1]] }
        #expect(joiner.owner.downs == 0)
    }
}
