/// A client's session as administration shows it.
package struct ClientStatus: Sendable {
    package let clientID: String
    package let username: String?
    package let peerName: String
    package let isConnected: Bool
    package let protocolVersion: Int
    package let cleanStart: Bool
    /// Seconds.
    package let keepAlive: Int
    /// Seconds.
    package let sessionExpiryInterval: UInt32
    package let subscriptions: [(filter: String, qos: Int)]
    package let inflight: Int
    package let queued: Int
    package let awaitingRelease: Int
    package let delivered: Int
    package let enqueued: Int
    package let dropped: Int
    /// Milliseconds since 1970.
    package let createdAt: Int64
    package let connectedAt: Int64?
    package let shard: Int

    init(_ session: Session, shard: Shard) {
        clientID = session.clientID
        username = session.username
        peerName = session.publisher.peerName
        isConnected = session.connection != nil
        protocolVersion = session.connection.map { Int($0.version.rawValue) } ?? 0
        cleanStart = session.isCleanStart
        keepAlive = session.connection?.connect.map { Int($0.keepAlive) } ?? 0
        sessionExpiryInterval = session.expiryInterval
        subscriptions = session.subscriptions.values.map { ($0.filter, Int($0.options.qos)) }.sorted {
            $0.filter < $1.filter
        }
        inflight = session.inflight.count + (session.durable?.resend.count ?? 0)
        queued = session.queue.count + (session.durable?.waiting ?? 0)
        awaitingRelease = session.awaitingRelease.count
        delivered = session.statistics.delivered
        enqueued = session.statistics.enqueued
        dropped = session.statistics.dropped
        createdAt = session.createdAt
        connectedAt = session.connection?.connectedAt
        self.shard = shard.index
    }
}

extension BrokerNode {
    /// All sessions, by client identifier. Blocks; not for a shard's thread.
    package var clients: [ClientStatus] {
        collect { shard in shard.sessions.values.map { ClientStatus($0, shard: shard) } }.sorted {
            $0.clientID < $1.clientID
        }
    }

    /// Ends a client's connection and session. Blocks; not for a shard's thread.
    /// - Returns: false when there is no such client.
    package func kick(_ clientID: String) -> Bool {
        // Again when the session moved to another shard meanwhile.
        for _ in 0..<100 {
            guard let (session, owner) = registry.find(clientID) else { return false }
            let done = DoneSignal()
            let wasThere = Guarded(false)
            shards[owner].execute { shard in
                if shard.sessions[ObjectIdentifier(session)] != nil {
                    session.connection?.close(reason: "kicked", code: .administrativeAction)
                    shard.terminate(session, reason: "kicked")
                    wasThere.withLock { $0 = true }
                }
                done.signal()
            }
            guard done.wait(milliseconds: 5000) else { return false }
            if wasThere.withLock({ $0 }) { return true }
        }
        return false
    }
}
