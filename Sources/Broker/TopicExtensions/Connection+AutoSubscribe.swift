import MQTTCodec
import Topics

extension Connection {
    /// Gives a client that has just come the subscriptions of `auto_subscribe.topics`. No right is needed for them: the
    /// operator wrote them. [EMQX: auto subscribe]
    func subscribeAutomatically(_ session: Session) {
        for wanted in shard.settings.topics.autoSubscriptions {
            guard let filter = filter(of: wanted, session: session) else {
                shard.lines.warning(
                    "An automatic subscription was left out: its filter is none with this client's names.",
                    metadata: ["mqtt.filter": "\(wanted.topic)", "client.id": "\(session.clientID.escaped)"])
                continue
            }
            let options = DeliveryOptions(
                qos: min(wanted.qos, shard.settings.maxQoS), noLocal: wanted.noLocal,
                retainAsPublished: wanted.retainAsPublished, retainHandling: wanted.retainHandling)
            let subscription = Subscription(session: session, filter: filter, options: options, isAutomatic: true)
            guard shard.router.exclusive.claim(subscription) else { continue }
            guard shard.save(subscription, of: session) else {
                shard.router.exclusive.release(subscription)
                shard.lines.warning(
                    "An automatic subscription was left out: it cannot be stored.",
                    metadata: ["mqtt.filter": "\(wanted.topic)", "client.id": "\(session.clientID.escaped)"])
                continue
            }
            let isNew = install(subscription, in: session, properties: Properties())
            sendRetained(subscription, isNew: isNew, session: session)
        }
    }

    private func filter(of wanted: AutoSubscription, session: Session) -> String? {
        let filter = TopicPlaceholders.fill(
            wanted.topic,
            [
                ("${clientid}", session.clientID), ("${username}", session.username), ("${host}", endpoints.peerHost),
                ("${port}", String(endpoints.peerPort)),
            ])
        guard let filter, filter.utf8.count <= 65_535 else { return nil }
        let inner = SharedFilter(filter)?.filter ?? ExclusiveFilter.inner(filter) ?? filter
        let isValid = withBytes(inner) {
            TopicSyntax.isFilter($0) && TopicSyntax.levels($0) <= shard.settings.maxTopicLevels
        }
        return isValid ? filter : nil
    }
}
