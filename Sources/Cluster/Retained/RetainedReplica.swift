package import Buffers
import DequeModule

/// What a node knows of all retained topics but their messages: the stamp of the last writer, and for deleted ones a
/// tombstone, so that an older message that comes back from behind a partition does not bring the topic back to life.
///
/// Nodes that meet send each other a digest of 1,024 sums over topics and stamps; each then sends the topics in which they
/// differ. Applying is idempotent and in any order comes to the same. A value: guarded with the messages themselves.
package struct RetainedReplica {
    package static let bucketCount = 1024
    /// Milliseconds that a tombstone is kept: a node that was cut off for longer may bring a deleted topic back.
    package static let tombstoneLife: Int64 = 24 * 3600 * 1000
    /// Stamps that are further ahead of this node's clock are refused: one clock that is wrong by years would win for years.
    package static let largestLead: Int64 = 24 * 3600 * 1000

    package struct Entry: Equatable, Sendable {
        package var stamp: RetainedStamp
        package var isDeleted: Bool
    }

    package enum Admission: Sendable { case admitted, older, refused }

    private var clock = HybridClock()
    private let origin: UInt64
    private let mostTombstones: Int
    private var buckets: [[[UInt8]: Entry]] = Array(repeating: [:], count: bucketCount)
    private var sums: [UInt64] = Array(repeating: 0, count: bucketCount)
    /// In the order in which they came; some have been overwritten since.
    private var tombstones: Deque<(topic: [UInt8], stamp: RetainedStamp)> = []
    package private(set) var tombstoneCount = 0

    /// - Parameters:
    ///   - origin: this node's number in stamps, the same in each of its lives.
    ///   - mostTombstones: the oldest go first.
    package init(origin: UInt64, mostTombstones: Int = 1_000_000) {
        self.origin = origin
        self.mostTombstones = mostTombstones
    }

    package subscript(topic: Bytes) -> Entry? { buckets[Self.bucket(of: topic)][Array(topic)] }

    // MARK: What happens here

    /// A client of this node has set or deleted the topic's message.
    /// - Parameter wall: milliseconds since 1970.
    package mutating func write(_ topic: Bytes, isDeleted: Bool, wall: Int64) -> RetainedStamp {
        let stamp = RetainedStamp(time: clock.now(wall: wall), origin: origin)
        put(topic, Entry(stamp: stamp, isDeleted: isDeleted))
        return stamp
    }

    /// The message has come to the end of its life; whoever has it, has its end.
    package mutating func expire(_ topic: Bytes) {
        guard let entry = self[topic], !entry.isDeleted else { return }
        put(topic, Entry(stamp: entry.stamp, isDeleted: true))
    }

    /// A message or tombstone from an earlier life of the node.
    package mutating func restore(_ topic: Bytes, stamp: RetainedStamp, isDeleted: Bool) {
        clock.observe(stamp.time)
        put(topic, Entry(stamp: stamp, isDeleted: isDeleted))
    }

    /// Forgets tombstones that have been there long enough.
    /// - Parameter most: bounds the work.
    /// - Returns: their topics.
    package mutating func sweep(wall: Int64, most: Int = 1000) -> [[UInt8]] {
        var gone: [[UInt8]] = []
        for _ in 0..<most {
            guard let first = tombstones.first else { break }
            let isOld = HybridClock.wall(of: first.stamp.time) < wall - Self.tombstoneLife
            guard isOld || tombstoneCount > mostTombstones || !isTombstone(first) else { break }
            tombstones.removeFirst()
            guard isTombstone(first) else { continue }
            first.topic.withUnsafeBytes { remove($0) }
            gone.append(first.topic)
        }
        return gone
    }

    private func isTombstone(_ candidate: (topic: [UInt8], stamp: RetainedStamp)) -> Bool {
        candidate.topic.withUnsafeBytes { self[$0] } == Entry(stamp: candidate.stamp, isDeleted: true)
    }

    // MARK: What others say

    /// Whether what another node says of the topic is news; then it is taken in.
    /// - Parameter wall: milliseconds since 1970.
    package mutating func admit(_ topic: Bytes, stamp: RetainedStamp, isDeleted: Bool, wall: Int64) -> Admission {
        let time = HybridClock.wall(of: stamp.time)
        guard time <= wall + Self.largestLead, !(isDeleted && time < wall - Self.tombstoneLife) else { return .refused }
        if let entry = self[topic], entry.stamp >= stamp { return .older }
        clock.observe(stamp.time)
        put(topic, Entry(stamp: stamp, isDeleted: isDeleted))
        return .admitted
    }

    /// Takes an admitted entry back: its message could not be kept.
    package mutating func revert(_ topic: Bytes, to entry: Entry?) {
        if let entry { put(topic, entry) } else { remove(topic) }
    }

    // MARK: Digests

    /// The batch that shows another node what is here.
    package var digest: OutputBuffer {
        let batch = OutputBuffer(capacity: 16 + 8 * Self.bucketCount)
        batch.append(StateBatch.retainedDigest.rawValue)
        for sum in sums { batch.append(wire: sum) }
        return batch
    }

    /// - Returns: the buckets that are not the same here; nil when the bytes are no digest.
    package func differences(from digest: Bytes) -> [Int]? {
        var reader = WireReader(digest)
        guard StateBatch(rawValue: reader.byte()) == .retainedDigest else { return nil }
        var different: [Int] = []
        for bucket in 0..<Self.bucketCount where reader.integer(UInt64.self) != sums[bucket] {
            different.append(bucket)
        }
        return reader.isComplete ? different : nil
    }

    package func entries(in bucket: Int) -> [(topic: [UInt8], entry: Entry)] {
        buckets[bucket].map { ($0.key, $0.value) }
    }

    // MARK: Buckets

    private static func bucket(of topic: Bytes) -> Int { Int(wireHash(topic) % UInt64(bucketCount)) }

    /// Not whether it is deleted: a message that has expired here and there not yet is no difference.
    private static func sum(_ topic: Bytes, _ stamp: RetainedStamp) -> UInt64 {
        wireHash(topic, seed: stamp.time &* 0x9FB2_1C65_1E98_DF25 ^ stamp.origin)
    }

    private mutating func put(_ topic: Bytes, _ entry: Entry) {
        let bucket = Self.bucket(of: topic)
        let key = Array(topic)
        let old = buckets[bucket].updateValue(entry, forKey: key)
        if let old {
            sums[bucket] ^= Self.sum(topic, old.stamp)
            if old.isDeleted { tombstoneCount -= 1 }
        }
        sums[bucket] ^= Self.sum(topic, entry.stamp)
        if entry.isDeleted {
            tombstoneCount += 1
            tombstones.append((key, entry.stamp))
        }
    }

    private mutating func remove(_ topic: Bytes) {
        let bucket = Self.bucket(of: topic)
        guard let old = buckets[bucket].removeValue(forKey: Array(topic)) else { return }
        sums[bucket] ^= Self.sum(topic, old.stamp)
        if old.isDeleted { tombstoneCount -= 1 }
    }
}
