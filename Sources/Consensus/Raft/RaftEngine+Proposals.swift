import CRaft

/// An entry handed to the library, with the proposals in it and the machine's answers so far.
struct SubmittedEntry {
    var proposals: [Proposal]
    var index: UInt64
    var results: [[UInt8]] = []
}

// Group commit: while as many entries as allowed are under way, what comes waits, and shares the next one.
extension RaftEngine {
    func submitWaiting(_ core: OpaquePointer) {
        while nextWaiting < waiting.count, underWay.count < configuration.entriesInFlight, !isEnding, failure == nil {
            submit(takeBatch(), core)
        }
    }

    /// The first that waits, and those after it that fit into the entry.
    private func takeBatch() -> (proposals: [Proposal], size: Int) {
        let first = nextWaiting
        var size = EntryBatch.header
        repeat {
            size += EntryBatch.size(ofCommand: waiting[nextWaiting].command.count)
            nextWaiting += 1
        } while nextWaiting < waiting.count
            && size + EntryBatch.size(ofCommand: waiting[nextWaiting].command.count) <= configuration.entryBytes
        let proposals = Array(waiting[first..<nextWaiting])
        if nextWaiting == waiting.count {
            waiting.removeAll(keepingCapacity: waiting.count < 1024)
            nextWaiting = 0
        } else if nextWaiting > 1024 {
            waiting.removeFirst(nextWaiting)
            nextWaiting = 0
        }
        inbox.release(commands: proposals.count, bytes: proposals.reduce(0) { $0 + $1.command.count })
        return (proposals, size)
    }

    private func submit(_ batch: (proposals: [Proposal], size: Int), _ core: OpaquePointer) {
        let length = EntryBatch.padded(batch.size)
        guard let buffer = craft_allocate(length) else {
            return answer(batch.proposals, .refused("there is no memory"))
        }
        EntryBatch.encode(
            batch.proposals.lazy.map(\.command), into: UnsafeMutableRawBufferPointer(start: buffer, count: length))
        let token = makeToken()
        var index: UInt64 = 0
        let result = craft_apply(core, buffer, length, token, &index)
        guard result == 0 else { return answer(batch.proposals, error(result)) }
        underWay[token] = SubmittedEntry(proposals: batch.proposals, index: index)
        tokenOfIndex[index] = token
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
