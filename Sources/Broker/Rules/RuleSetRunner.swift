import RuleEngine

/// The rules of one topic on one shard: evaluated together, so that the payload is scanned once.
final class RuleSetRunner {
    let group: RuleGroup
    private let runners: [RuleRunner]
    /// The same, for the message path: read without counting references. ``runners`` keeps them alive.
    private let members: UnsafeMutableBufferPointer<Unmanaged<RuleRunner>>

    /// Whether the evaluation may come some milliseconds after the message: sinks queue anyway, a republish follows at once.
    let mayWait: Bool
    /// Whether one of the rules takes the message in place of a subscriber.
    let consumes: Bool

    init(group: RuleGroup, runners: [RuleRunner]) {
        self.group = group
        self.runners = runners
        mayWait = runners.allSatisfy(\.mayWait)
        consumes = runners.contains { $0.rule.consumes }
        members = .allocate(capacity: runners.count)
        _ = members.initialize(from: runners.map(Unmanaged.passUnretained))
    }

    deinit { members.deallocate() }

    /// The runner of the group's n-th rule.
    @inline(__always)
    func withMember(_ position: Int, _ body: (RuleRunner) -> Void) {
        members[position]._withUnsafeGuaranteedRef(body)
    }
}
