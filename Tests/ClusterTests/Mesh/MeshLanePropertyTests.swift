import Cluster
import Synchronization
import Testing

/// Lanes under links that break at any moment.
@Suite("Lanes under cuts", .timeLimit(.minutes(2))) struct MeshLanePropertyTests {
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var value = state
            value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
            return value ^ (value >> 31)
        }
    }

    private let fixture = MeshFixture()

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `Every lane comes once and in order, both ways, whatever breaks in between`(seed: UInt64) async throws {
        var random = Generator(state: seed)
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        let lanes = MeshLane.allCases.map { ($0, RecordingOwner(), RecordingOwner()) }
        for (lane, first, second) in lanes {
            n1.mesh.own(lane, first)
            n2.mesh.own(lane, second)
        }
        try await fixture.join(n1, n2)
        let slots = (n1.slot(of: n2), n2.slot(of: n1))
        var sent = [[[UInt8]]](repeating: [], count: 2 * lanes.count)
        for round in 0..<40 {
            for _ in 0..<Int.random(in: 1...30, using: &random) {
                let lane = Int.random(in: 0..<lanes.count, using: &random)
                let size =
                    Int.random(in: 0...2000, using: &random) * (Int.random(in: 0...20, using: &random) == 0 ? 50 : 1)
                let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: round), count: size)
                if Bool.random(using: &random) {
                    #expect(n1.post(bytes, to: slots.0, lane: lanes[lane].0) != 0)
                    sent[2 * lane].append(bytes)
                } else {
                    #expect(n2.post(bytes, to: slots.1, lane: lanes[lane].0) != 0)
                    sent[2 * lane + 1].append(bytes)
                }
            }
            let (mesh, other) = Bool.random(using: &random) ? (n1.mesh, n2.options.name) : (n2.mesh, n1.options.name)
            switch Int.random(in: 0...3, using: &random) {
            case 0: mesh.block([other], .cut)
            case 1: mesh.block([other], .silent)
            default: break
            }
            try await Task.sleep(for: .microseconds(Int.random(in: 0...20_000, using: &random)))
            mesh.unblock()
        }
        try await eventually("all has come, seed \(seed)", seconds: 20) {
            lanes.enumerated().allSatisfy { index, lane in
                lane.2.received.count >= sent[2 * index].count && lane.1.received.count >= sent[2 * index + 1].count
            }
        }
        for (index, lane) in lanes.enumerated() {
            #expect(lane.2.received == sent[2 * index], "seed \(seed), \(lane.0) from n1")
            #expect(lane.1.received == sent[2 * index + 1], "seed \(seed), \(lane.0) from n2")
            #expect(lane.1.downs == 0 && lane.2.downs == 0)
        }
        #expect(n1.mesh.counters.linksResumed > 3, "the links were cut")
    }
}
