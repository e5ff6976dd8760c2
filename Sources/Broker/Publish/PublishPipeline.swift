import Buffers
import MQTTCodec
import Topics

/// Why a message did not reach a session. Names as EMQX's `delivery.dropped.*`.
enum DropReason {
    case noLocal, queueFull, expired, qos0, tooLarge

    var text: StaticString {
        switch self {
        case .noLocal: "no_local"
        case .queueFull: "queue_full"
        case .expired: "expired"
        case .qos0: "qos0_msg"
        case .tooLarge: "too_large"
        }
    }
}

/// The way of a message: rules → retain → route → sessions here, shards elsewhere.
extension Shard {
    @inline(__always)
    func cachedRoute(_ topic: Bytes, hash: UInt64) -> Unmanaged<Route>? {
        cache.find(topic, hash: hash, router: router)
    }

    /// Publishes a client's message.
    /// - Parameter cached: what ``cachedRoute(_:hash:)`` gave.
    /// - Returns: whether anybody subscribes to the topic.
    @inline(__always)
    func publish(_ message: MessageView, hash: UInt64, cached: Unmanaged<Route>?, from connection: Connection) -> Bool {
        let route = cached ?? Unmanaged.passUnretained(readRoute(message.topic, hash: hash))
        let result = route._withUnsafeGuaranteedRef { route -> Bool in
            if isCongested(route) { pause(connection) }
            return dispatch(message, route: route)
        }
        // Whoever sets off the messages of rules waits for them as for its own.
        if !republished.isEmpty, publishRepublished() { pause(connection) }
        return result
    }

    /// Whether a shard or sink that the route feeds asks its publishers to wait. A shared group may feed any shard.
    @inline(__always)
    private func isCongested(_ route: Route) -> Bool {
        congestedShards != 0 && (congestedShards & route.remoteShards != 0 || !route.groups.isEmpty)
            || route.rules != nil && rules.isCongested
            || route.remoteNodes != 0 && isCongested(nodes: route.remoteNodes)
            || !route.groups.isEmpty && isCongested(nodes: .max)
    }

    @inline(never)
    private func isCongested(nodes: UInt64) -> Bool { links.map { $0.congested & nodes != 0 } ?? false }

    /// Publishes a message of the broker itself: a will, a `$SYS` value, an errand.
    ///
    /// - Parameter isRewritable: whether `rewrite` has a say.
    @discardableResult
    func publish(_ message: Message, isRewritable: Bool = true) -> Bool {
        let hadSubscribers = publishOne(message, isRewritable: isRewritable).hadSubscribers
        if !republished.isEmpty { publishRepublished() }
        return hadSubscribers
    }

    private func publishOne(
        _ message: Message, isRewritable: Bool = true
    ) -> (hadSubscribers: Bool, isCongested: Bool) {
        var message = message
        if rewritesPublishes || message.view.topic.first == UInt8(ascii: "$") {
            guard let prepared = prepared(message, isRewritable: isRewritable) else { return (true, false) }
            message = prepared
        }
        let view = message.view
        let hash = topicHash(view.topic)
        let route = cachedRoute(view.topic, hash: hash) ?? Unmanaged.passUnretained(readRoute(view.topic, hash: hash))
        return route._withUnsafeGuaranteedRef { (dispatch(view, route: $0, message: message), isCongested($0)) }
    }

    /// What rules published meanwhile follows the message that they saw; their hop limit bounds the loop.
    /// - Returns: whether one of the messages went where publishers are asked to wait.
    @discardableResult
    func publishRepublished() -> Bool {
        var position = 0
        var sawCongestion = false
        while position < republished.count {
            if publishOne(republished[position]).isCongested { sawCongestion = true }
            position += 1
        }
        republished.removeAll(keepingCapacity: true)
        return sawCongestion
    }

    @inline(never)
    func readRoute(_ topic: Bytes, hash: UInt64) -> Route {
        let wild = router.wildGeneration.load(ordering: .acquiring)
        let exact = router.exactGeneration(hash)
        let draft = router.route(topic: topic, shard: index)
        let route = Route(draft, number: nextRouteNumber(), rules: rules.runner(for: draft.rules, topic: topic))
        cache.store(route, topic: topic, hash: hash, exact: exact, wild: wild)
        return route
    }

    @inline(__always)
    private func dispatch(_ message: MessageView, route: Route, message shared: Message? = nil) -> Bool {
        var shared = shared
        if !message.traits.bypassesHooks {
            if let runner = route.rules { rules.run(runner, message: message) }
            if message.traits.isRetained { retain(message, &shared) }
        }
        guard route.hasSubscribers else {
            // A rule that consumes has seen the message and stands for a subscriber.
            if let runner = route.rules, runner.consumes, !message.traits.bypassesHooks { return true }
            counters.messagesDroppedNoSubscribers.add(1)
            if rules.wantsDropped { rules.messageDropped(message, reason: "no_subscribers") }
            return false
        }
        deliverHere(message, &shared, route: route, epoch: .max)
        if route.remoteShards != 0 { deliverElsewhere(message, &shared, route: route) }
        if route.remoteNodes != 0 { deliverToNodes(message, route: route) }
        if !route.groups.isEmpty { deliverToGroups(message, &shared, route: route) }
        return true
    }

    // MARK: Other nodes

    @inline(never)
    private func deliverToNodes(_ message: MessageView, route: Route) {
        links?.append(message, to: route.remoteNodes)
    }

    /// A message that was published on another node: for the sessions here, as by a local publish of now.
    func deliverFromNode(_ message: MessageView, route: Route) {
        var shared: Message?
        deliverHere(message, &shared, route: route, epoch: .max)
        if route.remoteShards != 0 { deliverElsewhere(message, &shared, route: route, isMail: true) }
    }

    // MARK: Sessions on this shard

    @inline(__always)
    private func deliverHere(_ message: MessageView, _ shared: inout Message?, route: Route, epoch: UInt64) {
        route.targets.withUnsafeBufferPointer { targets in
            for position in 0..<targets.count {
                deliver(message, &shared, target: targets.baseAddress.unsafelyUnwrapped + position, epoch: epoch)
            }
        }
    }

    @inline(__always)
    private func deliver(
        _ message: MessageView, _ shared: inout Message?, target: UnsafePointer<LocalTarget>, epoch: UInt64
    ) {
        // A message by a route older than the session's move reaches it by the shard that it left.
        guard target.pointee.movedAt <= epoch else { return }
        let session = target.pointee.session
        if target.pointee.noLocal, message.traits.publisherID == session.id {
            let delivery = DeliveryTraits(qos: message.traits.qos, isRetained: message.traits.isRetained)
            dropped(message, as: delivery, session: session, reason: .noLocal)
            return
        }
        offer(
            message, &shared, qos: settings.grantedQoS(message.traits.qos, target.pointee.qos),
            isRetained: target.pointee.retainAsPublished && message.traits.isRetained,
            identifiers: target.pointee.identifiers,
            session: session)
    }

    /// Sends a message to a session's client, or keeps it in the session.
    @inline(__always)
    func offer(
        _ message: MessageView, _ shared: inout Message?, qos: UInt8, isRetained: Bool,
        identifiers: SubscriptionIdentifiers,
        session: Session
    ) {
        guard session.attachedShard == index else {
            park(message, &shared, qos: qos, isRetained: isRetained, identifiers: identifiers, session: session)
            return
        }
        if qos > 0, let stored = session.durable {
            offerStored(
                message, &shared, qos: qos, isRetained: isRetained, identifiers: identifiers, session: session,
                durable: stored)
            return
        }
        if let connection = session.connection, connection.phase == .connected {
            let hasRoom = connection.backlog < connection.highWaterMark
            if qos == 0 {
                // What waits for the buffer goes first; what waits for the window does not hold QoS 0 back.
                if hasRoom, session.queue.unacknowledged == 0 {
                    transmit(
                        message, message: nil, qos: 0, isRetained: isRetained, identifiers: identifiers,
                        session: session,
                        connection: connection)
                    return
                }
            } else if hasRoom, !session.hasWaiting, connection.hasWindow, !session.inflight.hasResends {
                let kept = shared ?? Message.make(copying: message)
                shared = kept
                transmit(
                    message, message: kept, qos: qos, isRetained: isRetained, identifiers: identifiers,
                    session: session,
                    connection: connection)
                return
            }
        }
        keep(message, &shared, qos: qos, isRetained: isRetained, identifiers: identifiers, session: session)
    }

    /// Encodes a message for a client that has room for it.
    /// - Parameter message: the owned form, needed for QoS 1 and 2.
    @inline(__always)
    func transmit(
        _ view: MessageView, message: Message?, qos: UInt8, isRetained: Bool, identifiers: SubscriptionIdentifiers,
        session: Session, connection: Connection
    ) {
        var packetIdentifier: UInt16 = 0
        if qos > 0, let message {
            packetIdentifier = session.inflight.add(message, qos: qos, isRetained: isRetained, identifiers: identifiers)
        }
        let fits = connection.send(
            view, qos: qos, isRetained: isRetained, isDuplicate: false, packetIdentifier: packetIdentifier,
            identifiers: identifiers)
        guard fits else {
            if packetIdentifier != 0 { session.inflight.discard(packetIdentifier) }
            let delivery = DeliveryTraits(qos: qos, isRetained: isRetained, identifier: identifiers.first)
            dropped(view, as: delivery, session: session, reason: .tooLarge)
            return
        }
        session.statistics.delivered += 1
        if rules.wantsDelivered {
            let delivery = DeliveryTraits(qos: qos, isRetained: isRetained, identifier: identifiers.first)
            rules.messageDelivered(view, as: delivery, session: session)
        }
    }

    @inline(never)
    private func keep(
        _ message: MessageView, _ shared: inout Message?, qos: UInt8, isRetained: Bool,
        identifiers: SubscriptionIdentifiers,
        session: Session
    ) {
        guard !session.isTerminated else { return }
        if qos == 0, !settings.queuesQoS0 {
            let delivery = DeliveryTraits(qos: 0, isRetained: isRetained, identifier: identifiers.first)
            dropped(message, as: delivery, session: session, reason: .qos0)
            return
        }
        let kept = shared ?? Message.make(copying: message)
        shared = kept
        enqueue(QueuedMessage(message: kept, qos: qos, isRetained: isRetained, identifiers: identifiers), in: session)
    }

    func enqueue(_ message: QueuedMessage, in session: Session) {
        var message = message
        if let stored = session.durable { message.storedBefore = stored.queue.nextPosition }
        session.statistics.enqueued += 1
        session.queue.append(message)
        while let pushedOut = session.queue.popExcess(settings.queueLimits) {
            dropped(pushedOut, session: session, reason: .queueFull)
        }
    }

    /// The session is on its way here; it finds the message when it arrives.
    @inline(never)
    private func park(
        _ message: MessageView, _ shared: inout Message?, qos: UInt8, isRetained: Bool,
        identifiers: SubscriptionIdentifiers,
        session: Session
    ) {
        let kept = shared ?? Message.make(copying: message)
        shared = kept
        if qos > 0, session.isStored { durable?.awaitArrival() }
        if arriving[ObjectIdentifier(session)] == nil {
            lastArrival += 1
            arriving[ObjectIdentifier(session)] = Arrival(turn: lastArrival)
        }
        arriving[ObjectIdentifier(session)]?.messages.append(
            QueuedMessage(message: kept, qos: qos, isRetained: isRetained, identifiers: identifiers))
    }

    // MARK: Other shards

    /// One mail per shard, however many targets it has there. The mail carries the message; the shard finds its targets.
    @inline(__always)
    private func deliverElsewhere(
        _ message: MessageView, _ shared: inout Message?, route: Route, isMail: Bool = false
    ) {
        var shards = route.remoteShards
        if route.storedShards != 0, message.traits.qos > 0 {
            if isMail { durable?.relay(shards: route.storedShards) } else { durable?.await(shards: route.storedShards) }
        }
        let asReference = message.traits.qos > 0 || message.payload.count >= 4096 || rules.needsPublisher
        while shards != 0 {
            let shard = shards.trailingZeroBitCount
            shards &= shards &- 1
            if asReference {
                let kept = shared ?? Message.make(copying: message)
                shared = kept
                useOutbox(shard).append(kept, epoch: route.epoch)
            } else {
                useOutbox(shard).append(message, epoch: route.epoch)
            }
        }
    }

    /// A message from another shard: for this shard's sessions, and for those that were here when it was routed.
    func receiveMail(_ message: MessageView, message shared: Message?, epoch: UInt64) {
        var shared = shared
        let hash = topicHash(message.topic)
        let route =
            cachedRoute(message.topic, hash: hash) ?? Unmanaged.passUnretained(readRoute(message.topic, hash: hash))
        route._withUnsafeGuaranteedRef { deliverHere(message, &shared, route: $0, epoch: epoch) }
        if !leaving.isEmpty { deliverToLeaving(message, &shared, epoch: epoch) }
    }

    private func deliverToLeaving(_ message: MessageView, _ shared: inout Message?, epoch: UInt64) {
        for departure in leaving.values where epoch < departure.epoch {
            var draft = RouteDraft()
            for subscription in departure.session.subscriptions.values where subscription.shared == nil {
                let matches = withBytes(subscription.topicFilter) {
                    TopicSyntax.matches(filter: $0, topic: message.topic)
                }
                if matches { draft.add(subscription, movedAt: 0) }
            }
            for target in draft.targets {
                withUnsafePointer(to: target) { deliver(message, &shared, target: $0, epoch: epoch) }
            }
        }
    }

    // MARK: Dropped

    func dropped(_ queued: QueuedMessage, session: Session, reason: DropReason) {
        let delivery = DeliveryTraits(
            qos: queued.qos, isRetained: queued.isRetained, identifier: queued.identifiers.first)
        withExtendedLifetime(queued.message) {
            dropped(queued.message.view, as: delivery, session: session, reason: reason)
        }
    }

    @inline(never)
    func dropped(_ message: MessageView, as delivery: DeliveryTraits, session: Session, reason: DropReason) {
        session.statistics.dropped += 1
        counters.countDropped(reason)
        if rules.wantsDeliveryDropped {
            rules.deliveryDropped(message, as: delivery, session: session, reason: reason)
        }
    }
}
