import Buffers

/// A shard that waits for what another one stores.
struct HoldRequest {
    var shard: Int
    var token: UInt64
    /// Something that it sent may not have been stored.
    var isRefused = false
}

/// What a shard keeps back until the log has what it depends on: the bytes of connections, and answers to other shards.
///
/// A hold is made whenever a batch is committed. Confined to its shard.
final class TickHold {
    let token: UInt64
    /// What must be acknowledgeable.
    var sequence: UInt64
    /// Shards that have not said yet up to where the log must have come for them.
    var awaited: Int
    /// All that were asked.
    var shards: UInt64 = 0
    /// QoS 2 messages whose entries in the shards' ledgers are done with once the commit is made.
    var settled: [UInt64] = []
    /// One of them could not store what was sent to it: nothing of this may be acknowledged.
    var isRefused = false
    /// Something is to be committed once all have answered; the sequence is not known before.
    var awaitsCommit = false
    /// Whether the stage knows of it.
    var isQueued = false
    var buffers: [(connection: Connection, bytes: OutputBuffer)] = []
    /// Shards that wait for what this shard waits for.
    var requests: [HoldRequest] = []
    /// QoS 2 messages that are taken once all have answered.
    var exchanges: [(session: Session, identifier: UInt16)] = []
    /// To be run once all have answered, before the commit.
    var completions: [() -> Void] = []

    init(token: UInt64, sequence: UInt64, awaited: Int) {
        self.token = token
        self.sequence = sequence
        self.awaited = awaited
    }
}
