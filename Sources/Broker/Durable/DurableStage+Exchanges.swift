import Buffers
import Storage

/// The exchanges of QoS 2 messages that clients send: known again after a crash, on all shards. [MQTT-4.3.3-10]
extension DurableStage {
    /// Remembers a client's QoS 2 message until its PUBREL: in the record of the message itself where it has one, so that
    /// either both are there after a crash or neither.
    /// - Returns: false when it could not be stored.
    func append(exchange identifier: UInt16, of view: MessageView?, session: Session, durable: DurableSession) -> Bool {
        shard.isStorageTouched = true
        if view != nil, awaited != 0 || hasParked {
            // The others first: what they have not stored must be taken again when it is sent again.
            durable.pendingExchanges += 1
            exchanges.append(
                PendingExchange(
                    session: session, durable: durable, identifier: identifier,
                    key: RecoveredExchanges.key(durable.queue, identifier)))
            return true
        }
        do throws(StorageError) {
            let queue = try exchangeQueue(of: durable)
            if let view, open == view.id {
                durable.exchanges[identifier] = batch.addTarget(queue, note: UInt32(identifier))
            } else {
                closeOpen()
                try batch.beginMessage { $0.append(StoredMessageCodec.version) }
                durable.exchanges[identifier] = batch.addTarget(queue, note: UInt32(identifier))
                batch.endMessage()
            }
            if view != nil { forget([RecoveredExchanges.key(durable.queue, identifier)]) }
            return true
        } catch {
            refuse(error)
            return false
        }
    }

    /// The shard's ledger, for the node's start. Without one, for want of room, a crash may double a QoS 2 message.
    func makeLedger() {
        let name = [StoredTable.ledger, UInt8(clamping: shard.index)]
        name.withUnsafeBytes { name in
            do throws(StorageError) {
                ledger = try batch.makeQueue(
                    id: store.makeQueueID(), name: name, metadata: Bytes(start: nil, count: 0))
            } catch { refuse(error) }
        }
    }

    /// For the record that is open: what this shard has stored of an exchange, until its publisher's session knows of it.
    @inline(__always)
    func enterLedger(_ view: MessageView) {
        guard view.traits.exchange != 0, let ledger else { return }
        ledgerPositions[view.traits.exchange, default: []].append(batch.addTarget(ledger, note: 0))
    }

    /// Their publishers' sessions know of these exchanges now.
    func forget(_ exchanges: [UInt64]) {
        for exchange in exchanges {
            if let ledger {
                for position in ledgerPositions.removeValue(forKey: exchange) ?? [] { remove(position, from: ledger) }
            }
            for place in shard.node.recovered.remove(exchange) {
                shard.send(to: 0) { $0.durable?.remove(place.position, from: place.ledger) }
            }
        }
    }

    /// Has to be made before the message's record is opened.
    func exchangeQueue(of durable: DurableSession) throws(StorageError) -> StoredQueue {
        if let queue = durable.exchangeQueue { return queue }
        closeOpen()
        let name = [StoredTable.exchangeQueue] + StoredTable.bytes(durable.queue.id)
        let id = store.makeQueueID()
        var made: StoredQueue?
        var failure: StorageError?
        name.withUnsafeBytes { name in
            do throws(StorageError) {
                made = try batch.makeQueue(id: id, name: name, metadata: Bytes(start: nil, count: 0))
            } catch { failure = error }
        }
        if let failure { throw failure }
        guard let made else { throw .backlog }
        durable.exchangeQueue = made
        return made
    }

    /// All shards have stored what an exchange's message was for: from here on it is known when it comes again.
    func take(_ exchange: PendingExchange) {
        exchange.durable.pendingExchanges -= 1
        let (session, identifier) = (exchange.session, exchange.identifier)
        guard !session.isTerminated, session.awaitingRelease.contains(identifier),
            exchange.durable.exchanges[identifier] == nil
        else { return }
        _ = append(exchange: identifier, of: nil, session: session, durable: exchange.durable)
    }

    /// A shard could not store its part: the publisher has to send the message again, and it is none that is known.
    func giveUp(_ exchange: PendingExchange) {
        exchange.durable.pendingExchanges -= 1
        if exchange.durable.exchanges[exchange.identifier] == nil {
            _ = exchange.session.awaitingRelease.remove(exchange.identifier)
        }
    }
}
