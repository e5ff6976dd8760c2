import Buffers
import MQTTCodec
import Topics

extension Connection {
    /// PUBLISH: checks what the session and node allow, hands the message on, acknowledges. [MQTT-3.3.4-1]
    @inline(__always)
    func handlePublish(_ body: Bytes, flags: UInt8) throws(ProtocolViolation) {
        let packet = try PublishView.parse(body: body, flags: flags, version: version, from: .client)
        guard let session else { return }
        let settings = shard.settings
        if packet.qos.rawValue > settings.maxQoS {
            throw ProtocolViolation(
                .qosNotSupported, clause: "MQTT-3.2.2-11", "QoS \(packet.qos.rawValue) is not offered.")
        }
        if packet.isRetained, !settings.retainAvailable {
            throw ProtocolViolation(.retainNotSupported, clause: "MQTT-3.2.2-14", "Retained messages are not offered.")
        }
        if packet.isPayloadInvalid {
            // Refused, and an alias set all the same: the client goes on using it.
            if packet.topicAlias != 0, packet.topic.count > 0 { try setAlias(packet) }
            try refusePayload(packet)
        } else if packet.topicAlias != 0 {
            try publishByAlias(packet, session: session)
        } else {
            try publish(packet, topic: packet.topic, session: session)
        }
    }

    /// The payload is not the text that it is announced as: says so to who waits for an answer. [MQTT-3.3.2.3.2]
    @inline(never)
    private func refusePayload(_ packet: PublishView) throws(ProtocolViolation) {
        guard packet.qos != .atMostOnce else {
            throw ProtocolViolation(
                .payloadFormatInvalid, clause: "MQTT-3.3.2.3.2", "The payload is announced as UTF-8 and is not.")
        }
        answer(packet, .payloadFormatInvalid)
    }

    /// Remembers the packet's topic under its alias. [MQTT-3.3.2-7]
    private func setAlias(_ packet: PublishView) throws(ProtocolViolation) {
        guard Int(packet.topicAlias) <= shard.settings.maxTopicAlias else {
            throw ProtocolViolation(
                .topicAliasInvalid, clause: "MQTT-3.3.2-9", "Topic Alias \(packet.topicAlias) is beyond the maximum.")
        }
        try packet.validateTopic()
        let previous = inboundAliases.updateValue(Array(packet.topic), forKey: packet.topicAlias)
        inboundAliasBytes += packet.topic.count - (previous?.count ?? 0)
        guard inboundAliasBytes <= Self.maximumAliasBytes else {
            throw ProtocolViolation(
                .quotaExceeded, clause: "MQTT-4.13.1-1",
                "The topics of the aliases take over \(Self.maximumAliasBytes) bytes.")
        }
    }

    @inline(never)
    private func publishByAlias(_ packet: PublishView, session: Session) throws(ProtocolViolation) {
        if packet.topic.count > 0 {
            try setAlias(packet)
            try publish(packet, topic: packet.topic, session: session)
            return
        }
        guard let topic = inboundAliases[packet.topicAlias] else {
            throw ProtocolViolation(
                .protocolError, clause: "MQTT-3.3.2-8", "Topic Alias \(packet.topicAlias) has not been set.")
        }
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: topic.count, alignment: 8)
        defer { copy.deallocate() }
        copy.copyBytes(from: topic)
        try publish(packet, topic: Bytes(copy), session: session)
    }

    @inline(__always)
    private func publish(_ packet: PublishView, topic: Bytes, session: Session) throws(ProtocolViolation) {
        if topic.first == UInt8(ascii: "$") || shard.rewritesPublishes {
            try publishSpecial(packet, topic: topic, session: session)
        } else {
            try publish(packet, topic: topic, authorizing: topic, dueAt: nil, session: session)
        }
    }

    @inline(never)
    private func publishSpecial(
        _ packet: PublishView, topic: Bytes, session: Session
    ) throws(ProtocolViolation) {
        try withSpecialTopic(topic, session: session) { special throws(ProtocolViolation) in
            switch special {
            case .topic(let topic, let authorizing, let dueAt):
                try publish(packet, topic: topic, authorizing: authorizing, dueAt: dueAt, session: session)
            case .refused:
                refuseTopic(packet, topic: topic, session: session)
            }
        }
    }

    /// The topic asks for what can't be done: who waits for an answer is told, the message is counted and gone.
    private func refuseTopic(_ packet: PublishView, topic: Bytes, session: Session) {
        let traits = MessageTraits(
            receivedAt: shard.wall, publisherID: session.id, qos: packet.qos.rawValue, isRetained: packet.isRetained)
        shard.refuseTopic(
            MessageView(
                topic: topic, properties: packet.properties, payload: packet.payload, traits: traits,
                id: shard.nextMessageID(), publisher: session.publisher))
        guard packet.qos != .atMostOnce else { return }
        acknowledge(
            packet.qos == .atLeastOnce ? .puback : .pubrec, packet.packetIdentifier,
            isV5 ? .topicNameInvalid : .success)
    }

    /// - Parameters:
    ///   - authorizing: the topic that the client needs the right for.
    ///   - dueAt: for a delayed message, in milliseconds since 1970.
    @inline(__always)
    private func publish(
        _ packet: PublishView, topic: Bytes, authorizing: Bytes, dueAt: Int64?, session: Session
    ) throws(ProtocolViolation) {
        let shard = shard
        // A topic in the cache has been validated when it came first.
        let hash = topicHash(topic)
        let cached = shard.cachedRoute(topic, hash: hash)
        if cached == nil {
            try packet.validateTopic()
            guard TopicSyntax.levels(topic) <= shard.settings.maxTopicLevels else {
                throw ProtocolViolation(
                    .topicNameInvalid, clause: "MQTT-4.7.3-3",
                    "The topic has over \(shard.settings.maxTopicLevels) levels.")
            }
        }
        if shard.rules.watchesAccess {
            let isPlain = authorizing.baseAddress == topic.baseAddress && authorizing.count == topic.count
            // Zero is no route's number.
            let route = isPlain ? cached.map { $0._withUnsafeGuaranteedRef { $0.number } } ?? 0 : 0
            if !isKnownAllowed(packet, route: route) {
                let authorizingHash = isPlain ? hash : topicHash(authorizing)
                guard
                    try mayPublish(
                        packet, topic: authorizing, hash: authorizingHash, route: route, session: session)
                else { return }
            }
        }
        var message = MessageView(
            topic: topic, properties: packet.properties, payload: packet.payload,
            traits: MessageTraits(
                receivedAt: shard.wall, publisherID: session.id, qos: packet.qos.rawValue,
                isRetained: packet.isRetained,
                isDuplicate: packet.isDuplicate),
            id: shard.nextMessageID(), publisher: session.publisher)
        if packet.qos == .exactlyOnce {
            guard try admitExactlyOnce(packet, message, session: session) else { return }
            if let stored = session.durable { mark(&message, packet, stored) }
        }
        if shard.isStorageRefusing, packet.qos != .atMostOnce,
            refuseStorage(packet, topic: topic, hash: hash, cached: cached, session: session)
        {
            return
        }
        if let interval = packet.messageExpiryInterval {
            message.traits.expiresAt = shard.wall + Int64(interval) * 1000
        } else if shard.settings.messageExpiryInterval != .max {
            message.traits.expiresAt = shard.wall + shard.settings.messageExpiryInterval
        }
        session.statistics.received += 1
        shard.counters.countReceived(qos: packet.qos.rawValue)
        if let dueAt {
            delay(packet, message, until: dueAt, session: session)
            return
        }
        let hadSubscribers: Bool
        if packet.properties.count > 0, PublishView.needsRewriting(packet.properties) {
            let rewritten = shard.takeBuffer()
            PublishView.forwardableProperties(of: packet.properties, to: rewritten)
            message.properties = rewritten.bytes
            hadSubscribers = shard.publish(message, hash: hash, cached: cached, from: self)
            shard.giveBack(rewritten)
        } else {
            hadSubscribers = shard.publish(message, hash: hash, cached: cached, from: self)
        }
        if shard.isStorageTouched, !settleStorage(packet, message, session: session) { return }
        switch packet.qos {
        case .atMostOnce: break
        case .atLeastOnce: acknowledge(.puback, packet.packetIdentifier, hadSubscribers)
        case .exactlyOnce: acknowledge(.pubrec, packet.packetIdentifier, hadSubscribers)
        }
    }

    /// Keeps a message until its time. One for which there is no room is refused to who waits for an answer.
    @inline(never)
    private func delay(_ packet: PublishView, _ message: MessageView, until dueAt: Int64, session: Session) {
        var message = message
        let rewritten = shard.takeBuffer()
        defer { shard.giveBack(rewritten) }
        if packet.properties.count > 0, PublishView.needsRewriting(packet.properties) {
            PublishView.forwardableProperties(of: packet.properties, to: rewritten)
            message.properties = rewritten.bytes
        }
        shard.isStorageTouched = false
        let isKept = shard.delay(message, until: dueAt)
        if shard.isStorageTouched, !settleStorage(packet, message, session: session) { return }
        let reason: ReasonCode = isKept || !isV5 ? .success : .quotaExceeded
        // The exchange ends with an error: the identifier is free again. [MQTT-4.3.3-9]
        if packet.qos == .exactlyOnce, reason.isError { _ = session.awaitingRelease.remove(packet.packetIdentifier) }
        answer(packet, reason)
    }

    @inline(__always)
    private func acknowledge(_ type: PacketType, _ identifier: UInt16, _ hadSubscribers: Bool) {
        acknowledge(type, identifier, hadSubscribers || !isV5 ? .success : .noMatchingSubscribers)
    }

    /// Remembers the packet identifier until PUBREL. [MQTT-4.3.3-10]
    /// - Returns: false when this message has been taken before; it is acknowledged again here.
    private func admitExactlyOnce(
        _ packet: PublishView, _ message: MessageView, session: Session
    ) throws(ProtocolViolation) -> Bool {
        if session.awaitingRelease.contains(packet.packetIdentifier) {
            if session.durable != nil { shard.durable?.holdBehindAll(self) }
            acknowledge(.pubrec, packet.packetIdentifier, true)
            return false
        }
        guard session.awaitingRelease.count < shard.settings.receiveMaximum else {
            if shard.rules.wantsDropped { shard.rules.messageDropped(message, reason: "receive_maximum_exceeded") }
            throw ProtocolViolation(
                .receiveMaximumExceeded, clause: "MQTT-3.3.4-9",
                "More than \(shard.settings.receiveMaximum) QoS 2 messages wait for their PUBREL.")
        }
        session.awaitingRelease.insert(packet.packetIdentifier, now: shard.now)
        if let stored = session.durable { prepareExchange(stored) }
        return true
    }
}
