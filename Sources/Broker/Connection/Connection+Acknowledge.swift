import Buffers
import MQTTCodec

extension Connection {
    /// PUBACK, PUBREC, PUBREL, PUBCOMP: moves the exchange on and sends what had to wait for room in the window.
    @inline(__always)
    func handleAcknowledgement(_ body: Bytes, header: FrameHeader) throws(ProtocolViolation) {
        let ack = try AckView.parse(body: body, type: header.type, version: version)
        guard let session else { return }
        switch header.type {
        case .puback:
            if let entry = session.inflight.finish(ack.packetIdentifier, phase: .published, qos: 1) {
                if let stored = session.durable { shard.finishStored(entry.position, stored) }
                delivered(entry, ack, session: session)
            } else if session.durable != nil {
                acknowledgeUnsent(ack.packetIdentifier, session: session)
            }
        case .pubrec: handlePubrec(ack, session: session)
        case .pubrel: handlePubrel(ack, session: session)
        default:
            if session.inflight.finish(ack.packetIdentifier, phase: .released, qos: 2) != nil {
                if let stored = session.durable { shard.completeStored(ack.packetIdentifier, stored) }
                sendWaiting()
            }
        }
    }

    @inline(__always)
    private func delivered(_ entry: InflightEntry, _ ack: AckView, session: Session) {
        shard.counters.messagesAcked.add(1)
        if shard.rules.wantsAcked { reportAcked(entry, ack, session: session) }
        sendWaiting()
    }

    @inline(never)
    private func reportAcked(_ entry: InflightEntry, _ ack: AckView, session: Session) {
        guard let message = entry.message else { return }
        shard.rules.messageAcked(message, as: entry.delivery, properties: ack.properties, session: session)
    }

    /// [MQTT-4.3.3-4] [MQTT-4.4.0-2] [MQTT-4.3.3-6]
    private func handlePubrec(_ ack: AckView, session: Session) {
        if ack.reasonCode.isError {
            let refused = session.inflight.finish(ack.packetIdentifier, phase: .published, qos: 2)
            if let refused, let stored = session.durable { shard.finishStored(refused.position, stored) }
            sendWaiting()
            return
        }
        let known = session.inflight.release(ack.packetIdentifier)
        if let stored = session.durable, let known, known.phase == .published {
            shard.releaseStored(ack.packetIdentifier, known.position, stored)
            shard.durable?.hold(self)
        }
        if let known, known.phase == .published {
            shard.counters.messagesAcked.add(1)
            if shard.rules.wantsAcked { reportAcked(known, ack, session: session) }
        }
        let reason: ReasonCode = known != nil || !isV5 ? .success : .packetIdentifierNotFound
        acknowledge(.pubrel, ack.packetIdentifier, reason)
    }

    /// The client has a message of an earlier connection that this one was not sent yet.
    @inline(never)
    private func acknowledgeUnsent(_ identifier: UInt16, session: Session) {
        guard let stored = session.durable,
            let index = stored.resend.firstIndex(where: { DurableSession.packetIdentifier($0) == identifier })
        else { return }
        shard.finishStored(stored.resend.remove(at: index), stored)
    }

    /// [MQTT-4.3.3-11] [MQTT-4.3.3-12]
    private func handlePubrel(_ ack: AckView, session: Session) {
        let isKnown = session.awaitingRelease.remove(ack.packetIdentifier)
        if isKnown, let stored = session.durable {
            // The identifier is free once PUBCOMP leaves: not before that is written down.
            shard.endExchange(ack.packetIdentifier, stored)
            shard.durable?.hold(self)
        }
        let reason: ReasonCode = isKnown || !isV5 ? .success : .packetIdentifierNotFound
        acknowledge(.pubcomp, ack.packetIdentifier, reason)
    }

    // MARK: Sending

    /// Writes a PUBACK, PUBREC, PUBREL or PUBCOMP.
    @inline(__always)
    func acknowledge(_ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode) {
        write(type) { AckEncoder.append(type, packetIdentifier: identifier, reason: reason, version: version, to: $0) }
    }

    /// Answers a PUBLISH that went another way than usual: a PUBACK or PUBREC, nothing for QoS 0.
    @inline(never)
    func answer(_ packet: PublishView, _ reason: ReasonCode) {
        switch packet.qos {
        case .atMostOnce: break
        case .atLeastOnce: acknowledge(.puback, packet.packetIdentifier, reason)
        case .exactlyOnce: acknowledge(.pubrec, packet.packetIdentifier, reason)
        }
    }

    /// Whether one more QoS 1 or 2 message may be in flight. [MQTT-3.3.4-9] [MQTT-4.9.0-1] [MQTT-4.9.0-2]
    @inline(__always)
    var hasWindow: Bool { session.map { $0.inflight.outstanding < receiveMaximum } ?? false }

    /// Encodes one message for this client.
    /// - Returns: false when it is larger than the client takes. [MQTT-3.1.2-24]
    @inline(__always)
    func send(
        _ message: MessageView, qos: UInt8, isRetained: Bool, isDuplicate: Bool, packetIdentifier: UInt16,
        identifiers: SubscriptionIdentifiers
    ) -> Bool {
        if outboundAliasMaximum != 0, OutboundAliases.isWorthwhile(message.topic) {
            return sendAliased(
                message, qos: qos, isRetained: isRetained, isDuplicate: isDuplicate, packetIdentifier: packetIdentifier,
                identifiers: identifiers)
        }
        let encoder = PublishEncoder(
            topic: message.topic, payload: message.payload, qos: QoS(rawValue: qos) ?? .atMostOnce,
            isDuplicate: isDuplicate, isRetained: isRetained, packetIdentifier: packetIdentifier, version: version,
            forwardedProperties: message.properties,
            messageExpiryInterval: message.traits.remainingExpiry(now: shard.wall),
            subscriptionIdentifier: identifiers.first, otherSubscriptionIdentifiers: identifiers.others)
        if maximumPacketSize != .max, encoder.size > maximumPacketSize { return false }
        write(.publish) { encoder.append(to: $0) }
        shard.counters.countSent(qos: qos)
        return true
    }

    /// As ``send(_:qos:isRetained:isDuplicate:packetIdentifier:identifiers:)``, with an alias in the topic's place once the
    /// client knows it. Apart, so that clients that want none do not pay for it. [MQTT-3.3.2-10]
    @inline(never)
    private func sendAliased(
        _ message: MessageView, qos: UInt8, isRetained: Bool, isDuplicate: Bool, packetIdentifier: UInt16,
        identifiers: SubscriptionIdentifiers
    ) -> Bool {
        let aliases = outboundAliases ?? OutboundAliases(limit: outboundAliasMaximum)
        outboundAliases = aliases
        let hash = topicHash(message.topic)
        let known = aliases.find(message.topic, hash: hash)
        let alias = known != 0 ? known : aliases.next
        let encoder = PublishEncoder(
            topic: known != 0 ? Bytes(start: nil, count: 0) : message.topic, payload: message.payload,
            qos: QoS(rawValue: qos) ?? .atMostOnce, isDuplicate: isDuplicate, isRetained: isRetained,
            packetIdentifier: packetIdentifier, version: version, forwardedProperties: message.properties,
            messageExpiryInterval: message.traits.remainingExpiry(now: shard.wall),
            subscriptionIdentifier: identifiers.first, otherSubscriptionIdentifiers: identifiers.others,
            topicAlias: alias)
        if maximumPacketSize != .max, encoder.size > maximumPacketSize { return false }
        write(.publish) { encoder.append(to: $0) }
        if known == 0, alias != 0 { aliases.add(message.topic, hash: hash) }
        shard.counters.countSent(qos: qos)
        return true
    }

    /// What a resumed session sends first: the unacknowledged in their order, then what waited. [MQTT-4.4.0-1]
    func resume(_ session: Session) {
        session.inflight.beginResend()
        sendWaiting()
    }

    /// Sends what waits while there is room in the client's window and buffer.
    func sendWaiting() {
        guard let session, phase == .connected else { return }
        if session.inflight.hasResends { resend(session) }
        guard session.hasWaiting else { return }
        if let stored = session.durable {
            shard.sendStored(session, stored, self)
            return
        }
        while backlog < highWaterMark, let next = session.nextWaiting(hasWindow: hasWindow) {
            if next.message.traits.expiresAt <= shard.wall {
                shard.dropped(next, session: session, reason: .expired)
                continue
            }
            shard.transmit(
                next.message.view, message: next.message, qos: next.qos, isRetained: next.isRetained,
                identifiers: next.identifiers, session: session, connection: self)
        }
    }

    private func resend(_ session: Session) {
        while backlog < highWaterMark, let entry = session.inflight.nextResend(limit: receiveMaximum) {
            sendAgain(entry, session: session)
        }
    }

    /// With DUP and the identifier that it had. [MQTT-3.3.1-1] [MQTT3-3.3.1-1]
    private func sendAgain(_ entry: InflightEntry, session: Session) {
        guard let message = entry.message else {
            acknowledge(.pubrel, entry.packetIdentifier, .success)
            return
        }
        let fits = send(
            message.view, qos: entry.qos, isRetained: entry.isRetained, isDuplicate: true,
            packetIdentifier: entry.packetIdentifier, identifiers: entry.identifiers)
        if !fits {
            session.inflight.discard(entry.packetIdentifier)
            shard.dropped(message.view, as: entry.delivery, session: session, reason: .tooLarge)
        } else if shard.rules.wantsDelivered {
            shard.rules.messageDelivered(message.view, as: entry.delivery, session: session)
        }
    }

    /// Once in each `mqtt.retry_interval`: sends again what was unacknowledged at the last call already, in order. For
    /// clients before version 5, which forbids it. [MQTT-4.4.0-1]
    func retryUnacknowledged() {
        guard let session, phase == .connected, !isV5, !session.inflight.hasResends else { return }
        let last = retryMark
        retryMark = session.inflight.lastSequence
        guard last > 0, session.inflight.count > 0 else { return }
        for entry in session.inflight.outstanding(upTo: last) {
            guard backlog < highWaterMark else { return }
            sendAgain(entry, session: session)
        }
    }

    /// The connection has ended: the session stays for its time or goes with it.
    func leaveSession(reason: String) {
        guard let session, session.connection === self else { return }
        shard.counters.disconnected.add(1)
        shard.rules.clientDisconnected(self, session: session, reason: reason)
        tellDisconnected(session, reason: reason)
        self.session = nil
        shard.clientLeft(session)
        shard.detectFlapping(session.clientID)
    }
}

extension InflightEntry {
    fileprivate var delivery: DeliveryTraits {
        DeliveryTraits(qos: qos, isRetained: isRetained, identifier: identifiers.first)
    }
}

extension Session {
    /// The next message to send: retained ones for new subscriptions first, then the queue.
    fileprivate func nextWaiting(hasWindow: Bool) -> QueuedMessage? {
        if let retained = retainedBacklog.first, retained.qos == 0 || hasWindow {
            retainedBacklog.removeFirst()
            var identifiers = SubscriptionIdentifiers()
            identifiers.add(retained.identifier)
            return QueuedMessage(
                message: retained.message, qos: retained.qos, isRetained: true, identifiers: identifiers)
        }
        // A full window holds back nothing but what needs a place in it. [MQTT-3.3.4-10]
        guard hasWindow else { return queue.popFirstUnacknowledged() }
        return queue.popFirst()
    }
}
