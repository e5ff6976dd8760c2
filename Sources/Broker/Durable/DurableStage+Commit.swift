import Storage

/// Commits, and how shards learn from each other up to where the log must have come.
///
/// A hold waits for the log and for answers of other shards, never for another hold. A shard answers in the tick in which
/// it is asked; only when a session is on its way to it, it waits for that session, which waits for nobody's hold; and
/// where it has sent mail on behind a session that moved, for the answer from there.
extension DurableStage {
    /// What other shards were sent to store in this tick by clients of this one.
    @inline(__always)
    func await(shards: UInt64) {
        awaited |= shards
        shard.isStorageTouched = true
    }

    /// Something waits here for its session to arrive.
    func awaitArrival() {
        hasParked = true
        shard.isStorageTouched = true
    }

    /// Mail for a session was sent on: who asks for it waits for that shard, too.
    func relay(to target: Int) { relay(shards: 1 << UInt64(target)) }
    func relay(shards: UInt64) { relayed |= shards }

    /// Another shard has sent messages that it waits for.
    func request(from home: Int, token: UInt64) {
        requests.append(HoldRequest(shard: home, token: token, lastArrival: shard.lastArrival))
    }

    /// What may not leave before all that has been committed so far is in the log.
    func requireCommitted() { required = max(required, store.log.committed) }

    /// Runs `body` once all shards have stored what was sent to them in this tick; what it encodes is committed then.
    func whenStored(_ body: @escaping () -> Void) { completions.append(body) }

    var isUnsettled: Bool {
        !batch.isEmpty || open != nil || awaited != 0 || hasParked || !exchanges.isEmpty || !completions.isEmpty
            || (!requests.isEmpty && canAnswer(requests[0]))
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
        ask(awaited, hold.token)
        awaited = 0
        awaitParked(hold)
        answerRequests(hold.sequence)
        refusedTick = false
        if hold.awaited > 0 { enqueue(hold) } else { finishAwaiting(hold) }
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

    // MARK: Questions and answers

    private func ask(_ shards: UInt64, _ token: UInt64) {
        let home = shard.index
        var mask = shards
        while mask != 0 {
            let target = mask.trailingZeroBitCount
            mask &= mask &- 1
            shard.send(to: target) { $0.durable?.request(from: home, token: token) }
        }
    }

    /// What clients have sent to sessions on their way here: stored already when the sessions have come in this very tick;
    /// otherwise the shard asks itself, and answers in a later tick.
    private func awaitParked(_ hold: TickHold) {
        guard hasParked else { return }
        hasParked = false
        if shard.arriving.isEmpty {
            if refusedTick { hold.isRefused = true }
        } else {
            hold.awaited += 1
            request(from: shard.index, token: hold.token)
        }
    }

    private func canAnswer(_ request: HoldRequest) -> Bool { shard.firstArrival > request.lastArrival }

    /// Tells shards that have asked. They stand in the order in which they came, and so do the sessions that they wait for.
    private func answerRequests(_ sequence: UInt64) {
        let count = requests.prefix(while: canAnswer).count
        // Nobody asks any more for what was sent on before: a question comes with what it is about.
        defer { if requests.isEmpty { relayed = 0 } }
        guard count > 0 else { return }
        let answered = Array(requests[..<count])
        requests.removeFirst(count)
        guard relayed != 0 else {
            for request in answered { answer(request, sequence, isRefused: refusedTick) }
            return
        }
        lastToken += 1
        relays.append(
            HoldRelay(
                token: lastToken, sequence: sequence, awaited: relayed.nonzeroBitCount, isRefused: refusedTick,
                requests: answered))
        ask(relayed, lastToken)
    }

    private func answer(_ request: HoldRequest, _ sequence: UInt64, isRefused: Bool) {
        let token = request.token
        shard.send(to: request.shard) { $0.durable?.confirmed(token, sequence: sequence, isRefused: isRefused) }
    }

    /// A shard has committed what this one sent it.
    private func confirmed(_ token: UInt64, sequence: UInt64, isRefused: Bool) {
        if let hold = holds.first(where: { $0.token == token }) {
            hold.awaited -= 1
            hold.sequence = max(hold.sequence, sequence)
            hold.isRefused = hold.isRefused || isRefused
            if hold.awaited == 0 { finishAwaiting(hold) }
        } else if let index = relays.firstIndex(where: { $0.token == token }) {
            relays[index].awaited -= 1
            relays[index].sequence = max(relays[index].sequence, sequence)
            relays[index].isRefused = relays[index].isRefused || isRefused
            guard relays[index].awaited == 0 else { return }
            let relay = relays.remove(at: index)
            for request in relay.requests { answer(request, relay.sequence, isRefused: relay.isRefused) }
        }
    }

    private func finishAwaiting(_ hold: TickHold) {
        let (exchanges, completions) = (hold.exchanges, hold.completions)
        hold.exchanges = []
        hold.completions = []
        guard !hold.isRefused else {
            for exchange in exchanges { giveUp(exchange) }
            enqueue(hold)
            return
        }
        for exchange in exchanges {
            take(exchange)
            hold.settled.append(exchange.key)
        }
        for completion in completions { completion() }
        if !batch.isEmpty || open != nil {
            hold.awaitsCommit = true
            committing.append(hold)
            enqueue(hold)
        } else {
            forget(hold)
        }
    }
}
