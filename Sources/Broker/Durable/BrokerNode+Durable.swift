import Access
import Buffers
import DequeModule
import Logging
import Storage
import Topics

/// What a node keeps on disk: opened before its shards run, closed when they have ended.
extension BrokerNode {
    /// Opens the store and says what it found.
    /// - Throws: when the directory can't be used.
    func openStore(_ options: StorageOptions) throws(StorageError) -> DurableStore {
        var settings = StoreOptions(directory: options.directory)
        settings.log.durability = options.durability
        settings.log.onEvent = { [logger] in Self.report($0, logger) }
        let (store, report) = try DurableStore.open(settings)
        for finding in report.findings {
            let metadata: Logger.Metadata = [
                "storage.file": "\(finding.file)", "storage.offset": "\(finding.offset)",
                "storage.length": "\(finding.length)", "storage.kind": "\(finding.kind)",
            ]
            if finding.isLoss {
                logger.error("The store is damaged; what was there is lost.", metadata: metadata)
            } else {
                logger.notice("The store was not closed in order; nothing is lost.", metadata: metadata)
            }
        }
        return store
    }

    private static func report(_ event: StorageEvent, _ logger: Logger) {
        switch event {
        case .diskFull(let free):
            logger.error(
                "The disk is full: messages that have to be stored are refused.",
                metadata: ["storage.free": "\(free)"])
        case .diskRoom(let free):
            logger.notice(
                "The disk has room again: messages are stored.", metadata: ["storage.free": "\(free)"])
        case .found(let finding):
            logger.error(
                "The store is damaged; what was there is lost.",
                metadata: [
                    "storage.file": "\(finding.file)", "storage.offset": "\(finding.offset)",
                    "storage.length": "\(finding.length)",
                ])
        case .failed(let error):
            logger.critical(
                "The disk has failed: nothing is stored or acknowledged until the node starts again.",
                metadata: ["error": "\(error)"])
        }
    }

    /// Puts the sessions and retained messages of an earlier life in place. Before the shards' threads run.
    func restore(from store: DurableStore) throws(StorageError) {
        let queues = store.queues()
        var sessions: [UInt64: Session] = [:]
        for queue in queues where queue.name.first == StoredTable.sessionQueue {
            guard let session = try restoreSession(queue, store) else {
                try discard(queue, store)
                continue
            }
            sessions[queue.id] = session
        }
        try restoreExchanges(queues, sessions, store)
        try restoreLedgers(queues, sessions, store)
        for shard in shards { shard.durable?.makeLedger() }
        try restoreSubscriptions(sessions, store)
        try restoreReleased(sessions, store)
        try restoreRetained(store)
        try restoreDelayed(store)
        for session in sessions.values { beginAbsence(of: session) }
        if !sessions.isEmpty || retained.count > 0 {
            logger.notice(
                "Sessions and retained messages are back.",
                metadata: ["sessions": "\(sessions.count)", "retained": "\(retained.count)"])
        }
    }

    private func restoreSession(_ queue: StoredQueue, _ store: DurableStore) throws(StorageError) -> Session? {
        let metadata: [UInt8]
        do throws(StorageError) { metadata = try store.metadata(of: queue) } catch {
            guard case .damaged = error else { throw error }
            return nil
        }
        guard let record = metadata.withUnsafeBytes({ SessionRecord($0) }) else { return nil }
        let clientID = String(decoding: queue.name.dropFirst(), as: UTF8.self)
        let shard = shards[Int(withBytes(clientID) { topicHash($0) } % UInt64(shards.count))]
        let publisher = Publisher(clientID: clientID, username: record.username, peerHost: "", peerName: "")
        let session = Session(
            id: shard.nextSessionID(), clientID: clientID, publisher: publisher, shard: shard.index,
            now: record.createdAt)
        session.username = record.username
        session.owner = record.owner
        if access != nil {
            // As little as is known: rules that came with the client, and superusers' rights, come back with it.
            session.access = ClientAccess(clientID: clientID, username: record.username, owner: record.owner)
        }
        session.isCleanStart = record.isCleanStart
        session.expiryInterval = record.expiryInterval
        session.will = record.will
        // Who was there when the node ended has been away from now on.
        session.leftAt = record.leftAt
        session.formerShard = Int(record.shard)
        guard record.expiryInterval > 0, case .new = registry.claim(clientID, shard: shard, make: { session }) else {
            return nil
        }
        let stored = DurableSession(queue: queue)
        stored.sentBelow = record.leftAt == 0 ? queue.nextPosition : record.sentBelow
        restorePositions(stored, store)
        session.durable = stored
        session.setStored(true)
        shard.sessions[ObjectIdentifier(session)] = session
        return session
    }

    /// Behind the last gap all waits; in front of it lies what was sent and not acknowledged.
    private func restorePositions(_ stored: DurableSession, _ store: DurableStore) {
        var expected: UInt64?
        var beforeGap: [UInt64] = []
        var run: [UInt64] = []
        store.forEachNote(in: stored.queue) { position, _ in
            if let expected, position != expected {
                beforeGap += run
                run = []
            }
            run.append(position)
            expected = position + 1
            return true
        }
        if let expected, expected != stored.queue.nextPosition {
            beforeGap += run
            run = []
        }
        stored.resend = Deque(beforeGap)
        stored.next = run.first ?? stored.queue.nextPosition
        stored.pageEnd = stored.next
        stored.waitingBytes = store.size(of: stored.queue).bytes
    }

    private func restoreExchanges(
        _ queues: [StoredQueue], _ sessions: [UInt64: Session], _ store: DurableStore
    ) throws(StorageError) {
        for queue in queues where queue.name.first == StoredTable.exchangeQueue {
            guard let (owner, _) = StoredTable.split(Array(queue.name.dropFirst())), let session = sessions[owner],
                let stored = session.durable
            else {
                try discard(queue, store)
                continue
            }
            stored.exchangeQueue = queue
            let now = shards[session.attachedShard].now
            store.forEachNote(in: queue) { position, note in
                let identifier = UInt16(truncatingIfNeeded: note)
                if stored.exchanges.updateValue(position, forKey: identifier) == nil {
                    session.awaitingRelease.insert(identifier, now: now)
                }
                return true
            }
        }
    }

    /// What shards had stored of exchanges that their publishers' sessions do not know.
    private func restoreLedgers(
        _ queues: [StoredQueue], _ sessions: [UInt64: Session], _ store: DurableStore
    ) throws(StorageError) {
        let reader = StoreReader(store)
        for queue in queues where queue.name.first == StoredTable.ledger {
            var isNeeded = false
            _ = reader.read(queue, limit: .max) { stored in
                guard let message = StoredMessageCodec.decode(stored.body) else { return true }
                let key = message.traits.exchange
                guard let durable = sessions[key >> 16]?.durable,
                    durable.exchanges[UInt16(truncatingIfNeeded: key)] == nil
                else { return true }
                recovered.add(key, shard: Int(queue.name.last ?? 0), ledger: queue, position: stored.position)
                isNeeded = true
                return true
            }
            if !isNeeded { try discard(queue, store) }
        }
    }

    private func restoreSubscriptions(_ sessions: [UInt64: Session], _ store: DurableStore) throws(StorageError) {
        var orphans: [[UInt8]] = []
        try store.forEach(inTable: StoredTable.subscriptions) { key, value in
            guard let (queue, filter) = StoredTable.split(key), let session = sessions[queue] else {
                orphans.append(key)
                return
            }
            guard let options = value.withUnsafeBytes({ DeliveryOptions(stored: $0) }) else { return }
            let text = String(decoding: filter, as: UTF8.self)
            let subscription = Subscription(session: session, filter: text, options: options)
            guard session.subscriptions.updateValue(subscription, forKey: ByteString(text)) == nil else { return }
            router.add(subscription)
        }
        try discard(orphans, in: StoredTable.subscriptions, store)
    }

    private func restoreReleased(_ sessions: [UInt64: Session], _ store: DurableStore) throws(StorageError) {
        var orphans: [[UInt8]] = []
        var found: [(session: Session, order: UInt64, identifier: UInt16)] = []
        try store.forEach(inTable: StoredTable.released) { key, value in
            guard let (queue, rest) = StoredTable.split(key), let session = sessions[queue], rest.count == 2 else {
                orphans.append(key)
                return
            }
            let identifier = UInt16(rest[rest.startIndex]) | UInt16(rest[rest.startIndex + 1]) << 8
            let order = value.withUnsafeBytes { bytes -> UInt64 in
                var reader = StoredReader(bytes)
                return reader.integer(UInt64.self)
            }
            found.append((session, order, identifier))
        }
        for (session, order, identifier) in found.sorted(by: { $0.order < $1.order }) {
            session.inflight.add(
                nil, qos: 2, isRetained: false, identifiers: SubscriptionIdentifiers(), identifier: identifier,
                position: InflightEntry.noPosition)
            if let stored = session.durable { dropReleasedCopy(identifier, stored, store) }
            session.durable?.releaseOrder = order
        }
        for session in sessions.values { session.inflight.beginResend() }
        try discard(orphans, in: StoredTable.released, store)
    }

    /// The release was written, the removal of its message was not any more.
    private func dropReleasedCopy(_ identifier: UInt16, _ stored: DurableSession, _ store: DurableStore) {
        var copy: UInt64?
        let last = stored.sentBelow
        store.forEachNote(in: stored.queue) { position, note in
            guard position < last else { return false }
            if DurableSession.packetIdentifier(position) == identifier, StoredNote(rawValue: note).qos == 2 {
                copy = position
                return false
            }
            return true
        }
        guard let copy else { return }
        stored.resend.removeAll { $0 == copy }
        stored.abandoned.append(copy)
        if stored.next == copy { stored.advance(behind: copy) }
    }

    private func restoreRetained(_ store: DurableStore) throws(StorageError) {
        let now = shards.first?.wall ?? 0
        var expired: [[UInt8]] = []
        try store.forEach(inTable: StoredTable.retained) { topic, value in
            value.withUnsafeBytes { bytes in
                guard let decoded = StoredMessageCodec.decode(bytes) else { return }
                if decoded.traits.expiresAt <= now {
                    expired.append(topic)
                } else {
                    _ = retained.restore(decoded.makeMessage())
                }
            }
        }
        try discard(expired, in: StoredTable.retained, store)
    }

    private func discard(_ queue: StoredQueue, _ store: DurableStore) throws(StorageError) {
        let batch = store.makeBatch()
        batch.drop(queue)
        try store.commit(batch)
    }

    private func discard(_ keys: [[UInt8]], in table: UInt32, _ store: DurableStore) throws(StorageError) {
        guard !keys.isEmpty else { return }
        let batch = store.makeBatch()
        for key in keys { key.withUnsafeBytes { batch.delete($0, in: table) } }
        try store.commit(batch)
    }

    /// Has the shard count the absence, from when the client left. The clock may have jumped meanwhile: never longer than
    /// the whole interval, and never shorter than it should be because of a client that was there.
    private func beginAbsence(of session: Session) {
        let shard = shards[session.attachedShard]
        let left = session.leftAt == 0 ? shard.wall : min(session.leftAt, shard.wall)
        let away = shard.wall - left
        if session.expiryInterval != .max {
            session.expiresAt = shard.now + max(0, Int64(session.expiryInterval) * 1000 - away)
        }
        if let will = session.will { session.willAt = shard.now + max(0, Int64(will.delay) * 1000 - away) }
        shard.execute { shard in
            for position in session.durable?.abandoned ?? [] { shard.removeAbandoned(position, session) }
            session.durable?.abandoned = []
            shard.saveRecord(of: session)
            shard.resumeAbsence(of: session)
        }
    }
}
