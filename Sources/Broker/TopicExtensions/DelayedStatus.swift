/// A delayed message as administration shows it.
package struct DelayedStatus: Sendable {
    /// Upper-case hex.
    package let id: String
    package let topic: String
    package let qos: Int
    package let isRetained: Bool
    package let payloadBytes: Int
    package let clientID: String?
    package let username: String?
    /// Milliseconds since 1970.
    package let publishedAt: Int64
    package let expectedAt: Int64

    init(_ delayed: DelayedMessage) {
        let view = delayed.message.view
        id = delayed.message.header.id.hex
        topic = String(decoding: view.topic, as: UTF8.self)
        qos = Int(view.traits.qos)
        isRetained = view.traits.isRetained
        payloadBytes = view.payload.count
        clientID = delayed.message.header.publisher?.clientID
        username = delayed.message.header.publisher?.username
        publishedAt = view.traits.receivedAt
        expectedAt = delayed.dueAt
    }
}

extension BrokerNode {
    package var delayedLimits: (isEnabled: Bool, messages: Int, bytes: Int) {
        (settings.topics.delayedEnabled, settings.topics.delayedLimit, settings.topics.delayedByteLimit)
    }

    package var delayedBytes: Int { delayed.byteCount }

    /// Soonest first.
    package var delayedMessages: [DelayedStatus] { delayed.all.map { DelayedStatus($0) } }

    /// - Parameter text: a message's identity as ``DelayedStatus/id`` gives it, or a topic.
    /// Blocks; not for a shard's thread.
    /// - Returns: how many messages were deleted.
    package func deleteDelayed(_ text: String) -> Int {
        var deleted: [MessageID] = []
        if let id = MessageID(hex: text), delayed.remove(id) {
            deleted = [id]
        } else {
            deleted = delayed.remove(topic: text)
        }
        forgetDelayed(deleted)
        return deleted.count
    }

    /// Who has which exclusive filter.
    package var exclusiveSubscriptions: [(filter: String, clientID: String)] { router.exclusive.all }

    /// Lets others subscribe exclusively; who had the filter keeps its subscription.
    /// - Returns: false when nobody had it.
    package func releaseExclusive(_ filter: String) -> Bool { router.exclusive.remove(filter) }
}

extension MessageID {
    var hex: String {
        func padded(_ value: UInt64) -> String {
            let text = String(value, radix: 16, uppercase: true)
            return String(repeating: "0", count: 16 - text.count) + text
        }
        return padded(high) + padded(low)
    }

    init?(hex: String) {
        guard hex.utf8.count == 32, let high = UInt64(hex.prefix(16), radix: 16),
            let low = UInt64(hex.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}
