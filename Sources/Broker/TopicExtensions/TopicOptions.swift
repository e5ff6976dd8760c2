/// What the node does with special topics, filters and prefixes; made from the keys `delayed`, `rewrite`,
/// `auto_subscribe`, `mqtt.exclusive_subscription` and `sys_topics.sys_event_messages`.
package struct TopicOptions: Sendable {
    package var delayedEnabled = true
    /// 0 for no limit.
    package var delayedLimit = 100_000
    /// Bytes of all delayed messages together; 0 for no limit.
    package var delayedByteLimit = 256 * 1024 * 1024
    package var exclusiveSubscription = false
    package var rewrites: [RewriteOptions] = []
    package var autoSubscriptions: [AutoSubscription] = []
    package var events = SystemEventOptions()

    package init() {}
}

/// One rule of `rewrite`.
package struct RewriteOptions: Sendable {
    package enum Action: String, Sendable { case publish, subscribe, all }

    package var action: Action
    package var sourceTopic: String
    package var expression: String
    package var destination: String

    package init(action: Action, sourceTopic: String, expression: String, destination: String) {
        self.action = action
        self.sourceTopic = sourceTopic
        self.expression = expression
        self.destination = destination
    }
}

/// A subscription that every client has from its CONNACK on.
package struct AutoSubscription: Sendable {
    /// With placeholders.
    package var topic: String
    package var qos: UInt8
    package var noLocal: Bool
    package var retainAsPublished: Bool
    package var retainHandling: UInt8

    package init(
        topic: String, qos: UInt8 = 0, noLocal: Bool = false, retainAsPublished: Bool = false, retainHandling: UInt8 = 0
    ) {
        self.topic = topic
        self.qos = qos
        self.noLocal = noLocal
        self.retainAsPublished = retainAsPublished
        self.retainHandling = retainHandling
    }
}

/// Which events of clients are told on `$SYS/brokers/<node>/clients/…`.
package struct SystemEventOptions: Sendable {
    package var connected = true
    package var disconnected = true
    package var subscribed = false
    package var unsubscribed = false
}
