import Buffers

/// Topic → alias, as one connection has told its client: the first topics that came, without replacing them later, so that
/// a client of many topics costs one fruitless look-up and no traffic. [MQTT-3.3.2-10]
///
/// Confined to the connection's shard; ends with the connection. [MQTT-3.3.2-7]
final class OutboundAliases {
    /// Aliases of one connection at most, whatever its client allows: with the longest topics they take 64 KiB.
    static let most = 64
    /// The alias itself takes three bytes.
    static let shortestTopic = 4
    static let longestTopic = 1024

    private struct Entry {
        var hash: UInt64 = 0
        /// 0 for a free place.
        var alias: UInt16 = 0
        var topic: [UInt8] = []
    }

    private var entries: [Entry]
    private let limit: Int
    private(set) var count = 0

    /// - Parameter limit: what the client and the configuration allow; more than ``most`` are not used.
    init(limit: Int) {
        self.limit = min(limit, Self.most)
        // At most half full, so that every search ends at a free place.
        var capacity = 2
        while capacity < 2 * self.limit { capacity *= 2 }
        entries = Array(repeating: Entry(), count: capacity)
    }

    static func isWorthwhile(_ topic: Bytes) -> Bool { topic.count >= shortestTopic && topic.count <= longestTopic }

    /// - Returns: the topic's alias, 0 when it has none.
    func find(_ topic: Bytes, hash: UInt64) -> UInt16 {
        entries.withUnsafeBufferPointer { entries in
            var position = Int(truncatingIfNeeded: hash) & (entries.count - 1)
            while entries[position].alias != 0 {
                if entries[position].hash == hash,
                    entries[position].topic.withUnsafeBytes({ compareBytes(Bytes($0), topic) }) == 0
                {
                    return entries[position].alias
                }
                position = (position + 1) & (entries.count - 1)
            }
            return 0
        }
    }

    /// The alias that the next topic would get, 0 when all are in use.
    var next: UInt16 { count < limit ? UInt16(count + 1) : 0 }

    /// The client has been told that ``next`` stands for this topic, which has none yet.
    func add(_ topic: Bytes, hash: UInt64) {
        var position = Int(truncatingIfNeeded: hash) & (entries.count - 1)
        while entries[position].alias != 0 { position = (position + 1) & (entries.count - 1) }
        count += 1
        entries[position] = Entry(hash: hash, alias: UInt16(count), topic: Array(topic))
    }
}
