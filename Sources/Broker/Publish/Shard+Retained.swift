import Buffers

/// Messages that are kept for those who subscribe later. [MQTT-3.3.1-5]
extension Shard {
    @inline(never)
    func retain(_ message: MessageView, _ shared: inout Message?) {
        guard settings.retainerEnabled else { return }
        if message.payload.count == 0 {
            let stamp = node.retained.remove(message.topic, wall: wall) { persistRetainedRemoval(message.topic) }
            if let stamp { links?.append(deleted: message.topic, stamp) }
            return
        }
        guard message.payload.count <= settings.retainedPayloadLimit else {
            counters.retainedTooLarge.add(1)
            return
        }
        if settings.retainedExpiryInterval > 0, !message.traits.hasExpiry {
            var expiring = message
            expiring.traits.expiresAt = wall + settings.retainedExpiryInterval
            store(retained: Message.make(copying: expiring))
            return
        }
        let kept = shared ?? Message.make(copying: message)
        shared = kept
        store(retained: kept)
    }

    private func store(retained message: Message) {
        switch node.retained.store(message, wall: wall, persist: { persistRetained(message) }) {
        case .stored(let stamp):
            if let stamp { withExtendedLifetime(message) { links?.append(retained: message.view, stamp) } }
        case .refused, .older: break
        case .full: counters.retainedFull.add(1)
        case .tooDeep: counters.retainedTooDeep.add(1)
        }
    }
}
