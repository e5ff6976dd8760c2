import Topics

/// Client identifier → session, for the whole node. A cold lock: CONNECT, the end of a session, a move between shards.
final class ClientRegistry: Sendable {
    enum Claim {
        case new(Session)
        case here(Session)
        case elsewhere(Session, owner: Int)
    }

    private struct Entry {
        var session: Session
        var owner: Int
    }

    private let entries = Guarded<[ByteString: Entry]>([:])

    /// Finds the session of that client, or makes it here. One of two that claim at once makes it.
    func claim(_ clientID: String, shard: Shard, make: () -> Session) -> Claim {
        let key = ByteString(clientID)
        return entries.withLock { entries in
            if let entry = entries[key] {
                return entry.owner == shard.index ? .here(entry.session) : .elsewhere(entry.session, owner: entry.owner)
            }
            let session = make()
            entries[key] = Entry(session: session, owner: shard.index)
            return .new(session)
        }
    }

    func move(_ session: Session, to shard: Int) {
        let key = ByteString(session.clientID)
        entries.withLock { entries in
            if entries[key]?.session === session { entries[key]?.owner = shard }
        }
    }

    /// Removes this session, not one that has taken its name.
    func remove(_ session: Session) {
        let key = ByteString(session.clientID)
        entries.withLock { entries in
            if entries[key]?.session === session { entries[key] = nil }
        }
    }

    func find(_ clientID: String) -> (session: Session, owner: Int)? {
        let key = ByteString(clientID)
        return entries.withLock { $0[key].map { ($0.session, $0.owner) } }
    }

    var count: Int { entries.withLock { $0.count } }
}
