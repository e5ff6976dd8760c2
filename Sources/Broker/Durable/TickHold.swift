import Buffers

/// A shard that waits for what another one stores.
struct HoldRequest {
    var shard: Int
    var token: UInt64
    /// Sessions up to this one's turn were on their way here when it asked: what it sent them is stored when they arrive.
    var lastArrival: UInt64
}

/// Requests that wait for shards to which mail was sent on.
struct HoldRelay {
    let token: UInt64
    var sequence: UInt64
    var awaited: Int
    var isRefused: Bool
    var requests: [HoldRequest]
}

/// A client's QoS 2 message that other shards store a part of. Its session stays on the shard meanwhile.
struct PendingExchange {
    var session: Session
    var durable: DurableSession
    var identifier: UInt16
    /// Its name in the shards' ledgers.
    var key: UInt64
}

/// What a shard keeps back until the log has what it depends on: bytes of connections.
///
/// A hold is made whenever a batch is committed. Confined to its shard.
final class TickHold {
    let token: UInt64
    /// What must be acknowledgeable.
    var sequence: UInt64
    /// Answers that have not come yet, up to where the log must have come.
    var awaited: Int
    /// The shards that were asked.
    var shards: UInt64 = 0
    /// QoS 2 messages whose entries in the shards' ledgers are done with once the commit is made.
    var settled: [UInt64] = []
    /// Something was not stored: nothing of this may be acknowledged.
    var isRefused = false
    /// Something is to be committed once all have answered; the sequence is not known before.
    var awaitsCommit = false
    /// Whether the stage knows of it.
    var isQueued = false
    /// With the first hold that each depends on.
    var buffers: [(connection: Connection, bytes: OutputBuffer, since: UInt64)] = []
    /// QoS 2 messages that are taken once all have answered.
    var exchanges: [PendingExchange] = []
    /// To be run once all have answered, before the commit.
    var completions: [() -> Void] = []

    init(token: UInt64, sequence: UInt64, awaited: Int) {
        self.token = token
        self.sequence = sequence
        self.awaited = awaited
    }
}
