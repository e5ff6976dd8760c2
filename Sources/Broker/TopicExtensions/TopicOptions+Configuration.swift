import ConfigSchema

extension TopicOptions {
    init(_ configuration: BrokerConfiguration) {
        self.init()
        delayedEnabled = configuration.delayed.isEnabled
        delayedLimit = configuration.delayed.maximumMessages.finite ?? 0
        delayedByteLimit = configuration.delayed.maximumBytes.finite?.bytes ?? 0
        exclusiveSubscription = configuration.mqtt.exclusiveSubscription
        rewrites = configuration.rewrites.map { rewrite in
            RewriteOptions(
                action: RewriteOptions.Action(rawValue: rewrite.action.rawValue) ?? .all,
                sourceTopic: rewrite.sourceTopic, expression: rewrite.expression, destination: rewrite.destination)
        }
        autoSubscriptions = configuration.autoSubscriptions.map { wanted in
            AutoSubscription(
                topic: wanted.topic, qos: UInt8(clamping: wanted.qos), noLocal: wanted.noLocal,
                retainAsPublished: wanted.retainAsPublished, retainHandling: UInt8(clamping: wanted.retainHandling))
        }
        events.connected = configuration.sysTopics.tellsConnected
        events.disconnected = configuration.sysTopics.tellsDisconnected
        events.subscribed = configuration.sysTopics.tellsSubscribed
        events.unsubscribed = configuration.sysTopics.tellsUnsubscribed
    }
}
