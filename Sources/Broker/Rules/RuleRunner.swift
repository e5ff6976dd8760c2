import RuleEngine
import Sinks

/// One rule on one shard: its counters and its hands into the sinks.
final class RuleRunner {
    enum Action {
        case sink(SinkAppender, RuleUse)
        case republish(RepublishAction)
        case guarded(GuardedAction)
    }

    let rule: InstalledRule
    let counters: RuleCounters
    let actions: [Action]
    /// Whether all actions are sinks, whose queues the rows wait in anyway.
    var mayWait: Bool {
        rule.actions.allSatisfy { action in
            if case .sink = action.unguarded { true } else { false }
        }
    }
    /// There for a rule that can hold rows back.
    let gate: RunnerGate?
    let deadLetter: (appender: SinkAppender, use: RuleUse)?
    /// The sender of what this rule republishes.
    let publisher: Publisher

    init(_ rule: InstalledRule, appender: (SinkWorker) -> SinkAppender) {
        func action(_ installed: InstalledAction) -> Action {
            switch installed {
            case .sink(let sink, let use, _): .sink(appender(sink), use)
            case .republish(let republish, _): .republish(republish)
            case .guarded(_, let inner): action(inner)
            }
        }
        self.rule = rule
        let counters = rule.makeCounters()
        self.counters = counters
        publisher = Publisher(clientID: rule.id, username: nil, peerHost: "", peerName: "")
        actions = zip(rule.actions, counters.guards).map { installed, guarding in
            guard let condition = installed.condition, let guarding else { return action(installed) }
            return .guarded(GuardedAction(condition, action(installed), guarding))
        }
        gate = RunnerGate(rule.gate, counters.gate)
        deadLetter = rule.deadLetter.map { (appender($0.worker), $0.use) }
    }
}

/// An action that gets the rows that its condition holds for.
final class GuardedAction {
    let condition: RowCondition
    let action: RuleRunner.Action
    let counters: GuardCounters

    init(_ condition: RowCondition, _ action: RuleRunner.Action, _ counters: GuardCounters) {
        self.condition = condition
        self.action = action
        self.counters = counters
    }
}

/// A rule's gate, and what this shard has counted of it.
final class RunnerGate {
    let gate: RowGate
    let counters: GateCounters

    init?(_ gate: RowGate?, _ counters: GateCounters?) {
        guard let gate, let counters else { return nil }
        self.gate = gate
        self.counters = counters
    }
}
