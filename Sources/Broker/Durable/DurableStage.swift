import Buffers
import DequeModule
import Logging
import Storage

/// A shard's side of the store: encodes during the tick, commits at its end, and keeps back what may not leave before.
///
/// What a connection has written while something of its own was on the way to the log stays in a ``TickHold`` until the
/// log has it: PUBACK, PUBREC, PUBCOMP, SUBACK, CONNACK, and the messages of persistent sessions. Messages for sessions on
/// other shards go by mail; at the end of the tick these shards are asked up to where the log must have come.
///
/// Confined to the shard's thread.
final class DurableStage {
    let store: DurableStore
    let batch: StoreBatch
    let reader: StoreReader
    private unowned(unsafe) let shard: Shard
    private let waiter: LogWaiter
    private let writesNow: Bool

    /// The message whose record is open for more targets.
    private var open: MessageID?
    /// Removals must not come between the targets of a message.
    private var removals: [(queue: StoredQueue, position: UInt64)] = []
    /// Other shards that were sent something in this tick that they store; the own bit stands for parked messages.
    private var awaited: UInt64 = 0
    private var requests: [HoldRequest] = []
    private var exchanges: [(session: Session, identifier: UInt16)] = []
    private var completions: [() -> Void] = []
    /// The log must have come this far for what was done since the last hold was made.
    private var required: UInt64 = 0
    private var current = TickHold(token: 0, sequence: 0, awaited: 0)
    private var holds: Deque<TickHold> = []
    private var committing: [TickHold] = []
    private var lastToken: UInt64 = 0
    /// Something could not be stored since this was last looked at.
    private(set) var hasRefused = false
    /// The same, for what other shards are told.
    private var refusedTick = false
    private var ledger: StoredQueue?
    /// Exchange → its positions in the ledger.
    private var ledgerPositions: [UInt64: [UInt64]] = [:]
    /// Connections whose next message is not written yet.
    private var retries: [Connection] = []

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

    /// Remembers a client's QoS 2 message until its PUBREL: in the record of the message itself where it has one, so that
    /// either both are there after a crash or neither.
    /// - Returns: false when it could not be stored.
    func append(exchange identifier: UInt16, of view: MessageView?, session: Session, durable: DurableSession) -> Bool {
        shard.isStorageTouched = true
        if view != nil, awaited != 0 {
            // Other shards first: what they have not stored must be taken again when it is sent again.
            exchanges.append((session, identifier))
            return true
        }
        do throws(StorageError) {
            let queue = try exchangeQueue(of: durable)
            if let view, open == view.id {
                durable.exchanges[identifier] = batch.addTarget(queue, note: UInt32(identifier))
            } else {
                closeOpen()
                try batch.beginMessage { $0.append(StoredMessageCodec.version) }
                durable.exchanges[identifier] = batch.addTarget(queue, note: UInt32(identifier))
                batch.endMessage()
            }
            if view != nil { forget([RecoveredExchanges.key(durable.queue, identifier)]) }
            return true
        } catch {
            refuse(error)
            return false
        }
    }

    /// The shard's ledger, for the node's start. Without one, for want of room, a crash may double a QoS 2 message.
    func makeLedger() {
        let name = [StoredTable.ledger, UInt8(clamping: shard.index)]
        name.withUnsafeBytes { name in
            do throws(StorageError) {
                ledger = try batch.makeQueue(
                    id: store.makeQueueID(), name: name, metadata: Bytes(start: nil, count: 0))
            } catch { refuse(error) }
        }
    }

    @inline(__always)
    private func enterLedger(_ view: MessageView) {
        guard view.traits.exchange != 0, let ledger else { return }
        ledgerPositions[view.traits.exchange, default: []].append(batch.addTarget(ledger, note: 0))
    }

    /// Their publishers' sessions know of these exchanges now.
    func forget(_ exchanges: [UInt64]) {
        for exchange in exchanges {
            if let ledger {
                for position in ledgerPositions.removeValue(forKey: exchange) ?? [] { remove(position, from: ledger) }
            }
            for place in shard.node.recovered.remove(exchange) {
                shard.send(to: 0) { $0.durable?.remove(place.position, from: place.ledger) }
            }
        }
    }

    /// Has to be made before the message's record is opened.
    func exchangeQueue(of durable: DurableSession) throws(StorageError) -> StoredQueue {
        if let queue = durable.exchangeQueue { return queue }
        closeOpen()
        let name = [StoredTable.exchangeQueue] + StoredTable.bytes(durable.queue.id)
        let id = store.makeQueueID()
        var made: StoredQueue?
        var failure: StorageError?
        name.withUnsafeBytes { name in
            do throws(StorageError) {
                made = try batch.makeQueue(id: id, name: name, metadata: Bytes(start: nil, count: 0))
            } catch { failure = error }
        }
        if let failure { throw failure }
        guard let made else { throw .backlog }
        durable.exchangeQueue = made
        return made
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

    // MARK: Commits

    /// What other shards were sent to store in this tick.
    @inline(__always)
    func await(shards: UInt64) {
        awaited |= shards
        shard.isStorageTouched = true
    }

    /// Another shard has sent messages that it waits for.
    func request(from shard: Int, token: UInt64) { requests.append(HoldRequest(shard: shard, token: token)) }

    /// What may not leave before all that has been committed so far is in the log.
    func requireCommitted() { required = max(required, store.log.committed) }

    /// What the connection writes from here on, and has written in this tick, waits for what has been encoded.
    func hold(_ connection: Connection) {
        guard !connection.isHeld else { return }
        connection.isHeld = true
        connection.heldSince = lastToken + 1
    }

    /// Runs `body` once all shards have stored what was sent to them in this tick; what it encodes is committed then.
    func whenStored(_ body: @escaping () -> Void) { completions.append(body) }

    var isUnsettled: Bool {
        !batch.isEmpty || open != nil || awaited != 0 || !exchanges.isEmpty || !completions.isEmpty
            || (!requests.isEmpty && shard.arriving.isEmpty)
    }

    /// Commits what has gathered; what connections have written since belongs to the hold that comes of it.
    func settle() {
        guard isUnsettled || required > current.sequence else { return }
        let sequence = commit()
        lastToken += 1
        let hold = TickHold(
            token: lastToken, sequence: max(sequence, required, current.sequence), awaited: awaited.nonzeroBitCount)
        hold.shards = awaited
        hold.exchanges = exchanges
        hold.completions = completions
        exchanges = []
        completions = []
        current = hold
        if hold.awaited > 0 { enqueue(hold) }
        askOthers(hold.token)
        answerRequests()
        if hold.awaited == 0 { finishAwaiting(hold) }
        refusedTick = false
    }

    /// Commits at once, for what must be in the log's order before something else happens.
    /// - Returns: the sequence to wait for.
    @discardableResult
    func commit(writesNow: Bool = true) -> UInt64 {
        closeOpen()
        guard !batch.isEmpty else { return 0 }
        do throws(StorageError) {
            let sequence = try store.commit(
                batch, writingNow: writesNow && self.writesNow && batch.byteCount < 256 * 1024)
            required = max(required, sequence)
            for hold in committing {
                hold.sequence = max(hold.sequence, sequence)
                hold.awaitsCommit = false
                forget(hold)
            }
            committing.removeAll(keepingCapacity: true)
            return sequence
        } catch {
            // Nothing of it will ever be acknowledgeable.
            required = .max
            return .max
        }
    }

    private func forget(_ hold: TickHold) {
        guard !hold.settled.isEmpty else { return }
        let keys = hold.settled
        hold.settled = []
        let home = shard.index
        for target in 0..<shard.node.shards.count where target == home || hold.shards & 1 << UInt64(target) != 0 {
            shard.send(to: target) { $0.durable?.forget(keys) }
        }
    }

    private func askOthers(_ token: UInt64) {
        let home = shard.index
        var mask = awaited
        awaited = 0
        while mask != 0 {
            let target = mask.trailingZeroBitCount
            mask &= mask &- 1
            if target == home {
                requests.append(HoldRequest(shard: home, token: token))
            } else {
                shard.send(to: target) { $0.durable?.request(from: home, token: token) }
            }
        }
    }

    /// Tells shards that wait for this one; those that wait for more than is known yet are told later. Messages that wait
    /// for a session on its way here are not stored yet.
    private func answerRequests() {
        guard !requests.isEmpty, shard.arriving.isEmpty else { return }
        var waiting = requests
        requests = []
        for index in waiting.indices { waiting[index].isRefused = refusedTick }
        if current.awaited == 0, !current.awaitsCommit {
            for request in waiting { answer(request, current.sequence) }
        } else {
            current.requests += waiting
        }
    }

    private func answer(_ request: HoldRequest, _ sequence: UInt64, isRefused: Bool = false) {
        let token = request.token
        let isRefused = request.isRefused || isRefused
        shard.send(to: request.shard) { $0.durable?.confirmed(token, sequence: sequence, isRefused: isRefused) }
    }

    /// A shard has committed what this one sent it.
    private func confirmed(_ token: UInt64, sequence: UInt64, isRefused: Bool) {
        guard let hold = holds.first(where: { $0.token == token }) else { return }
        hold.awaited -= 1
        hold.sequence = max(hold.sequence, sequence)
        hold.isRefused = hold.isRefused || isRefused
        if hold.awaited == 0 { finishAwaiting(hold) }
    }

    private func finishAwaiting(_ hold: TickHold) {
        if !hold.isRefused {
            for exchange in hold.exchanges {
                take(exchange)
                if let durable = exchange.session.durable {
                    hold.settled.append(RecoveredExchanges.key(durable.queue, exchange.identifier))
                }
            }
            for completion in hold.completions { completion() }
            if !batch.isEmpty || open != nil {
                hold.awaitsCommit = true
                committing.append(hold)
                enqueue(hold)
            }
        }
        hold.exchanges = []
        hold.completions = []
        for request in hold.requests { answer(request, hold.sequence, isRefused: hold.isRefused) }
        hold.requests = []
    }

    private func take(_ exchange: (session: Session, identifier: UInt16)) {
        let (session, identifier) = exchange
        guard session.attachedShard == shard.index, !session.isTerminated, let durable = session.durable,
            session.awaitingRelease.contains(identifier), durable.exchanges[identifier] == nil
        else { return }
        _ = append(exchange: identifier, of: nil, session: session, durable: durable)
    }

    private func enqueue(_ hold: TickHold) {
        guard !hold.isQueued else { return }
        hold.isQueued = true
        holds.append(hold)
    }

    // MARK: Holding back

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
        current.buffers.append((connection, bytes))
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
                for (connection, bytes) in first.buffers { connection.abandonHeld(bytes) }
                for request in first.requests { answer(request, first.sequence, isRefused: true) }
                continue
            }
            guard isComplete(first) else { break }
            holds.removeFirst()
            for (connection, bytes) in first.buffers { connection.releaseHeld(bytes) }
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
