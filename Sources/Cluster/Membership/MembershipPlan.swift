package import Consensus

/// What the leader knows when it decides on a request.
package struct MembershipView: Sendable {
    package var state: MetaState
    /// Of the replicated log.
    package var members: [ConsensusMember]
    package var leaderID: UInt64
    /// Ids by the names of the nodes that can be reached, this one included.
    package var alive: [String: UInt64]

    package init(state: MetaState, members: [ConsensusMember], leaderID: UInt64, alive: [String: UInt64]) {
        self.state = state
        self.members = members
        self.leaderID = leaderID
        self.alive = alive
    }

    var voters: [ConsensusMember] { members.filter { $0.role == .voter } }

    func isAlive(_ member: ConsensusMember) -> Bool { alive[member.name] == member.id }
}

/// One step towards what was asked. The leader takes it, looks again, and asks for the next: so a request that was interrupted, by
/// whatever, goes on from where it is when it is made again.
package enum MembershipStep: Sendable, Equatable {
    case change(MembershipChange)
    case propose(MetaCommand)
    case done([String])
    case refuse(MetaFailure)
}

/// Decides how nodes come and go. Pure.
package enum MembershipPlan {
    package static let voterLimit = 7

    package static func next(_ request: MembershipRequest, _ view: MembershipView) -> MembershipStep {
        switch request {
        case .join(let join): next(join, view)
        case .leave(let leave): next(leave, view)
        }
    }

    /// Whether one that only asks might join.
    package static func allows(_ join: MembershipRequest.Join, _ view: MembershipView) -> MetaFailure? {
        if join.featureLevel < view.state.featureLevel {
            return .refused(
                reason:
                    "the cluster works at feature level \(view.state.featureLevel), \(join.name) (\(join.version)) can do \(join.featureLevel)",
                next: "upgrade \(join.name), then join again")
        }
        if join.id != 0, view.state.removed.contains(where: { $0.id == join.id }) {
            return .refused(
                reason: "\(join.name) with this data directory has been removed from the cluster",
                next: "sluice ctl cluster join, on \(join.name): it gets a new one")
        }
        if let member = view.state.members[join.name], member.id != join.id, view.alive[join.name] == member.id {
            return .conflict(
                reason: "there is a node \(join.name) in the cluster, and it runs",
                next: "give this one another node.name, or stop the other")
        }
        if view.state.members[join.name] == nil, view.state.members.count >= MetaLimits.members {
            return .refused(
                reason: "a cluster has at most \(MetaLimits.members) nodes",
                next: "sluice ctl cluster force-leave of one")
        }
        return nil
    }

    // MARK: Join

    private static func next(_ join: MembershipRequest.Join, _ view: MembershipView) -> MembershipStep {
        if let failure = allows(join, view) { return .refuse(failure) }
        guard join.id != 0 else { return .done([]) }
        // A wiped node that comes back, or one that was a core before: its old self goes first.
        if let old = view.members.first(where: { $0.name == join.name && $0.id != join.id }) {
            return .change(.remove(id: old.id))
        }
        let known = view.state.members[join.name]
        if let known, known.id != join.id {
            return .propose(.removeMember(name: known.name, id: known.id, time: join.time))
        }
        // The address first: the others must find it before the log's engine looks for it.
        let member = ClusterMember(
            name: join.name, id: join.id, role: join.role, address: join.address, joined: known?.joined ?? join.time,
            version: join.version, featureLevel: join.featureLevel)
        if known != member { return .propose(.putMember(member)) }
        guard join.role == .core else {
            let part = view.members.first { $0.id == join.id }
            return part == nil ? .done([]) : .change(.remove(id: join.id))
        }
        guard let part = view.members.first(where: { $0.id == join.id }) else {
            return .change(.add(id: join.id, name: join.name))
        }
        switch part.role {
        case .spare: return .change(.assign(id: join.id, role: .standby))
        case .standby:
            return view.voters.count < voterLimit
                ? .change(.assign(id: join.id, role: .voter))
                : .done([
                    "\(join.name) stands by: \(voterLimit) cores vote already, and it takes the place of one that goes"
                ])
        case .voter:
            return .done(
                view.voters.count == 2
                    ? ["two cores tolerate no failure: changes need both of them; let a third one join"] : [])
        }
    }

    // MARK: Leave

    private static func next(_ leave: MembershipRequest.Leave, _ view: MembershipView) -> MembershipStep {
        let known = view.state.members[leave.name]
        let part = view.members.first { $0.name == leave.name && (leave.id == 0 || $0.id == leave.id) }
        guard known != nil || part != nil else {
            // Also the answer to one who asks again after it was done.
            guard let removed = view.state.removed.last(where: { $0.name == leave.name }),
                leave.id == 0 || leave.id == removed.id
            else { return .refuse(.notFound("\(leave.name) is not in the cluster")) }
            return promoted(view) ?? .done([])
        }
        if leave.id != 0, let known, known.id != leave.id {
            return .refuse(.notFound("that \(leave.name) is not in the cluster"))
        }
        if leave.isForced, !leave.mayBeAlive, view.alive[leave.name] != nil {
            return .refuse(
                .refused(
                    reason: "\(leave.name) is alive",
                    next: "sluice ctl cluster leave, on \(leave.name); or force-leave \(leave.name) --live"))
        }
        if let part, let step = leaves(part, view) { return step }
        if let known {
            return .propose(.removeMember(name: known.name, id: known.id, time: leave.time))
        }
        return promoted(view) ?? .done([])
    }

    /// The next step to take a member out of the log; nil when it is out.
    private static func leaves(_ part: ConsensusMember, _ view: MembershipView) -> MembershipStep? {
        guard part.role == .voter else { return .change(.remove(id: part.id)) }
        let others = view.voters.filter { $0.id != part.id }
        guard !others.isEmpty else {
            if let heir = view.members.first(where: { $0.id != part.id && view.isAlive($0) }) {
                return .change(.assign(id: heir.id, role: heir.role == .spare ? .standby : .voter))
            }
            return .refuse(
                .refused(
                    reason: "\(part.name) is the only core of the cluster: the rules would go with it",
                    next: "let another core join first"))
        }
        let living = others.filter { view.isAlive($0) }
        guard living.count > others.count / 2 else {
            let dead = others.filter { !view.isAlive($0) }.map(\.name).joined(separator: ", ")
            return .refuse(
                .refused(
                    reason: "without \(part.name) the cores would have no majority: \(dead) can't be reached",
                    next: "start \(dead), or sluice ctl cluster force-leave, first"))
        }
        if part.id == view.leaderID {
            return .change(.transfer(to: living.map(\.id).min()))
        }
        return .change(.remove(id: part.id))
    }

    /// A core that stands by takes the place of a voter that went.
    private static func promoted(_ view: MembershipView) -> MembershipStep? {
        guard view.voters.count < voterLimit,
            let heir = view.members.filter({ $0.role == .standby && view.isAlive($0) }).min(by: { $0.id < $1.id })
        else { return nil }
        return .change(.assign(id: heir.id, role: .voter))
    }
}
