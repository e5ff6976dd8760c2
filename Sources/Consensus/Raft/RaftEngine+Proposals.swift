import CRaft

/// An entry handed to the library, with the proposals in it and the machine's answers so far.
struct SubmittedEntry {
    var proposals: [Proposal]
    var index: UInt64
    var results: [[UInt8]] = []
}

// Group commit: while as many entries as allowed are under way, what comes waits, and shares the next one.
extension RaftEngine {
    /// How long a lack of room is waited out: after a start the library makes its files only while proposals come already.
    private static let patienceForRoom: UInt64 = 3000

    func submitWaiting(_ core: OpaquePointer) {
        while nextWaiting < waiting.count, underWay.count < configuration.entriesInFlight, !isEnding, failure == nil {
            let batch = nextBatch()
            let token = makeToken()
            var index: UInt64 = 0
            let result = submit(batch, token, &index, core)
            if result == Int32(CRAFT_NO_SPACE.rawValue), waitsForRoom(core) { return }
            if result != Int32(CRAFT_NO_SPACE.rawValue) { withoutRoomSince = nil }
            let proposals = take(batch.count)
            if result == 0 {
                underWay[token] = SubmittedEntry(proposals: proposals, index: index)
                tokenOfIndex[index] = token
            } else {
                answer(proposals, error(result))
            }
        }
    }

    private func waitsForRoom(_ core: OpaquePointer) -> Bool {
        let now = craft_now(core)
        let since = withoutRoomSince ?? now
        withoutRoomSince = since
        return now - since < Self.patienceForRoom
    }

    /// The first that waits, and those after it that fit into the entry.
    private func nextBatch() -> (count: Int, size: Int) {
        var end = nextWaiting
        var size = EntryBatch.header
        repeat {
            size += EntryBatch.size(ofCommand: waiting[end].command.count)
            end += 1
        } while end < waiting.count
            && size + EntryBatch.size(ofCommand: waiting[end].command.count) <= configuration.entryBytes
        return (end - nextWaiting, size)
    }

    private func take(_ count: Int) -> [Proposal] {
        let proposals = Array(waiting[nextWaiting..<(nextWaiting + count)])
        nextWaiting += count
        if nextWaiting == waiting.count {
            waiting.removeAll(keepingCapacity: waiting.count < 1024)
            nextWaiting = 0
        } else if nextWaiting > 1024 {
            waiting.removeFirst(nextWaiting)
            nextWaiting = 0
        }
        inbox.release(commands: count, bytes: proposals.reduce(0) { $0 + $1.command.count })
        return proposals
    }

    private func submit(
        _ batch: (count: Int, size: Int), _ token: UInt64, _ index: inout UInt64, _ core: OpaquePointer
    ) -> Int32 {
        let length = EntryBatch.padded(batch.size)
        guard let buffer = craft_allocate(length) else { return Int32(CRAFT_NO_MEMORY.rawValue) }
        EntryBatch.encode(
            waiting[nextWaiting..<(nextWaiting + batch.count)].lazy.map(\.command),
            into: UnsafeMutableRawBufferPointer(start: buffer, count: length))
        return craft_apply(core, buffer, length, token, &index)
    }

    /// - Returns: whether the token was an entry's.
    func finishEntry(_ token: UInt64, _ result: Int32) -> Bool {
        guard let entry = underWay.removeValue(forKey: token) else { return false }
        if tokenOfIndex[entry.index] == token { tokenOfIndex[entry.index] = nil }
        if result == 0 && entry.results.count == entry.proposals.count {
            for (proposal, answer) in zip(entry.proposals, entry.results) { proposal.completion(.success(answer)) }
        } else {
            // Once an entry has been handed over, only a success is certain.
            answer(entry.proposals, .outcomeUnknown)
        }
        // The library must not be entered again from here.
        if nextWaiting < waiting.count, let core { craft_wake(core) }
        return true
    }

    /// The engine has ended: entries whose callback never came, and proposals that were never handed over.
    func endProposals(_ late: [Proposal]) {
        for entry in underWay.values { answer(entry.proposals, .outcomeUnknown) }
        underWay = [:]
        tokenOfIndex = [:]
        let refusal = ProposalError.refused(failure ?? "the node is stopping")
        answer(Array(waiting[nextWaiting...]) + late, refusal)
        waiting = []
        nextWaiting = 0
    }

    private func answer(_ proposals: [Proposal], _ error: ProposalError) {
        for proposal in proposals { proposal.completion(.failure(error)) }
    }

    /// Of a call that was refused at once.
    func error(_ result: Int32) -> ProposalError {
        switch craft_result(rawValue: UInt32(bitPattern: result)) {
        case CRAFT_NOT_LEADER: .notLeader(published.withLock { $0.leader })
        case CRAFT_NO_SPACE: .refused("the disks of a majority are full")
        case CRAFT_CANNOT_CHANGE: .refused("another change of the members is under way")
        case CRAFT_DUPLICATE_ID: .refused("a member with this identity exists, under another name")
        case CRAFT_DUPLICATE_NAME: .refused("a member with this name exists, with another identity: remove it first")
        case CRAFT_UNKNOWN_MEMBER: .refused("there is no such member")
        case CRAFT_NO_CONNECTION: .refused("the member could not be brought up to date")
        case CRAFT_NO_MEMORY, CRAFT_LEADERSHIP_LOST, CRAFT_SHUTTING_DOWN: .outcomeUnknown
        default: .refused("the engine refused it")
        }
    }
}
