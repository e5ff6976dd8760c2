import Buffers
import MQTTCodec
import Topics

extension Connection {
    /// SUBSCRIBE: each filter is granted or refused for itself; routing is in force when SUBACK leaves. [MQTT-3.8.4-1]
    /// [MQTT-3.8.4-2] [MQTT-3.8.4-5] [MQTT-3.8.4-6] [MQTT-3.8.4-7] [MQTT-3.9.3-1] [MQTT3-3.8.4-1] [MQTT3-3.8.4-2]
    func handleSubscribe(_ packet: SubscribePacket) throws(ProtocolViolation) {
        guard let session, let denied = try deniedSubscriptions(packet, session: session) else { return }
        let identifier = packet.properties.subscriptionIdentifiers.first ?? 0
        var reasons: [ReasonCode] = []
        var replays: [(Subscription, isNew: Bool)] = []
        for (index, entry) in packet.subscriptions.enumerated() {
            if let refusal = refusal(of: entry, session: session) {
                reasons.append(isV5 ? refusal : .unspecifiedError)
                continue
            }
            if denied.contains(index) {
                reasons.append(isV5 ? .notAuthorized : .unspecifiedError)
                continue
            }
            guard let filter = rewritten(entry.filter, session: session) else {
                reasons.append(isV5 ? .topicFilterInvalid : .unspecifiedError)
                continue
            }
            let options = DeliveryOptions(
                qos: min(entry.options.qos.rawValue, shard.settings.maxQoS),
                noLocal: entry.options.noLocal || shard.settings.ignoresLoopDelivery && !isV5,
                retainAsPublished: entry.options.retainAsPublished,
                retainHandling: entry.options.retainHandling.rawValue, subscriptionIdentifier: identifier)
            let subscription = Subscription(
                session: session, filter: filter, options: options, claim: plainFilter(entry.filter))
            guard shard.router.exclusive.claim(subscription) else {
                reasons.append(isV5 ? .quotaExceeded : .unspecifiedError)
                continue
            }
            guard shard.save(subscription, of: session) else {
                shard.router.exclusive.release(subscription)
                reasons.append(isV5 ? .quotaExceeded : .unspecifiedError)
                continue
            }
            replays.append((subscription, install(subscription, in: session, properties: packet.properties)))
            reasons.append(ReasonCode.granted(options.qos))
        }
        if session.durable != nil { shard.durable?.hold(self) }
        write(.suback) {
            SubackPacket(packetIdentifier: packet.packetIdentifier, reasons: reasons).encode(to: $0, version: version)
        }
        for (subscription, isNew) in replays { sendRetained(subscription, isNew: isNew, session: session) }
    }

    /// Puts a subscription in force, in place of one with the same filter. [MQTT-3.8.4-3] [MQTT3-3.8.4-3]
    /// - Returns: whether there was none.
    func install(_ subscription: Subscription, in session: Session, properties: Properties) -> Bool {
        let previous = session.subscriptions.updateValue(subscription, forKey: ByteString(subscription.filter))
        // The new one first, so that no message falls between them.
        shard.router.add(subscription)
        if let previous { shard.router.remove(previous) }
        shard.counters.subscribes.add(1)
        shard.rules.sessionSubscribed(self, session: session, subscription: subscription, properties: properties)
        tellSubscribed(subscription, session: session)
        return previous == nil
    }

    /// The filter that topics are matched with.
    func plainFilter(_ filter: String) -> String {
        SharedFilter(filter)?.filter ?? ExclusiveFilter.inner(filter) ?? filter
    }

    /// The filter as `rewrite` has it, prefixes untouched; nil when what came out is none.
    private func rewritten(_ filter: String, session: Session) -> String? {
        guard shard.rewriter != nil else { return filter }
        let plain = plainFilter(filter)
        switch withBytes(plain, { shard.rewrite(.subscribe, $0, publisher: session.publisher) }) {
        case .unchanged: return filter
        case .refused: return nil
        case .topic(let bytes):
            let prefix = filter.utf8.dropLast(plain.utf8.count)
            let result = String(decoding: Array(prefix) + bytes, as: UTF8.self)
            return result.utf8.count <= 65_535 ? result : nil
        }
    }

    func refusal(of entry: SubscribePacket.Entry, session: Session) -> ReasonCode? {
        let settings = shard.settings
        let shared = SharedFilter(entry.filter)
        let filter = plainFilter(entry.filter)
        if shared != nil, !settings.sharedSubscription { return .sharedSubscriptionsNotSupported }
        if ExclusiveFilter.inner(entry.filter) != nil, !settings.topics.exclusiveSubscription {
            return .topicFilterInvalid
        }
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

    /// The retained messages of a new subscription. [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11] [MQTT3-3.3.1-6]
    func sendRetained(_ subscription: Subscription, isNew: Bool, session: Session) {
        let handling = subscription.options.retainHandling
        guard subscription.shared == nil, handling == 0 || handling == 1 && isNew else { return }
        let now = shard.wall
        withBytes(subscription.topicFilter) { filter in
            // One SUBSCRIBE may ask for all there are; the next has to wait until those are on their way.
            guard session.retainedBacklog.count < shard.settings.queueLimits.messages else {
                shard.counters.droppedQueueFull.add(1)
                return
            }
            shard.node.retained.match(filter, now: now) { message in
                if subscription.options.noLocal, message.traits.publisherID == session.id { return }
                guard shard.mayStillPublish(message) else { return }
                session.retainedBacklog.append(
                    RetainedDelivery(
                        message: message, qos: min(message.traits.qos, subscription.options.qos),
                        identifier: subscription.options.subscriptionIdentifier))
            }
        }
        sendWaiting()
    }

    /// UNSUBSCRIBE: filters are compared byte by byte. [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-4] [MQTT-3.10.4-5]
    /// [MQTT-3.10.4-6] [MQTT-3.11.3-1] [MQTT3-3.10.4-1] [MQTT3-3.10.4-4]
    func handleUnsubscribe(_ packet: UnsubscribePacket) {
        guard let session else { return }
        var reasons: [ReasonCode] = []
        for filter in packet.filters {
            let filter = rewritten(filter, session: session) ?? filter
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
            tellUnsubscribed(subscription, session: session)
        }
        if session.durable != nil { shard.durable?.hold(self) }
        write(.unsuback) {
            UnsubackPacket(packetIdentifier: packet.packetIdentifier, reasons: reasons).encode(to: $0, version: version)
        }
    }
}
