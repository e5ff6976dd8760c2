import Buffers
import DequeModule
import Logging
import Storage

/// A shard's side of the store: encodes during the tick, commits at its end, and keeps back what may not leave before.
///
/// What a connection has written while something of its own was on the way to the log stays in a ``TickHold`` until the
/// log has it: PUBACK, PUBREC, PUBCOMP, SUBACK, CONNACK, and the messages of persistent sessions. Messages for sessions on
/// other shards go by mail; at the end of the tick these shards are asked up to where the log must have come. [ADR-0013]
///
/// Confined to the shard's thread. Encoding stands here, exchanges, commits and holds in the extensions.
final class DurableStage {
    let store: DurableStore
    let batch: StoreBatch
    let reader: StoreReader
    unowned(unsafe) let shard: Shard
    let waiter: LogWaiter
    let writesNow: Bool

    /// The message whose record is open for more targets.
    var open: MessageID?
    /// Removals must not come between the targets of a message.
    private var removals: [(queue: StoredQueue, position: UInt64)] = []

    /// Shards that clients of this one have sent something in this tick that is stored there.
    var awaited: UInt64 = 0
    /// Clients of this shard have sent something in this tick to sessions that are still on their way here.
    var hasParked = false
    /// Shards to which mail was sent on, because its session has moved.
    var relayed: UInt64 = 0
    /// Shards that have asked and not been answered.
    var requests: [HoldRequest] = []
    var relays: [HoldRelay] = []
    var exchanges: [PendingExchange] = []
    var completions: [() -> Void] = []
    /// The log must have come this far for what was done since the last hold was made.
    var required: UInt64 = 0
    var current = TickHold(token: 0, sequence: 0, awaited: 0)
    var holds: Deque<TickHold> = []
    /// What they wait for is in the batch.
    var committing: [TickHold] = []
    var lastToken: UInt64 = 0
    /// Something could not be stored since this was last looked at.
    private(set) var hasRefused = false
    /// The same, for what other shards are told.
    var refusedTick = false
    var ledger: StoredQueue?
    /// Exchange → its positions in the ledger.
    var ledgerPositions: [UInt64: [UInt64]] = [:]
    /// Connections whose next message is not written yet.
    var retries: [Connection] = []

    init(store: DurableStore, shard: Shard) {
        self.store = store
        self.shard = shard
        batch = store.makeBatch()
        reader = StoreReader(store)
        writesNow = store.log.options.durability == .process
        waiter = LogWaiter { [unowned shard] in shard.wake() }
        store.log.register(waiter)
    }

    func close() { store.log.unregister(waiter) }

    /// Whether content is refused at the moment.
    @inline(__always)
    var refuses: Bool { !store.log.admission.isEmpty }

    // MARK: Encoding

    /// Appends a message to a session's queue.
    /// - Returns: its position; nil when the store takes nothing at the moment.
    func append(
        _ view: MessageView, qos: UInt8, isRetained: Bool, identifiers: SubscriptionIdentifiers, session: Session,
        durable: DurableSession
    ) -> UInt64? {
        shard.isStorageTouched = true
        let note = StoredNote(qos: qos, isRetained: isRetained, identifiers: identifiers)
        do throws(StorageError) {
            if note.isExtended {
                closeOpen()
                let target = Self.makeExtension(identifiers, session: session)
                try batch.beginMessage { StoredMessageCodec.append(view, extension: target, to: $0) }
                defer { batch.endMessage() }
                enterLedger(view)
                return batch.addTarget(durable.queue, note: note.rawValue)
            }
            if open != view.id {
                closeOpen()
                try batch.beginMessage { StoredMessageCodec.append(view, to: $0) }
                open = view.id
                enterLedger(view)
            }
            return batch.addTarget(durable.queue, note: note.rawValue)
        } catch {
            refuse(error)
            return nil
        }
    }

    private static func makeExtension(_ identifiers: SubscriptionIdentifiers, session: Session) -> TargetExtension {
        var target = TargetExtension()
        if identifiers.first != 0 { target.identifiers = [identifiers.first] + (identifiers.others ?? []) }
        if identifiers.sharedGroup != 0 {
            let subscription = session.subscriptions.values.first {
                $0.sharedGroup.load(ordering: .relaxed) == identifiers.sharedGroup
            }
            target.sharedFilter = subscription.map { Array($0.filter.utf8) } ?? []
        }
        return target
    }

    func remove(_ position: UInt64, from queue: StoredQueue) {
        if open == nil { batch.remove(position, from: queue) } else { removals.append((queue, position)) }
    }

    /// For records that are no messages: none is open behind this call.
    func closeOpen() {
        guard open != nil else { return }
        open = nil
        batch.endMessage()
        for removal in removals { batch.remove(removal.position, from: removal.queue) }
        removals.removeAll(keepingCapacity: true)
    }

    func refuse(_ error: StorageError) {
        hasRefused = true
        refusedTick = true
        shard.isStorageTouched = true
        shard.counters.storageRefused.add(1)
        if case .tooLarge = error { shard.lines.log(.error, "A record is too large to be stored.") }
    }

    /// Whether something of what was just done could not be stored.
    func takeRefusal() -> Bool {
        defer { hasRefused = false }
        return hasRefused
    }
}
