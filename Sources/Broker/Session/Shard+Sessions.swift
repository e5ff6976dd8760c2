import Buffers
import HeapModule
import MQTTCodec

/// A session that is being handed to another shard: gone for new look-ups, still here for mail by older routes.
struct Departure {
    var session: Session
    var target: Int
    var epoch: UInt64
    /// Shards that have not yet said that all their older mail is in.
    var awaited: Int
    /// Connections that want the session next, in order; the last one wins.
    var arrival: @Sendable (Shard) -> Void
}

/// A session on its way here: what came for it meanwhile.
struct Arrival {
    /// Counts such sessions up.
    let turn: UInt64
    var messages: [QueuedMessage] = []
}

extension Shard {
    /// Finds or makes the session of a CONNECT, wherever it is, and lets the connection in when it is here.
    func claimSession(for connection: Connection, packet: ConnectPacket) {
        switch node.registry.claim(packet.clientID, shard: self, make: { newSession(packet, connection: connection) }) {
        case .new(let session):
            sessions[ObjectIdentifier(session)] = session
            counters.sessionsCreated.add(1)
            connection.enter(session, isPresent: false)
        case .here(let session):
            takeOver(session, for: connection, packet: packet)
        case .elsewhere(let session, let owner):
            let shard = index
            let user = connection.access?.owner
            nonisolated(unsafe) let connection = connection  // touched on this shard only, where the mail comes back to
            send(to: owner) {
                $0.handOver(session, to: shard, connection: connection, user: user, packet: packet)
            }
        }
    }

    private func newSession(_ packet: ConnectPacket, connection: Connection) -> Session {
        let publisher = Publisher(
            clientID: packet.clientID, username: packet.username, peerHost: connection.endpoints.peerHost,
            peerName: connection.endpoints.peerName)
        return Session(id: nextSessionID(), clientID: packet.clientID, publisher: publisher, shard: index, now: wall)
    }

    /// The session is on this shard: ends its old connection and gives it to the new one. [MQTT-3.1.4-3] [MQTT-3.1.4-4]
    /// [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT3-3.1.2-4] [MQTT3-3.1.2-6] [MQTT3-3.1.4-2] [MQTT3-3.1.4-3]
    private func takeOver(_ session: Session, for connection: Connection, packet: ConnectPacket) {
        guard sessions[ObjectIdentifier(session)] != nil, !isLeaving(session) else {
            // On its way here or away: try again when the mail that moves it has been read.
            retry(connection, packet: packet)
            return
        }
        guard session.belongs(to: connection.access?.owner) else {
            connection.refuseSession(packet)
            return
        }
        endOldConnection(of: session, isDiscarded: packet.cleanStart)
        if session.isTerminated || packet.cleanStart {
            if !session.isTerminated { terminate(session, reason: "discarded") }
            claimSession(for: connection, packet: packet)
            return
        }
        counters.sessionsResumed.add(1)
        connection.enter(session, isPresent: true)
    }

    func isLeaving(_ session: Session) -> Bool { leaving[ObjectIdentifier(session)] != nil }

    private func retry(_ connection: Connection, packet: ConnectPacket) {
        nonisolated(unsafe) let connection = connection  // comes back to this very shard
        execute { shard in
            if connection.phase == .awaitingSession { shard.claimSession(for: connection, packet: packet) }
        }
    }

    private func endOldConnection(of session: Session, isDiscarded: Bool) {
        guard let old = session.connection else { return }
        counters.sessionsTakenOver.add(1)
        old.close(reason: isDiscarded ? "discarded" : "takenover", code: .sessionTakenOver)
    }

    // MARK: Moving between shards

    /// A connection on another shard wants a session that is here.
    ///
    /// The session's routes change first; then every other shard says that its mail by older routes has been posted
    /// (a fence); then the session goes. So each message reaches it exactly once and in order.
    func handOver(
        _ session: Session, to target: Int, connection: Connection, user: String?, packet: ConnectPacket
    ) {
        nonisolated(unsafe) let connection = connection  // belongs to `target`; only passed back there
        guard sessions[ObjectIdentifier(session)] != nil, !session.isTerminated, !isLeaving(session) else {
            send(to: target) { shard in
                if connection.phase == .awaitingSession { shard.claimSession(for: connection, packet: packet) }
            }
            return
        }
        guard session.belongs(to: user) else {
            send(to: target) { _ in connection.refuseSession(packet) }
            return
        }
        endOldConnection(of: session, isDiscarded: packet.cleanStart)
        if session.isTerminated || packet.cleanStart {
            if !session.isTerminated { terminate(session, reason: "discarded") }
            send(to: target) { shard in
                if connection.phase == .awaitingSession { shard.claimSession(for: connection, packet: packet) }
            }
            return
        }
        if let stored = session.durable, stored.pendingExchanges > 0 {
            // What other shards are asked for comes back to this one.
            execute { $0.handOver(session, to: target, connection: connection, user: user, packet: packet) }
            return
        }
        depart(session, to: target) { shard in
            if session.isTerminated {
                if connection.phase == .awaitingSession { shard.claimSession(for: connection, packet: packet) }
            } else if connection.phase == .awaitingSession {
                shard.counters.sessionsResumed.add(1)
                connection.enter(session, isPresent: true)
            } else {
                shard.awaitReturn(of: session)
            }
        }
    }

    private func depart(_ session: Session, to target: Int, arrival: @escaping @Sendable (Shard) -> Void) {
        let epoch = router.move(session, subscriptions: session.subscriptions.values, to: target)
        leaving[ObjectIdentifier(session)] = Departure(
            session: session, target: target, epoch: epoch, awaited: node.shards.count - 1, arrival: arrival)
        let home = index
        for shard in 0..<node.shards.count where shard != index {
            send(to: shard) { $0.send(to: home) { $0.fencePassed(session) } }
        }
    }

    private func fencePassed(_ session: Session) {
        guard var departure = leaving.removeValue(forKey: ObjectIdentifier(session)) else { return }
        departure.awaited -= 1
        guard departure.awaited == 0 else {
            leaving[ObjectIdentifier(session)] = departure
            return
        }
        sessions[ObjectIdentifier(session)] = nil
        // On no shard until it arrives: what the target routes to it in between must queue behind what is parked there.
        session.attach(to: Session.inTransit)
        node.registry.move(session, to: departure.target)
        send(to: departure.target) { [arrival = departure.arrival] in $0.arrive(session, arrival) }
    }

    private func takeParked(for session: Session) -> [QueuedMessage] {
        arriving.removeValue(forKey: ObjectIdentifier(session))?.messages ?? []
    }

    private func arrive(_ session: Session, _ arrival: (Shard) -> Void) {
        session.attach(to: index)
        // An administrator may have ended it on its way.
        guard !session.isTerminated else {
            for message in takeParked(for: session) { passOn(message, of: session) }
            arrival(self)
            return
        }
        sessions[ObjectIdentifier(session)] = session
        for message in takeParked(for: session) {
            if message.qos > 0, let stored = session.durable {
                var shared: Message? = message.message
                withExtendedLifetime(message.message) {
                    offerStored(
                        message.message.view, &shared, qos: message.qos, isRetained: message.isRetained,
                        identifiers: message.identifiers, session: session, durable: stored)
                }
            } else {
                enqueue(message, in: session)
            }
        }
        arrival(self)
    }

    // MARK: Absence and end

    /// The client is gone: ends the session or keeps it for its expiry interval. [MQTT-3.1.2-23] [MQTT-3.1.2-8]
    /// [MQTT-4.1.0-1] [MQTT3-3.1.2-8]
    func clientLeft(_ session: Session) {
        session.connection = nil
        session.setOnline(false)
        router.advertise(session)
        if let will = session.will {
            if will.delay == 0 || session.expiryInterval == 0 {
                publishWill(of: session)
            } else {
                session.willAt = now + Int64(will.delay) * 1000
            }
        }
        if let stored = session.durable, session.expiryInterval > 0 { storeAbsence(of: session, stored) }
        if session.expiryInterval == 0 {
            terminate(session, reason: "normal")
        } else {
            awaitReturn(of: session)
        }
    }

    func awaitReturn(of session: Session) {
        if session.expiryInterval != .max { session.expiresAt = now + Int64(session.expiryInterval) * 1000 }
        scheduleAbsence(session)
    }

    /// For a session that was read from the disk.
    func resumeAbsence(of session: Session) {
        if session.attachedShard == index, session.connection == nil, !session.isTerminated {
            scheduleAbsence(session)
            endAbsences()
        }
    }

    private func scheduleAbsence(_ session: Session) {
        guard let absence = dueAbsence(of: session) else { return }
        absences.insert(absence)
        // Clients that come and go leave entries behind; those of sessions that are absent here are all that count.
        if absences.count > 2 * sessions.count + 1024 {
            absences = Heap(sessions.values.compactMap { $0.connection == nil ? dueAbsence(of: $0) : nil })
        }
    }

    private func dueAbsence(of session: Session) -> Absence? {
        let next = min(session.willAt ?? .max, session.expiresAt)
        return next == .max ? nil : Absence(at: next, session: session)
    }

    func endAbsences() {
        while let absence = absences.min, absence.at <= now {
            absences.removeMin()
            let session = absence.session
            // First whether it is here: elsewhere its properties are another thread's.
            guard session.attachedShard == index, session.connection == nil, !session.isTerminated, !isLeaving(session)
            else {
                continue
            }
            if let willAt = session.willAt, willAt <= now {
                session.willAt = nil
                publishWill(of: session)
            }
            if session.expiresAt <= now { terminate(session, reason: "expired") } else { scheduleAbsence(session) }
        }
    }

    /// Ends a session: its subscriptions, what waited, its name. A delayed will is due now.
    /// [MQTT-4.1.0-2]
    func terminate(_ session: Session, reason: String) {
        guard !session.isTerminated else { return }
        session.isTerminated = true
        counters.sessionsTerminated.add(1)
        for subscription in session.subscriptions.values { router.remove(subscription) }
        passOnWhatIsLeft(of: session)
        if session.durable != nil { dropStored(session) }
        session.subscriptions = [:]
        session.retainedBacklog = []
        sessions[ObjectIdentifier(session)] = nil
        node.registry.remove(session)
        if let will = session.will {
            session.will = nil
            publish(will, of: session)
        }
    }

    /// What a member of a shared group leaves behind goes to another member, in its order: QoS 1 that was not
    /// acknowledged, and what has not been sent. Not QoS 2 under way: the client may have it. [MQTT-4.8.2-5]
    private func passOnWhatIsLeft(of session: Session) {
        if let stored = session.durable {
            if !isDraining { passOnStored(of: session, stored) { passOn($0, of: session) } }
            return
        }
        let unacknowledged = session.inflight.unacknowledged
        session.inflight.removeAll()
        var waiting = session.queue
        session.queue = MessageQueue()
        // When the node stops, all members go.
        guard !isDraining else { return }
        for entry in unacknowledged where entry.qos == 1 {
            guard let message = entry.message else { continue }
            let queued = QueuedMessage(
                message: message, qos: entry.qos, isRetained: entry.isRetained, identifiers: entry.identifiers)
            passOn(queued, of: session)
        }
        waiting.drain { passOn($0, of: session) }
    }

    private func passOn(_ queued: QueuedMessage, of session: Session) {
        guard queued.identifiers.sharedGroup != 0 else { return }
        if queued.message.traits.expiresAt <= wall {
            dropped(queued, session: session, reason: .expired)
        } else {
            redispatch(queued.message, group: queued.identifiers.sharedGroup)
        }
    }

    /// Publishes what the client left; a persistent session's record keeps it until everyone has stored it.
    func publishWill(of session: Session) {
        guard let will = session.will else { return }
        session.will = nil
        publish(will, of: session)
        guard session.durable != nil else { return }
        durable?.whenStored { [unowned self] in
            if session.attachedShard == index, !session.isTerminated { saveRecord(of: session) }
        }
    }

    /// Publishes a will: received now, and its expiry counts from now. [MQTT-3.1.3.2.4]
    func publishNow(_ will: Will) {
        withExtendedLifetime(will.message) {
            var view = will.message.view
            view.id = nextMessageID()
            view.traits.receivedAt = wall
            if let expiry = will.expiry {
                view.traits.expiresAt = wall + Int64(expiry) * 1000
            } else if settings.messageExpiryInterval != .max {
                view.traits.expiresAt = wall + settings.messageExpiryInterval
            }
            publish(Message.make(copying: view))
        }
    }

    /// [MQTT-3.1.2-16] [MQTT-3.1.2-17] [MQTT-3.1.3-10] [MQTT3-3.1.2-16] [MQTT3-3.1.2-17]
    func makeWill(_ will: WillMessage, session: Session) -> Will {
        let message = withBytes(will.topic) { topic in
            will.payload.withUnsafeBytes { payload in
                let properties = OutputBuffer()
                will.properties.appendForwarded(to: properties)
                let traits = MessageTraits(
                    receivedAt: wall, publisherID: session.id, qos: will.qos.rawValue, isRetained: will.retain)
                return Message.make(
                    copying: MessageView(
                        topic: topic, properties: properties.bytes, payload: payload, traits: traits,
                        id: nextMessageID(),
                        publisher: session.publisher))
            }
        }
        return Will(
            message: message, delay: will.properties.willDelayInterval ?? 0,
            expiry: will.properties.messageExpiryInterval)
    }

    /// Reads what a connection had already received, in a turn of its own, then from the network again.
    func resumeReading(_ connection: Connection) {
        nonisolated(unsafe) let connection = connection  // comes back to this very shard
        execute { _ in connection.resumeIfPossible() }
    }
}
