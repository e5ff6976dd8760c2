import Consensus
import Testing

@Suite("Raft node", .serialized) struct RaftNodeTests {
    @Test func `A lone voter leads at once, and knows its state after a restart`() async throws {
        let cluster = try await TestCluster.make(1)
        defer { cluster.end() }
        for number in 0..<100 { #expect(try await cluster.propose([1, UInt8(number)]).get() == [UInt8(number), 1]) }
        let state = try #require(cluster[1]).machine.state
        cluster.stop(1)
        try cluster.start(1, bootstraps: true)
        #expect(await eventually { cluster.leader != nil })
        #expect(cluster[1]?.machine.state == state)
    }

    @Test func `Three voters apply the same, whichever of them is stopped and started`() async throws {
        let cluster = try await TestCluster.make(3)
        defer { cluster.end() }
        var acknowledged: UInt64 = 0
        for round in 0..<6 {
            let victim = UInt64(round % 3 + 1)
            cluster.stop(victim)
            #expect(await eventually { cluster.leader != nil })
            for number in 0..<60 {
                if case .success = await cluster.propose([UInt8(round), UInt8(number)]) { acknowledged += 1 }
            }
            try cluster.start(victim)
            #expect(
                await eventually {
                    cluster.running.allSatisfy { $0.machine.state.count >= acknowledged } && cluster.agree
                })
        }
        #expect(acknowledged >= 300)
    }

    @Test func `A leader cut off refuses, the majority goes on, and all agree when they meet again`() async throws {
        let cluster = try await TestCluster.make(3)
        defer { cluster.end() }
        let old = try #require(cluster.leader?.status.leaderID)
        let others = Set([1, 2, 3]).subtracting([old])
        cluster.partition([[old], others])
        #expect(await eventually { others.contains { cluster[$0]?.node.status.state == .leader } })
        #expect(await eventually { cluster[old]?.node.status.state != .leader })
        for number in 0..<50 { _ = try await cluster.propose([7, UInt8(number)]).get() }
        cluster.partition([])
        #expect(await eventually { cluster.agree && cluster[old]?.machine.state.count == 50 })
    }

    @Test func `A command of a later version stops the replica, with the reason`() async throws {
        let cluster = try await TestCluster.make(1)
        defer { cluster.end() }
        #expect(await cluster.propose([0xff]) == .failure(.outcomeUnknown))
        #expect(await eventually { cluster[1]?.node.status.failure?.contains("operation 255") == true })
    }

    @Test func `A command that is too large is refused`() async throws {
        let cluster = try await TestCluster.make(1)
        defer { cluster.end() }
        guard case .failure(.refused) = await cluster.propose(Array(repeating: 0, count: 1 << 21)) else {
            Issue.record("not refused")
            return
        }
        #expect(try await cluster.propose(Array(repeating: 2, count: 1 << 20)).get().count == 1 << 20)
    }
}
