import Buffers
import Cluster
import Testing

@Suite struct RetainedReplicaTests {
    private static let wall: Int64 = 1_700_000_000_000

    private func withTopic<R>(_ topic: String, _ body: (Bytes) -> R) -> R { Array(topic.utf8).withUnsafeBytes(body) }

    @Test(arguments: 1...50)
    func `replicas that exchange their differences are the same, whatever came in which order`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        // Clocks that are seconds apart.
        var replicas = (0..<3).map { RetainedReplica(origin: UInt64($0)) }
        for step in 0..<600 {
            let node = Int.random(in: 0..<3, using: &random)
            let topic = "t/\(Int.random(in: 0..<40, using: &random))"
            let isDeleted = Int.random(in: 0..<3, using: &random) == 0
            let wall = Self.wall + Int64(step) + Int64(node) * 2000
            let stamp = withTopic(topic) { replicas[node].write($0, isDeleted: isDeleted, wall: wall) }
            let other = Int.random(in: 0..<3, using: &random)
            if other != node {
                _ = withTopic(topic) {
                    replicas[other].admit($0, stamp: stamp, isDeleted: isDeleted, wall: wall)
                }
            }
        }
        for a in 0..<3 { for b in 0..<3 where a != b { exchange(&replicas, from: a, to: b) } }
        for a in 0..<3 { for b in 0..<3 where a != b { exchange(&replicas, from: a, to: b) } }
        for number in 0..<40 {
            let entries = withTopic("t/\(number)") { topic in replicas.map { $0[topic] } }
            #expect(entries[0] == entries[1] && entries[1] == entries[2])
        }
        #expect(Array(replicas[1].digest).withUnsafeBytes { replicas[0].differences(from: $0) } == [])
    }

    private func exchange(_ replicas: inout [RetainedReplica], from: Int, to: Int) {
        let digest = Array(replicas[to].digest)
        for bucket in digest.withUnsafeBytes({ replicas[from].differences(from: $0) }) ?? [] {
            for (topic, entry) in replicas[from].entries(in: bucket) {
                _ = topic.withUnsafeBytes {
                    replicas[to].admit(
                        $0, stamp: entry.stamp, isDeleted: entry.isDeleted, wall: Self.wall + 10_000)
                }
            }
        }
    }

    @Test func `what follows something seen of another node is later, whatever the clocks say`() {
        var replica = RetainedReplica(origin: 1)
        let ahead = RetainedStamp(time: HybridClock.reading(wall: Self.wall + 60_000), origin: 2)
        let stamp = withTopic("t") { topic in
            #expect(replica.admit(topic, stamp: ahead, isDeleted: false, wall: Self.wall) == .admitted)
            return replica.write(topic, isDeleted: true, wall: Self.wall)
        }
        #expect(stamp > ahead)
    }

    @Test func `a clock that is wrong by more than a day is not followed`() {
        var replica = RetainedReplica(origin: 1)
        let far = RetainedStamp(time: HybridClock.reading(wall: Self.wall + 2 * RetainedReplica.largestLead), origin: 2)
        #expect(withTopic("t") { replica.admit($0, stamp: far, isDeleted: false, wall: Self.wall) } == .refused)
    }

    @Test func `tombstones go after a day, and the oldest when there are too many`() {
        var replica = RetainedReplica(origin: 1, mostTombstones: 10)
        for number in 0..<25 { _ = withTopic("t/\(number)") { replica.write($0, isDeleted: true, wall: Self.wall) } }
        #expect(replica.sweep(wall: Self.wall).count == 15)
        #expect(replica.tombstoneCount == 10)
        #expect(withTopic("t/0") { replica[$0] } == nil)
        #expect(withTopic("t/24") { replica[$0] } != nil)
        _ = replica.sweep(wall: Self.wall + RetainedReplica.tombstoneLife + 1000)
        #expect(replica.tombstoneCount == 0)
    }

    @Test func `a digest that is cut off is none`() {
        let replica = RetainedReplica(origin: 1)
        let digest = Array(replica.digest)
        for length in [0, 1, 8, digest.count - 1] {
            #expect(digest[..<length].withUnsafeBytes { replica.differences(from: $0) } == nil)
        }
    }
}

extension Array<UInt8> {
    /// The bytes of a buffer that nobody else keeps.
    fileprivate init(_ buffer: OutputBuffer) { self = withExtendedLifetime(buffer) { Array(buffer.bytes) } }
}
