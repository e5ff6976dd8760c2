import Buffers

/// Messages of shared subscriptions: one member of each group gets them, on this shard, another one, or another node.
extension Shard {
    @inline(never)
    func deliverToGroups(_ message: MessageView, _ shared: inout Message?, route: Route) {
        for group in route.groups { deliverToGroup(message, &shared, group: group, client: client(of: message)) }
    }

    private func client(of message: MessageView) -> Bytes {
        message.publisher?.clientIDValue.bytes ?? Bytes(start: nil, count: 0)
    }

    /// - Parameters:
    ///   - client: the publisher's client identifier.
    ///   - passes: how many nodes have passed it on before.
    ///   - isMail: another shard's or node's message, or that of a session that has gone: no client of this shard waits
    ///     for it.
    func deliverToGroup(
        _ message: MessageView, _ shared: inout Message?, group: GroupSnapshot, client: Bytes, passes: UInt8 = 0,
        isMail: Bool = false
    ) {
        let chooser = SharedChooser(strategy: router.strategy, shard: index, topic: message.topic, client: client)
        switch group.choose(chooser, sticky: &sticky, random: &random) {
        case .member(let member): deliver(message, &shared, to: member, isMail: isMail)
        case .node(let slot): links?.append(message, &shared, group: group.group, passes: passes, to: slot)
        case nil: break
        }
    }

    /// A message of which another node has left the choice to this one.
    /// - Returns: false when there is no member here.
    func deliverToMember(
        _ message: MessageView, _ shared: inout Message?, group: GroupSnapshot, client: Bytes
    ) -> Bool {
        let chooser = SharedChooser(
            strategy: router.strategy, shard: index, topic: message.topic, client: client, isForNode: true)
        guard case .member(let member) = group.choose(chooser, sticky: &sticky, random: &random) else { return false }
        deliver(message, &shared, to: member, isMail: true)
        return true
    }

    private func deliver(
        _ message: MessageView, _ shared: inout Message?, to chosen: Subscription, isMail: Bool
    ) {
        let place = chosen.session.place.shard
        if place == index {
            offerShared(message, &shared, to: chosen)
        } else {
            let kept = shared ?? Message.make(copying: message)
            shared = kept
            if message.traits.qos > 0, chosen.session.isStored {
                if isMail { durable?.relay(to: place) } else { durable?.await(shards: 1 << UInt64(place)) }
            }
            useOutbox(place).append(kept, to: chosen)
        }
    }

    /// A message for a member of a shared group that was chosen on another shard.
    func deliverShared(_ message: Message, to subscription: Subscription) {
        let place = subscription.session.place.shard
        guard place == index || isLeaving(subscription.session) else {
            // It has moved on; the mail follows it.
            if message.traits.qos > 0, subscription.session.isStored { durable?.relay(to: place) }
            useOutbox(place).append(message, to: subscription)
            return
        }
        if subscription.session.attachedShard == index, subscription.session.isTerminated {
            // It has gone for good before the message came.
            redispatch(message, group: subscription.sharedGroup.load(ordering: .relaxed))
            return
        }
        var shared: Message? = message
        offerShared(message.view, &shared, to: subscription)
    }

    /// The member that was chosen has gone for good: another one gets the message. The one that has gone is no member any
    /// more, so this ends. [MQTT5 §4.8.2]
    @inline(never)
    func redispatch(_ message: Message, group number: UInt32) {
        guard let group = router.sharedGroup(number) else {
            counters.messagesDroppedNoSubscribers.add(1)
            if rules.wantsDropped { rules.messageDropped(message.view, reason: "no_subscribers") }
            return
        }
        counters.messagesRedispatched.add(1)
        var shared: Message? = message
        deliverToGroup(message.view, &shared, group: group, client: client(of: message.view), isMail: true)
    }

    private func offerShared(_ message: MessageView, _ shared: inout Message?, to subscription: Subscription) {
        var identifiers = SubscriptionIdentifiers()
        identifiers.add(subscription.options.subscriptionIdentifier)
        identifiers.sharedGroup = subscription.sharedGroup.load(ordering: .relaxed)
        offer(
            message, &shared, qos: settings.grantedQoS(message.traits.qos, subscription.options.qos),
            isRetained: subscription.options.retainAsPublished && message.traits.isRetained, identifiers: identifiers,
            session: subscription.session)
    }
}
