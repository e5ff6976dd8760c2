import Buffers

/// `$SYS/brokers…`: who the node is and what it has counted. Run by the first shard. [EMQX: $SYS]
final class SystemTopics {
    private let node: String
    private let version: String
    private let heartbeatInterval: Int64
    private let messageInterval: Int64
    private var nextHeartbeat: Int64 = 0
    private var nextMessages: Int64 = 0
    private let startedAt: Int64

    /// - Parameters: intervals in milliseconds; 0 turns that part off.
    init(node: String, version: String, heartbeatInterval: Int64, messageInterval: Int64, startedAt: Int64) {
        self.node = node
        self.version = version
        self.heartbeatInterval = heartbeatInterval
        self.messageInterval = messageInterval
        self.startedAt = startedAt
    }

    func tick(_ shard: Shard) {
        if heartbeatInterval > 0, shard.now >= nextHeartbeat {
            nextHeartbeat = shard.now + heartbeatInterval
            publish("uptime", String(shard.now - startedAt), shard)
            publish("datetime", Timestamp.rfc3339(milliseconds: shard.wall), shard)
        }
        if messageInterval > 0, shard.now >= nextMessages {
            nextMessages = shard.now + messageInterval
            publishMessages(shard)
        }
    }

    private func publishMessages(_ shard: Shard) {
        publish(topic: "$SYS/brokers", node, retained: true, shard)
        publish("version", version, retained: true, shard)
        publish("sysdescr", "Sluice", retained: true, shard)
        for (name, value) in shard.node.statistics {
            publish("stats/" + name.map { $0 == "." ? "/" : String($0) }.joined(), String(value), shard)
        }
        for (name, value) in shard.node.metrics {
            publish("metrics/" + name.map { $0 == "." ? "/" : String($0) }.joined(), String(value), shard)
        }
    }

    private func publish(_ name: String, _ text: String, retained: Bool = false, _ shard: Shard) {
        publish(topic: "$SYS/brokers/\(node)/\(name)", text, retained: retained, shard)
    }

    private func publish(topic: String, _ text: String, retained: Bool, _ shard: Shard) {
        let message = withBytes(topic) { topic in
            withBytes(text) { text in
                Message.make(
                    copying: MessageView(
                        topic: topic, properties: Bytes(start: nil, count: 0), payload: text,
                        traits: MessageTraits(receivedAt: shard.wall, publisherID: 0, qos: 0, isRetained: retained),
                        id: shard.nextMessageID(), publisher: nil))
            }
        }
        shard.publish(message)
    }
}
