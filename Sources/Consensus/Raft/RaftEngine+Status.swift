import CRaft

extension RaftEngine {
    func publish(_ core: OpaquePointer) {
        var raw = craft_status()
        craft_get_status(core, &raw)
        var status = published.withLock { $0 }
        let before = status
        status.state = .init(rawValue: UInt8(truncatingIfNeeded: raw.state)) ?? .unavailable
        status.term = raw.term
        status.leaderID = raw.leader
        status.leader =
            raw.leader == 0
            ? nil : withUnsafeBytes(of: raw.leader_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        status.lastIndex = raw.last_index
        status.commitIndex = raw.commit_index
        status.appliedIndex = max(raw.applied_index, machineIndex)
        // Once it has caught up after the start it stays so: a node that has lost its leader knows as much as one can.
        if raw.current { status.isCurrent = true }
        if configurationSignature != raw.configuration_signature {
            configurationSignature = raw.configuration_signature
            status.members = members(core)
        }
        if failure != nil { status.failure = failure }
        if raw.term > 0 && !isMarked { mark() }
        publishGuards(core)
        tell(status, before)
    }

    func publishEnd() {
        let before = published.withLock { $0 }
        var status = before
        status.state = .unavailable
        status.leader = nil
        status.leaderID = 0
        status.failure = failure
        tell(status, before)
    }

    private func tell(_ status: ConsensusStatus, _ before: ConsensusStatus) {
        guard status != before else { return }
        published.withLock { $0 = status }
        let observer = observer.withLock { $0 }
        observer?(status)
    }

    private func members(_ core: OpaquePointer) -> [ConsensusMember] {
        let count = Int(craft_members(core, nil, 0))
        var raw = [craft_member](repeating: craft_member(), count: count)
        _ = craft_members(core, &raw, UInt32(count))
        return raw.map(ConsensusMember.init)
    }

    private func publishGuards(_ core: OpaquePointer) {
        var raw = craft_counters()
        craft_get_counters(core, &raw)
        guards.withLock {
            $0.droppedSnapshots = raw.dropped_snapshots
            $0.relabelledSnapshots = raw.relabelled_snapshots
            $0.refusedSnapshots = raw.refused_snapshots
        }
    }

    /// Written when this member first has a term. Without it an emptied folder would pass for a new member's.
    private func mark() {
        do {
            try AtomicFile.write("This member has taken part in the group.\n", to: configuration.markFile)
            isMarked = true
        } catch {
            log.warning("A file of the replicated log cannot be written.", metadata: ["reason": "\(error)"])
        }
    }
}
