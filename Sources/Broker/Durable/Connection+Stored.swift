import Buffers
import MQTTCodec
import Storage

/// Acknowledgements that wait for the log, and messages that it does not take.
extension Connection {
    /// Has the acknowledgement wait for what the message brought into the log.
    /// - Returns: false when something could not be stored: the publisher has been told.
    @inline(never)
    func settleStorage(_ packet: PublishView, _ message: MessageView, session: Session) -> Bool {
        shard.isStorageTouched = false
        guard let stage = shard.durable else { return true }
        if packet.qos == .exactlyOnce, let stored = session.durable {
            _ = stage.append(exchange: packet.packetIdentifier, of: message, session: session, durable: stored)
            shard.isStorageTouched = false
        }
        guard packet.qos != .atMostOnce else {
            _ = stage.takeRefusal()
            return true
        }
        if stage.takeRefusal() {
            refuseUnstored(packet, session: session)
            return false
        }
        stage.hold(self)
        return true
    }

    /// A message that somebody's persistent session should keep, or the retained store, while the disk is full: refused as
    /// a whole, so that it can be sent again. [MQTT-3.4.2.1]
    /// - Returns: false when nobody would store it.
    @inline(never)
    func refuseStorage(
        _ packet: PublishView, topic: Bytes, hash: UInt64, cached: Unmanaged<Route>?, session: Session
    ) -> Bool {
        guard let stage = shard.durable, stage.refuses else { return false }
        let route = cached ?? Unmanaged.passUnretained(shard.readRoute(topic, hash: hash))
        let isStored = route._withUnsafeGuaranteedRef { $0.isStored }
        guard isStored || packet.isRetained || packet.qos == .exactlyOnce && session.durable != nil else {
            return false
        }
        shard.counters.storageRefused.add(1)
        refuseUnstored(packet, session: session)
        return true
    }

    /// 0x97 to a client of version 5; the end of the connection to others, whose acknowledgement cannot say no.
    private func refuseUnstored(_ packet: PublishView, session: Session) {
        if packet.qos == .exactlyOnce {
            _ = session.awaitingRelease.remove(packet.packetIdentifier)
            if let stored = session.durable { shard.endExchange(packet.packetIdentifier, stored) }
        }
        guard isV5 else {
            close(reason: "quota_exceeded", code: nil)
            return
        }
        answer(packet, .quotaExceeded)
    }

    /// Names the exchange in the message, for shards that may have stored it already before a crash.
    func mark(_ message: inout MessageView, _ packet: PublishView, _ stored: DurableSession) {
        message.traits.exchange = RecoveredExchanges.key(stored.queue, packet.packetIdentifier)
        // Another message by the same identifier. [MQTT-3.3.1-1]
        if !packet.isDuplicate {
            for place in shard.node.recovered.remove(message.traits.exchange) {
                shard.send(to: 0) { $0.durable?.remove(place.position, from: place.ledger) }
            }
        }
    }

    /// The queue that the exchange is written to must be there before the message's record is begun.
    func prepareExchange(_ stored: DurableSession) {
        guard stored.exchangeQueue == nil, let stage = shard.durable else { return }
        do throws(StorageError) { _ = try stage.exchangeQueue(of: stored) } catch { stage.refuse(error) }
    }
}

extension Route {
    /// Whether a persistent session gets its messages.
    var isStored: Bool {
        storedShards != 0 || targets.contains { $0.session.isStored }
            || groups.contains { $0.members.contains { $0.session.isStored } }
    }
}
