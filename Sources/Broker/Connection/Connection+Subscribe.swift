import Buffers
import MQTTCodec
import Topics

extension Connection {
    /// SUBSCRIBE: each filter is granted or refused for itself; routing is in force when SUBACK leaves. [MQTT-3.8.4-1]
    func handleSubscribe(_ packet: SubscribePacket) throws(ProtocolViolation) {
        guard let session else { return }
        let identifier = packet.properties.subscriptionIdentifiers.first ?? 0
        var reasons: [ReasonCode] = []
        var replays: [(Subscription, isNew: Bool)] = []
        for entry in packet.subscriptions {
            if let refusal = refusal(of: entry, session: session) {
                reasons.append(isV5 ? refusal : .unspecifiedError)
                continue
            }
            withBytes(SharedFilter(entry.filter)?.filter ?? entry.filter) {
                checkAuthorization(.subscribe, topic: $0, session: session)
            }
            let options = DeliveryOptions(
                qos: min(entry.options.qos.rawValue, shard.settings.maxQoS),
                noLocal: entry.options.noLocal || shard.settings.ignoresLoopDelivery && !isV5,
                retainAsPublished: entry.options.retainAsPublished,
                retainHandling: entry.options.retainHandling.rawValue, subscriptionIdentifier: identifier)
            let subscription = Subscription(session: session, filter: entry.filter, options: options)
            guard shard.save(subscription, of: session) else {
                reasons.append(isV5 ? .quotaExceeded : .unspecifiedError)
                continue
            }
            let previous = session.subscriptions.updateValue(subscription, forKey: ByteString(entry.filter))
            // The new one first, so that no message falls between them.
            shard.router.add(subscription)
            if let previous { shard.router.remove(previous) }
            replays.append((subscription, isNew: previous == nil))
            reasons.append(ReasonCode.granted(options.qos))
            shard.counters.subscribes.add(1)
            shard.rules.sessionSubscribed(
                self, session: session, subscription: subscription, properties: packet.properties)
        }
        if session.durable != nil { shard.durable?.hold(self) }
        write {
            SubackPacket(packetIdentifier: packet.packetIdentifier, reasons: reasons).encode(to: $0, version: version)
        }
        for (subscription, isNew) in replays { sendRetained(subscription, isNew: isNew, session: session) }
    }

    private func refusal(of entry: SubscribePacket.Entry, session: Session) -> ReasonCode? {
        let settings = shard.settings
        let shared = SharedFilter(entry.filter)
        let filter = shared?.filter ?? entry.filter
        if shared != nil, !settings.sharedSubscription { return .sharedSubscriptionsNotSupported }
        return withBytes(filter) { bytes in
            guard TopicSyntax.isFilter(bytes) else { return .topicFilterInvalid }
            if TopicSyntax.levels(bytes) > settings.maxTopicLevels { return .topicFilterInvalid }
            if !settings.wildcardSubscription, TopicSyntax.hasWildcard(bytes) {
                return .wildcardSubscriptionsNotSupported
            }
            if session.subscriptions.count >= settings.maxSubscriptions,
                session.subscriptions[ByteString(entry.filter)] == nil
            {
                shard.counters.subscriptionsOverQuota.add(1)
                return .quotaExceeded
            }
            return nil
        }
    }

    /// The retained messages of a new subscription. [MQTT-3.3.1-9]
    private func sendRetained(_ subscription: Subscription, isNew: Bool, session: Session) {
        let handling = subscription.options.retainHandling
        guard subscription.shared == nil, handling == 0 || handling == 1 && isNew else { return }
        let now = shard.wall
        withBytes(subscription.filter) { filter in
            // One SUBSCRIBE may ask for all there are; the next has to wait until those are on their way.
            guard session.retainedBacklog.count < shard.settings.queueLimits.messages else {
                shard.counters.droppedQueueFull.add(1)
                return
            }
            shard.node.retained.match(filter, now: now) { message in
                if subscription.options.noLocal, message.traits.publisherID == session.id { return }
                session.retainedBacklog.append(
                    RetainedDelivery(
                        message: message, qos: min(message.traits.qos, subscription.options.qos),
                        identifier: subscription.options.subscriptionIdentifier))
            }
        }
        sendWaiting()
    }

    /// UNSUBSCRIBE. [MQTT-3.10.4-4]
    func handleUnsubscribe(_ packet: UnsubscribePacket) {
        guard let session else { return }
        var reasons: [ReasonCode] = []
        for filter in packet.filters {
            guard let subscription = session.subscriptions.removeValue(forKey: ByteString(filter)) else {
                reasons.append(.noSubscriptionExisted)
                continue
            }
            shard.router.remove(subscription)
            shard.forget(subscription, of: session)
            reasons.append(.success)
            shard.counters.unsubscribes.add(1)
            shard.rules.sessionUnsubscribed(
                self, session: session, subscription: subscription, properties: packet.properties)
        }
        if session.durable != nil { shard.durable?.hold(self) }
        write {
            UnsubackPacket(packetIdentifier: packet.packetIdentifier, reasons: reasons).encode(to: $0, version: version)
        }
    }
}
