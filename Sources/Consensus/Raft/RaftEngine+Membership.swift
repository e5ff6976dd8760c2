import CRaft

struct PendingChange {
    let change: MembershipChange
    let completion: @Sendable (Result<Void, ProposalError>) -> Void
    /// Of the loop's clock: not before this, and not after that.
    var begin: UInt64
    let deadline: UInt64
}

// Changes of the members are made one after another. The library refuses one while another is under way, and gives a new voter up
// that does not catch up soon: both are tried again for a while.
extension RaftEngine {
    private static let patience: UInt64 = 60_000
    private static let pause: UInt64 = 100

    func addChange(
        _ change: MembershipChange, _ completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void,
        _ core: OpaquePointer
    ) {
        let now = craft_now(core)
        guard changes.count < 64 else { return completion(.failure(.refused("too many changes are waiting"))) }
        changes.append(
            PendingChange(change: change, completion: completion, begin: now, deadline: now + Self.patience))
    }

    /// Each turn: the first that waits, when its time has come.
    func beginNextChange(_ core: OpaquePointer) {
        while runningChange == nil, let next = changes.first, craft_now(core) >= next.begin, !isEnding, failure == nil {
            if isDone(next.change) {
                endFirstChange(.success(()))
                continue
            }
            let token = makeToken()
            let result = start(next.change, token, core)
            if result == 0 { runningChange = token } else { changeEnded(result, core) }
        }
    }

    /// - Returns: whether the token was a change's.
    func finishChange(_ token: UInt64, _ result: Int32) -> Bool {
        guard token == runningChange, let core else { return false }
        runningChange = nil
        changeEnded(result, core)
        // The next one begins with the next turn: the library must not be entered again from here.
        return true
    }

    func endChanges() {
        let isRunning = runningChange != nil
        runningChange = nil
        for (position, change) in changes.enumerated() {
            let isUnknown = isRunning && position == 0
            change.completion(.failure(isUnknown ? .outcomeUnknown : .refused(failure ?? "the node is stopping")))
        }
        changes = []
    }

    private func start(_ change: MembershipChange, _ token: UInt64, _ core: OpaquePointer) -> Int32 {
        switch change {
        case .add(let id, let name): craft_add(core, id, name, token)
        case .assign(let id, let role): craft_assign(core, id, Int32(role.rawValue), token)
        case .remove(let id): craft_remove(core, id, token)
        case .transfer(let id): craft_transfer(core, id ?? 0, token)
        }
    }

    private func changeEnded(_ result: Int32, _ core: OpaquePointer) {
        guard let first = changes.first else { return }
        switch craft_result(rawValue: UInt32(bitPattern: result)) {
        case CRAFT_OK: endFirstChange(.success(()))
        case CRAFT_CANNOT_CHANGE, CRAFT_NO_CONNECTION:
            guard craft_now(core) + Self.pause < first.deadline else { return endFirstChange(.failure(error(result))) }
            changes[0].begin = craft_now(core) + Self.pause
        case CRAFT_FAILED where first.change.isTransfer:
            endFirstChange(.failure(.refused("no other member has taken the leadership over in time")))
        default: endFirstChange(.failure(error(result)))
        }
    }

    private func endFirstChange(_ result: Result<Void, ProposalError>) {
        changes.removeFirst().completion(result)
    }

    /// Whether the members are already as wished, so that a change may be asked for again. Only a leader's word counts.
    private func isDone(_ change: MembershipChange) -> Bool {
        let status = published.withLock { $0 }
        guard status.state == .leader, status.isCurrent else { return false }
        switch change {
        case .add(let id, let name): return status.members.contains { $0.id == id && $0.name == name }
        case .assign(let id, let role): return status.members.contains { $0.id == id && $0.role == role }
        case .remove(let id): return !status.members.contains { $0.id == id }
        case .transfer(let id): return id == configuration.id
        }
    }

    func finished(_ token: UInt64, _ result: Int32) {
        if !finishEntry(token, result) { _ = finishChange(token, result) }
    }
}

extension MembershipChange {
    fileprivate var isTransfer: Bool {
        if case .transfer = self { true } else { false }
    }
}
