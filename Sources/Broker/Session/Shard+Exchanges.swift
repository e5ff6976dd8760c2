/// Exchanges and connections that do not get on: looked at in the timer's tick.
extension Shard {
    /// Unacknowledged messages are sent again, QoS 2 messages whose PUBREL does not come are forgotten.
    func checkExchanges() {
        if now >= nextRetry, settings.retryInterval != .max {
            nextRetry = now + settings.retryInterval
            for connection in connections { connection.retryUnacknowledged() }
        }
        guard now >= nextReleaseCheck, settings.awaitReleaseTimeout != .max else { return }
        // Late by a tenth at most.
        nextReleaseCheck = now + settings.awaitReleaseTimeout / 10
        for connection in connections {
            guard let session = connection.session, session.awaitingRelease.count > 0 else { continue }
            let given = session.awaitingRelease.removeAll(before: now - settings.awaitReleaseTimeout)
            if given > 0, let stored = session.durable {
                for identifier in stored.exchanges.keys where !session.awaitingRelease.contains(identifier) {
                    endExchange(identifier, stored)
                }
            }
            counters.droppedAwaitingRelease.add(given)
        }
    }

    /// Connections whose clients take nothing are ended.
    func checkStalled() {
        guard !stalled.isEmpty else { return }
        let before = stalled
        stalled = []
        // What ends one may make another stall.
        let rest = before.filter { $0.checkStall() }
        stalled += rest
    }
}
