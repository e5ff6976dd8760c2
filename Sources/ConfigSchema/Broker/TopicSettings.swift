package struct DelayedSettings: Sendable {
    package var isEnabled: Bool
    package var maximumMessages: Limit<Int>
    package var maximumBytes: Limit<ByteSize>

    init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.Delayed
        isEnabled = values[Fields.enable]
        maximumMessages = values[Fields.messages]
        maximumBytes = values[Fields.bytes]
    }
}

package struct RewriteSettings: Sendable {
    package enum Action: String, Sendable, CaseIterable { case all, publish, subscribe }

    package var action: Action
    package var sourceTopic: String
    package var expression: String
    package var destination: String

    init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.Rewrite
        action = values[Fields.action]
        sourceTopic = values[Fields.source]
        expression = values[Fields.expression]
        destination = values[Fields.destination]
    }
}

package struct AutoSubscribeSettings: Sendable {
    package var topic: String
    package var qos: Int
    package var retainHandling: Int
    package var retainAsPublished: Bool
    package var noLocal: Bool

    init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.AutoSubscribe.Topic
        topic = values[Fields.topic]
        qos = values[Fields.qos]
        retainHandling = values[Fields.retainHandling]
        retainAsPublished = values[Fields.retainAsPublished] == 1
        noLocal = values[Fields.noLocal] == 1
    }
}
