import Buffers
import MQTTCodec
import RuleEngine

extension Shard {
    /// The message that a republish action made of a row, with an identity and time of its own.
    func makeMessage(_ made: RepublishedMessage, runner: RuleRunner, hops: UInt8) -> Message {
        var traits = MessageTraits(
            receivedAt: wall, publisherID: 0, qos: min(made.qos, settings.maxQoS), isRetained: made.retain)
        traits.isDuplicate = made.isDuplicate
        traits.hops = hops
        traits.bypassesHooks = made.directDispatch
        if let expiry = made.messageExpiryInterval { traits.expiresAt = wall + Int64(expiry) * 1000 }
        let properties = OutputBuffer()
        made.properties.appendForwarded(to: properties)
        let publisher =
            made.from.elementsEqual(runner.rule.id.utf8)
            ? runner.publisher
            : Publisher(clientID: String(decoding: made.from, as: UTF8.self), username: nil, peerHost: "", peerName: "")
        return Message.make(
            copying: MessageView(
                topic: made.topic, properties: properties.bytes, payload: made.payload, traits: traits,
                id: nextMessageID(),
                publisher: publisher))
    }
}

extension RepublishedMessage {
    fileprivate var properties: Properties {
        var properties = Properties()
        properties.payloadFormatIndicator = payloadFormatIndicator
        properties.contentType = contentType.map { String(decoding: $0, as: UTF8.self) }
        properties.responseTopic = responseTopic.map { String(decoding: $0, as: UTF8.self) }
        properties.correlationData = correlationData.map { Array($0) }
        properties.userProperties = userProperties.map { pair in
            Properties.UserProperty(
                name: String(decoding: pair.name, as: UTF8.self), value: String(decoding: pair.value, as: UTF8.self))
        }
        return properties
    }
}
