import Buffers
import Logging
import Storage
import Topics

/// Messages of persistent sessions: into the log first, then to the client; what waits is read back in pages.
extension Shard {
    /// A QoS 1 or 2 message for a persistent session that is here.
    @inline(never)
    func offerStored(
        _ message: MessageView, _ shared: inout Message?, qos: UInt8, isRetained: Bool,
        identifiers: SubscriptionIdentifiers, session: Session, durable: DurableSession
    ) {
        guard let stage = self.durable, !session.isTerminated else { return }
        if message.traits.exchange != 0, node.recovered.contains(message.traits.exchange, for: session) { return }
        let waited = session.hasWaiting || session.inflight.hasResends
        guard
            let position = stage.append(
                message, qos: qos, isRetained: isRetained, identifiers: identifiers, session: session, durable: durable)
        else { return }
        if !waited, let connection = session.connection, connection.phase == .connected,
            connection.backlog < connection.highWaterMark, connection.hasWindow,
            session.inflight.canAdd(DurableSession.packetIdentifier(position))
        {
            let kept = shared ?? Message.make(copying: message)
            shared = kept
            durable.advance(behind: position)
            stage.hold(connection)
            let item = DurableSession.Paged(
                position: position, message: kept, qos: qos, isRetained: isRetained, identifiers: identifiers)
            transmitStored(item, session: session, durable: durable, connection: connection)
            return
        }
        keepStored(message, &shared, position, qos, isRetained, identifiers, session, durable)
    }

    private func keepStored(
        _ message: MessageView, _ shared: inout Message?, _ position: UInt64, _ qos: UInt8, _ isRetained: Bool,
        _ identifiers: SubscriptionIdentifiers, _ session: Session, _ durable: DurableSession
    ) {
        session.statistics.enqueued += 1
        // What a client that is there will get in a moment need not be read back.
        if session.connection != nil, durable.pageEnd == position,
            durable.page.count < DurableSession.pageMessages, message.payload.count < 4096
        {
            let kept = shared ?? Message.make(copying: message)
            shared = kept
            durable.page.append(
                DurableSession.Paged(
                    position: position, message: kept, qos: qos, isRetained: isRetained, identifiers: identifiers))
            durable.pageEnd = position + 1
        }
        durable.waitingBytes += message.topic.count + message.properties.count + message.payload.count + 96
        keepWithinLimits(session, durable)
    }

    /// QoS 0 goes first, then the oldest.
    private func keepWithinLimits(_ session: Session, _ durable: DurableSession) {
        let limits = settings.queueLimits
        while durable.waiting + session.queue.count > limits.messages
            || durable.waitingBytes + session.queue.bytes > limits.bytes
        {
            if let queued = session.queue.popFirstUnacknowledged() {
                dropped(queued, session: session, reason: .queueFull)
                continue
            }
            guard durable.waiting > 0, let stage = self.durable else { return }
            if durable.waitingBytes > limits.bytes {
                // Only ever an upper bound; the store knows.
                let bytes = stage.store.size(of: durable.queue).bytes
                if bytes < durable.waitingBytes { durable.waitingBytes = bytes }
                if durable.waiting <= limits.messages, durable.waitingBytes <= limits.bytes { return }
            }
            dropOldest(session, durable, stage)
        }
    }

    private func dropOldest(_ session: Session, _ durable: DurableSession, _ stage: DurableStage) {
        let position = durable.next
        let average = durable.waitingBytes / max(1, durable.waiting)
        if rules.wantsDeliveryDropped, durable.page.isEmpty { _ = loadPage(session, durable, stage) }
        let first = durable.page.first.flatMap { $0.position == position ? $0 : nil }
        stage.remove(position, from: durable.queue)
        durable.advance(behind: position)
        if session.connection == nil { durable.forgetPage() }
        durable.waitingBytes = max(0, durable.waitingBytes - average)
        guard let first else {
            session.statistics.dropped += 1
            counters.countDropped(.queueFull)
            return
        }
        let queued = QueuedMessage(
            message: first.message, qos: first.qos, isRetained: first.isRetained, identifiers: first.identifiers)
        dropped(queued, session: session, reason: .queueFull)
    }

    // MARK: Sending

    /// Sends what waits while there is room in the client's window and buffer: what an earlier connection did not
    /// acknowledge, in its order, then the rest. [MQTT-4.4.0-1]
    func sendStored(_ session: Session, _ durable: DurableSession, _ connection: Connection) {
        guard let stage = self.durable else { return }
        while connection.backlog < connection.highWaterMark {
            let hasWindow = connection.hasWindow
            if !durable.resend.isEmpty {
                guard hasWindow else { break }
                guard resendNext(session, durable, stage, connection) else { return }
                continue
            }
            if sendUnstored(session, durable, stage, connection, hasWindow: hasWindow) { continue }
            guard hasWindow, durable.waiting > 0 else { break }
            if durable.page.isEmpty {
                switch loadPage(session, durable, stage) {
                case .loaded: break
                case .nothing: continue
                case .later:
                    stage.retry(connection)
                    return
                }
            }
            guard let item = durable.page.first,
                session.inflight.canAdd(DurableSession.packetIdentifier(item.position))
            else { break }
            durable.advance(behind: item.position)
            stage.requireCommitted()
            stage.hold(connection)
            transmitStored(item, session: session, durable: durable, connection: connection)
        }
        // QoS 0 does not wait for the window. [MQTT-3.3.4-10]
        while connection.backlog < connection.highWaterMark, !connection.hasWindow,
            let queued = session.queue.popFirstUnacknowledged()
        {
            transmitUnstored(queued, session: session, connection: connection)
        }
    }

    /// Retained messages for new subscriptions and QoS 0 that came before what is stored next.
    /// - Returns: whether there was one to send.
    private func sendUnstored(
        _ session: Session, _ durable: DurableSession, _ stage: DurableStage, _ connection: Connection,
        hasWindow: Bool
    ) -> Bool {
        if let retained = session.retainedBacklog.first, retained.qos == 0 || hasWindow && durable.waiting == 0 {
            session.retainedBacklog.removeFirst()
            var identifiers = SubscriptionIdentifiers()
            identifiers.add(retained.identifier)
            if retained.qos == 0 {
                let queued = QueuedMessage(
                    message: retained.message, qos: 0, isRetained: true, identifiers: identifiers)
                transmitUnstored(queued, session: session, connection: connection)
            } else {
                var shared: Message? = retained.message
                withExtendedLifetime(retained.message) {
                    offerStored(
                        retained.message.view, &shared, qos: retained.qos, isRetained: true, identifiers: identifiers,
                        session: session, durable: durable)
                }
            }
            return true
        }
        guard let first = session.queue.firstUnacknowledged,
            first.storedBefore <= durable.next || durable.waiting == 0 || !hasWindow
        else { return false }
        guard let queued = session.queue.popFirstUnacknowledged() else { return false }
        transmitUnstored(queued, session: session, connection: connection)
        return true
    }

    private func transmitUnstored(_ queued: QueuedMessage, session: Session, connection: Connection) {
        guard queued.message.traits.expiresAt > wall else {
            dropped(queued, session: session, reason: .expired)
            return
        }
        withExtendedLifetime(queued.message) {
            transmit(
                queued.message.view, message: queued.message, qos: queued.qos, isRetained: queued.isRetained,
                identifiers: queued.identifiers, session: session, connection: connection)
        }
    }

    /// Sends a message whose position has been passed already.
    private func transmitStored(
        _ item: DurableSession.Paged, session: Session, durable: DurableSession, connection: Connection,
        isAgain: Bool = false
    ) {
        let delivery = DeliveryTraits(qos: item.qos, isRetained: item.isRetained, identifier: item.identifiers.first)
        let view = item.message.view
        defer { withExtendedLifetime(item.message) {} }
        // What was sent once is not given up any more. [MQTT-4.3.3-7]
        guard view.traits.expiresAt > wall || isAgain else {
            self.durable?.remove(item.position, from: durable.queue)
            dropped(view, as: delivery, session: session, reason: .expired)
            return
        }
        let identifier = DurableSession.packetIdentifier(item.position)
        session.inflight.add(
            item.message, qos: item.qos, isRetained: item.isRetained, identifiers: item.identifiers,
            identifier: identifier, position: item.position)
        let fits = connection.send(
            view, qos: item.qos, isRetained: item.isRetained, isDuplicate: item.position < durable.sentBelow,
            packetIdentifier: identifier, identifiers: item.identifiers)
        guard fits else {
            session.inflight.discard(identifier)
            self.durable?.remove(item.position, from: durable.queue)
            dropped(view, as: delivery, session: session, reason: .tooLarge)
            return
        }
        session.statistics.delivered += 1
        if rules.wantsDelivered { rules.messageDelivered(view, as: delivery, session: session) }
    }

    // MARK: Reading back

    private enum Loading { case loaded, nothing, later }

    /// - Returns: false when it has to be tried again later.
    private func resendNext(
        _ session: Session, _ durable: DurableSession, _ stage: DurableStage, _ connection: Connection
    ) -> Bool {
        guard let position = durable.resend.first else { return true }
        if !session.inflight.canAdd(DurableSession.packetIdentifier(position)) { return false }
        var found: DurableSession.Paged?
        stage.settle()
        let outcome = stage.reader.read(durable.queue, from: position, limit: 1) { stored in
            if stored.position == position { found = makePaged(stored, session) }
            return false
        }
        switch outcome {
        case .pending, .failed:
            stage.retry(connection)
            return false
        case .damaged(let at) where at == position: lose(at, session, durable, stage)
        case .damaged, .end, .more: break
        }
        durable.resend.removeFirst()
        if let found {
            stage.requireCommitted()
            stage.hold(connection)
            transmitStored(found, session: session, durable: durable, connection: connection, isAgain: true)
        }
        return true
    }

    private func loadPage(_ session: Session, _ durable: DurableSession, _ stage: DurableStage) -> Loading {
        stage.settle()
        var bytes = 0
        let outcome = stage.reader.read(durable.queue, from: durable.next, limit: DurableSession.pageMessages) {
            stored in
            guard let paged = makePaged(stored, session) else {
                lose(stored.position, session, durable, stage)
                return true
            }
            durable.page.append(paged)
            durable.pageEnd = stored.position + 1
            bytes += stored.body.count
            return bytes < DurableSession.pageBytes
        }
        guard durable.page.isEmpty else { return .loaded }
        switch outcome {
        case .pending, .failed: return .later
        case .damaged(let position):
            lose(position, session, durable, stage)
            durable.advance(behind: position)
            return .nothing
        case .end, .more:
            // Nothing is there any more.
            durable.next = durable.queue.nextPosition
            durable.pageEnd = durable.next
            return .nothing
        }
    }

    private func makePaged(_ stored: StoredMessage, _ session: Session) -> DurableSession.Paged? {
        guard let decoded = StoredMessageCodec.decode(stored.body) else { return nil }
        let note = StoredNote(rawValue: stored.note)
        var identifiers = SubscriptionIdentifiers()
        if let target = decoded.target {
            for identifier in target.identifiers { identifiers.add(identifier) }
            if !target.sharedFilter.isEmpty {
                let key = ByteString(String(decoding: target.sharedFilter, as: UTF8.self))
                identifiers.sharedGroup = session.subscriptions[key]?.sharedGroup.load(ordering: .relaxed) ?? 0
            }
        } else {
            identifiers.add(note.identifier)
        }
        let message = rules.needsPublisher ? decoded.makeMessage() : Message.make(copying: decoded.view)
        return DurableSession.Paged(
            position: stored.position, message: message, qos: note.qos, isRetained: note.isRetained,
            identifiers: identifiers)
    }

    private func lose(_ position: UInt64, _ session: Session, _ durable: DurableSession, _ stage: DurableStage) {
        stage.remove(position, from: durable.queue)
        session.statistics.dropped += 1
        counters.storageLost.add(1)
        lines.log(
            .error, "A stored message is damaged and lost.",
            metadata: ["client.id": "\(session.clientID.escaped)", "queue.position": "\(position)"])
    }

    /// What a member of a shared group leaves behind, oldest first. [MQTT-4.8.2-5]
    func passOnStored(of session: Session, _ durable: DurableSession, _ body: (QueuedMessage) -> Void) {
        guard let stage = self.durable else { return }
        var extended: [UInt64] = []
        stage.settle()
        stage.store.forEachNote(in: durable.queue) { position, note in
            if StoredNote(rawValue: note).isExtended { extended.append(position) }
            return true
        }
        guard !extended.isEmpty else { return }
        do throws(StorageError) { try stage.store.log.waitForWriter() } catch { return }
        for position in extended {
            // QoS 2 under way: the client may have it.
            _ = stage.reader.read(durable.queue, from: position, limit: 1) { stored in
                guard stored.position == position, let paged = makePaged(stored, session),
                    paged.qos == 1 || position >= durable.next
                else { return false }
                body(
                    QueuedMessage(
                        message: paged.message, qos: paged.qos, isRetained: paged.isRetained,
                        identifiers: paged.identifiers))
                return false
            }
        }
    }
}
