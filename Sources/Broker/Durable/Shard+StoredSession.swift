import Buffers
import DequeModule
import Storage
import Topics

/// A session's way into the store and out of it.
extension Shard {
    /// Gives a session that outlives its connection its place in the store.
    /// - Returns: false when the store takes nothing at the moment.
    func makeDurable(_ session: Session) -> Bool {
        guard let stage = durable, session.durable == nil, session.expiryInterval > 0 else { return true }
        stage.closeOpen()
        let id = stage.store.makeQueueID()
        let name = [StoredTable.sessionQueue] + Array(session.clientID.utf8)
        let record = takeBuffer()
        defer { giveBack(record) }
        SessionRecord(session, leftAt: 0, sentBelow: 0).append(to: record)
        return name.withUnsafeBytes { name in
            do throws(StorageError) {
                let queue = try stage.batch.makeQueue(id: id, name: name, metadata: record.bytes)
                session.durable = DurableSession(queue: queue)
                session.setStored(true)
                router.invalidate(session.subscriptions.values)
                router.advertise(session)
                return true
            } catch {
                stage.refuse(error)
                return false
            }
        }
    }

    /// Writes down who the client is, whether it is there, its will.
    func saveRecord(of session: Session) {
        guard let stage = durable, let stored = session.durable else { return }
        stage.closeOpen()
        let record = takeBuffer()
        defer { giveBack(record) }
        let leftAt = session.connection == nil ? (session.leftAt == 0 ? wall : session.leftAt) : 0
        session.leftAt = leftAt
        SessionRecord(session, leftAt: leftAt, sentBelow: stored.sentBelow).append(to: record)
        do throws(StorageError) { try stage.batch.setMetadata(record.bytes, of: stored.queue) } catch {
            stage.refuse(error)
        }
    }

    /// - Returns: false when the store takes nothing at the moment.
    func save(_ subscription: Subscription, of session: Session) -> Bool {
        guard let stage = durable, let stored = session.durable else { return true }
        stage.closeOpen()
        let key = StoredTable.key(stored.queue, filter: subscription.filter)
        return key.withUnsafeBytes { key in
            do throws(StorageError) {
                try stage.batch.put(key, in: StoredTable.subscriptions) { subscription.options.append(to: $0) }
                return true
            } catch {
                stage.refuse(error)
                return false
            }
        }
    }

    func forget(_ subscription: Subscription, of session: Session) {
        guard let stage = durable, let stored = session.durable else { return }
        stage.closeOpen()
        StoredTable.key(stored.queue, filter: subscription.filter).withUnsafeBytes {
            stage.batch.delete($0, in: StoredTable.subscriptions)
        }
    }

    // MARK: Exchanges

    /// The client has the message: PUBACK, or PUBREC with an error.
    @inline(__always)
    func finishStored(_ position: UInt64, _ stored: DurableSession) {
        if position != InflightEntry.noPosition { durable?.remove(position, from: stored.queue) }
    }

    /// PUBREC: PUBREL follows, also after a restart. The new state first, then the removal.
    func releaseStored(_ identifier: UInt16, _ position: UInt64, _ stored: DurableSession) {
        guard let stage = durable else { return }
        stage.closeOpen()
        stored.releaseOrder += 1
        StoredTable.key(stored.queue, identifier: identifier).withUnsafeBytes { key in
            do throws(StorageError) {
                try stage.batch.putState(key, in: StoredTable.released) {
                    $0.append(littleEndian: stored.releaseOrder)
                }
            } catch {
                stage.refuse(error)
            }
        }
        finishStored(position, stored)
    }

    /// PUBCOMP.
    func completeStored(_ identifier: UInt16, _ stored: DurableSession) {
        guard let stage = durable else { return }
        stage.closeOpen()
        StoredTable.key(stored.queue, identifier: identifier).withUnsafeBytes {
            stage.batch.delete($0, in: StoredTable.released)
        }
    }

    /// PUBREL, or it did not come in time.
    func endExchange(_ identifier: UInt16, _ stored: DurableSession) {
        guard let position = stored.exchanges.removeValue(forKey: identifier), let queue = stored.exchangeQueue else {
            return
        }
        durable?.remove(position, from: queue)
    }

    func removeAbandoned(_ position: UInt64, _ session: Session) {
        if session.attachedShard == index, let stored = session.durable {
            durable?.remove(position, from: stored.queue)
        }
    }

    // MARK: Absence and end

    /// What is in flight is read back when the client returns.
    func storeAbsence(of session: Session, _ stored: DurableSession) {
        stored.sentBelow = max(stored.sentBelow, stored.next)
        let unanswered = session.inflight.takePublished()
        // What was not sent again yet lies behind what was.
        stored.resend = Deque((unanswered + stored.resend).sorted())
        stored.forgetPage()
        saveRecord(of: session)
    }

    func dropStored(_ session: Session) {
        guard let stage = durable, let stored = session.durable else { return }
        stage.closeOpen()
        for subscription in session.subscriptions.values { forget(subscription, of: session) }
        for identifier in session.inflight.releasedIdentifiers { completeStored(identifier, stored) }
        if let queue = stored.exchangeQueue { stage.batch.drop(queue) }
        stage.batch.drop(stored.queue)
        session.durable = nil
        session.setStored(false)
    }

    // MARK: Retained messages

    /// Puts a retained message into the store. Under the lock of the retained messages: the log has their order.
    /// - Returns: false when the store takes nothing at the moment.
    func persistRetained(_ message: Message) -> Bool {
        let view = message.view
        guard let stage = durable, !view.topic.starts(with: "$SYS/".utf8) else { return true }
        stage.closeOpen()
        isStorageTouched = true
        return withExtendedLifetime(message) {
            do throws(StorageError) {
                try stage.batch.put(view.topic, in: StoredTable.retained) { StoredMessageCodec.append(view, to: $0) }
                stage.commit(writesNow: false)
                return true
            } catch {
                stage.refuse(error)
                return false
            }
        }
    }

    /// Under the same lock.
    func persistRetainedRemoval(_ topic: Bytes) {
        guard let stage = durable, !topic.starts(with: "$SYS/".utf8) else { return }
        stage.closeOpen()
        isStorageTouched = true
        stage.batch.delete(topic, in: StoredTable.retained)
        stage.commit(writesNow: false)
    }
}
