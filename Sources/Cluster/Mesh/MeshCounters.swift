/// What the links of a node have done since its start.
package struct MeshCounters: Sendable, Equatable {
    /// Incoming connections that came to nothing, by reason.
    package struct Refused: Sendable, Equatable {
        package var cookie = 0
        package var version = 0
        /// Too many were open; the oldest was ended.
        package var evicted = 0
        /// It proved the cookie, and may not come in: see ``MeshRefusal``.
        package var membership = 0
        package var oversized = 0
        package var garbage = 0
        package var timedOut = 0
        package var closed = 0

        package var total: Int {
            cookie + version + evicted + membership + oversized + garbage + timedOut + closed
        }
    }

    package var refused = Refused()
    package var handshakes = 0
    package var failedDials = 0
    package var linksAdopted = 0
    /// Links that came back within the failure time, and went on where they had stopped.
    package var linksResumed = 0
    package var downs = 0
    /// Nodes given up since more waited for them than may.
    package var overflows = 0
    package var batchesSent = 0
    package var batchesReceived = 0
    package var batchesResent = 0
    package var duplicatesDropped = 0
    package var bytesSent = 0
    package var bytesReceived = 0
    package var writes = 0
    package var calls = 0
    package var callsServed = 0
    package var callsRefused = 0
    package var streamsOpened = 0
    /// Bytes of raft's streams, both directions.
    package var streamBytes = 0
    /// Log lines left out since they would have repeated others.
    package var silencedComplaints = 0
}

/// A link as `ctl cluster status` shows it.
package struct MeshLinkStatus: Sendable, Equatable {
    package var name: NodeName
    /// Where it was last reached or looked for.
    package var address: String
    package var isMember: Bool
    /// It counts as reachable.
    package var isUp: Bool
    /// There is a connection at this moment.
    package var isLinked: Bool
    package var isBlocked: Bool
    package var peer: MeshPeer?
    /// Why the last connection failed or ended, and when, in seconds since 1970.
    package var lastFailure: String?
    package var lastFailureTime = 0
    package var silentMilliseconds: Int?
    package var backlog = 0
    package var reconnects = 0
    package var batchesSent = 0
    package var batchesReceived = 0
    package var bytesSent = 0
    package var bytesReceived = 0
}
