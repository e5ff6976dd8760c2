import Buffers
import Storage

/// Keeps back the bytes of connections until the log has what they depend on.
extension DurableStage {
    /// What the connection writes from here on, and has written in this tick, waits for what has been encoded.
    func hold(_ connection: Connection) {
        guard !connection.isHeld else { return }
        connection.isHeld = true
        connection.heldSince = lastToken + 1
    }

    /// For an answer that repeats one which may not have left: it waits for all that this shard waits for.
    func holdBehindAll(_ connection: Connection) {
        requireCommitted()
        connection.isHeld = true
        connection.heldSince = 0
    }

    func enqueue(_ hold: TickHold) {
        guard !hold.isQueued else { return }
        hold.isQueued = true
        holds.append(hold)
    }

    private func isComplete(_ hold: TickHold) -> Bool {
        hold.awaited == 0 && !hold.awaitsCommit && !hold.isRefused && hold.sequence <= store.acknowledgeable
    }

    /// Keeps what a connection has written until the log has what it depends on.
    /// - Returns: false when nothing holds it back: it may leave now.
    func holdBack(_ connection: Connection) -> Bool {
        settle()
        if connection.heldCount == 0,
            !connection.isHeld || isComplete(current) && !holds.contains(where: { $0.token >= connection.heldSince })
        {
            connection.isHeld = false
            return false
        }
        guard let bytes = connection.takeOutput() else { return true }
        connection.isHeld = false
        connection.heldCount += 1
        connection.heldBytes += bytes.count
        current.buffers.append((connection, bytes, connection.heldSince))
        enqueue(current)
        return true
    }

    /// Lets go of what the log has by now. The first thing at the end of a tick.
    func release() {
        if !retries.isEmpty {
            let connections = retries
            retries = []
            for connection in connections { connection.sendWaiting() }
        }
        while let first = holds.first {
            if first.isRefused || store.log.admission.contains(.failed) && first.sequence > store.acknowledgeable {
                holds.removeFirst()
                abandon(first)
                continue
            }
            guard isComplete(first) else { break }
            holds.removeFirst()
            for (connection, bytes, _) in first.buffers { connection.releaseHeld(bytes) }
        }
    }

    /// Nothing that depends on this hold may leave, also where it stands behind a later one.
    private func abandon(_ hold: TickHold) {
        for exchange in hold.exchanges { giveUp(exchange) }
        hold.exchanges = []
        for (connection, bytes, _) in hold.buffers { connection.abandonHeld(bytes) }
        for later in holds {
            let lost = later.buffers.filter { $0.since <= hold.token }
            guard !lost.isEmpty else { continue }
            later.buffers.removeAll { $0.since <= hold.token }
            for (connection, bytes, _) in lost { connection.abandonHeld(bytes) }
        }
    }

    /// The last thing in a tick: has the log wake the shard when it has come so far.
    func awaitLog() {
        guard let first = holds.first, first.awaited == 0, !first.awaitsCommit else { return }
        waiter.wait(for: first.sequence)
        // It may have come so far meanwhile.
        if store.acknowledgeable >= first.sequence || store.log.admission.contains(.failed) { shard.wake() }
    }

    /// Tries again when what the connection waits for has been written.
    func retry(_ connection: Connection) {
        if !retries.contains(where: { $0 === connection }) { retries.append(connection) }
        shard.node.scheduleWake(of: shard)
    }
}
