import Buffers
import Cluster
import ClusterSimulation
import Synchronization
import Testing

@Suite("The simulated network") struct SimulatedNetworkTests {
    private func node(_ network: SimulatedNetwork, _ name: String) -> (SimulatedMesh, RecordingOwner) {
        let (mesh, owner) = (network.node(name), RecordingOwner())
        mesh.own(.messages, owner)
        mesh.start()
        return (mesh, owner)
    }

    private func post(_ mesh: SimulatedMesh, _ bytes: [UInt8]) -> UInt64 {
        let buffer = OutputBuffer()
        buffer.append(bytes)
        return mesh.post(buffer, to: mesh.peers.first?.slot ?? -1, lane: .messages)
    }

    @Test func `Batches come in order, calls are answered, time is the test's`() {
        let network = SimulatedNetwork(seed: 1)
        let ((a, _), (b, received)) = (node(network, "a"), node(network, "b"))
        #expect(network.run(atMost: 100) { a.peers.count == 1 && b.peers.count == 1 })
        for number in 0..<100 { #expect(post(a, [UInt8(number)]) == UInt64(number + 1)) }
        b.handle(.ping) { _, body, reply in reply(.success(body)) }
        let result = Mutex<Result<[UInt8], MeshError>?>(nil)
        a.call(b.name, method: .ping, body: [1], timeoutMilliseconds: 100) { answer in result.withLock { $0 = answer } }
        network.advance(milliseconds: 50)
        #expect(received.received == (0..<100).map { [UInt8($0)] })
        #expect(result.withLock { $0 } == .success([1]))
        #expect(a.backlog(of: a.peers[0].slot) == 0)
    }

    @Test func `A short cut loses nothing; a long one ends in down and up`() {
        let network = SimulatedNetwork(seed: 2)
        let ((a, upA), (_, received)) = (node(network, "a"), node(network, "b"))
        network.advance(milliseconds: 100)
        network.cut("a", "b")
        for number in 0..<10 { #expect(post(a, [UInt8(number)]) != 0) }
        network.advance(milliseconds: 1_000)
        #expect(received.received.isEmpty && a.backlog(of: a.peers[0].slot) == 10)
        network.heal("a", "b")
        #expect(post(a, [10]) != 0)
        network.advance(milliseconds: 100)
        #expect(received.received == (0...10).map { [UInt8($0)] })
        #expect(upA.downs == 0)
        network.cut("a", "b")
        #expect(post(a, [99]) != 0)
        network.advance(milliseconds: 5_000)
        #expect(upA.downs == 1 && received.downs == 1 && post(a, [1]) == 0)
        network.healAll()
        network.advance(milliseconds: 100)
        #expect(upA.ups == 2 && received.ups == 2 && post(a, [1]) == 1)
        network.advance(milliseconds: 100)
        #expect(received.received.last == [1] && !received.received.contains([99]))
    }

    @Test func `A crash is noticed; the next incarnation is another`() {
        let network = SimulatedNetwork(seed: 3)
        let ((a, upA), (b, _)) = (node(network, "a"), node(network, "b"))
        network.advance(milliseconds: 100)
        let lost = Mutex<Result<[UInt8], MeshError>?>(nil)
        a.call(b.name, method: .ping, body: [], timeoutMilliseconds: 60_000) { answer in lost.withLock { $0 = answer } }
        network.crash("b")
        network.advance(milliseconds: 2_000)
        #expect(upA.downs == 0)
        network.advance(milliseconds: 3_000)
        #expect(upA.downs == 1)
        #expect(lost.withLock { $0 } == .failure(.linkLost))
        let (again, _) = node(network, "b")
        network.advance(milliseconds: 100)
        #expect(upA.ups == 2 && a.peers.first?.incarnation == again.identity.incarnation)
        #expect(a.peers.first?.nodeID == b.identity.nodeID)
    }

    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64])
    func `Short cuts at any moment change no lane's order`(seed: UInt64) {
        let network = SimulatedNetwork(seed: seed, delays: 1...20)
        var random = MeshLanePropertyTests.Generator(state: seed)
        let ((a, _), (_, received)) = (node(network, "a"), node(network, "b"))
        network.advance(milliseconds: 100)
        for number in 0..<200 {
            #expect(post(a, [UInt8(number)]) == UInt64(number + 1))
            if Int.random(in: 0...3, using: &random) == 0 { network.cut("a", "b") }
            network.advance(milliseconds: Int.random(in: 0...20, using: &random))
            network.healAll()
            network.advance(milliseconds: Int.random(in: 0...5, using: &random))
        }
        network.advance(milliseconds: 1_000)
        #expect(received.received == (0..<200).map { [UInt8($0)] })
        #expect(received.downs == 0)
    }

    @Test func `The same seed gives the same run`() {
        func run(_ seed: UInt64) -> [String] {
            let network = SimulatedNetwork(seed: seed)
            let ((a, _), (b, _)) = (node(network, "a"), node(network, "b"))
            network.advance(milliseconds: 100)
            let log = Mutex<[String]>([])
            for mesh in [a, b] {
                mesh.handle(.ping) { _, body, reply in
                    log.withLock { $0.append("\(network.now) \(mesh.name) \(body)") }
                    reply(.success([]))
                }
            }
            for number in 0..<50 {
                let (from, to) = number % 2 == 0 ? (a, b) : (b, a)
                from.call(to.name, method: .ping, body: [UInt8(number)], timeoutMilliseconds: 1_000) { _ in }
            }
            network.advance(milliseconds: 100)
            return log.withLock { $0 }
        }
        #expect(run(7) == run(7) && run(7).count == 50)
        #expect(run(7) != run(8))
    }
}
