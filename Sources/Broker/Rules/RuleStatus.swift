import Sinks

/// A rule as administration shows it: what it is and what it has counted.
///
/// The outcomes of the sinks are read before the rule's own counts, and what is not accounted for yet is *queued*: so at
/// any moment `matched = passed + no result + exceptions` and
/// `rows × actions = success + failed + dropped + queued + skipped`. What `sample`, `on_change`, `suppress` and `throttle`
/// hold back is no row any more: a match of which no row is left is one without result, and `rows + held.rows` is what
/// the statement has selected.
package struct RuleStatus: Sendable {
    package struct Action: Sendable {
        package let name: String
        package let success: Int
        package let failed: Int
        package let dropped: Int
        package let queued: Int
        /// Rows that its condition kept from it; nil for an action without one.
        package let skipped: Int?
    }

    package let id: String
    package let name: String
    package let description: String
    package let isEnabled: Bool
    package let sql: String
    package let origin: String
    /// The generation of the rules that gave it its text.
    package let generation: Int
    package let explanation: String
    package let totals: RuleTotals
    package let actions: [Action]
    /// What became of the events that the statement raised on; nil when they go nowhere.
    package let deadLetter: Action?
    /// Whether the rule can hold rows back.
    package let hasGate: Bool
    /// What it holds rows back by, a line for each option.
    package let options: [String]
    /// What it remembers for that: keys, and how many were forgotten for others.
    package let memory: [(option: String, keys: Int, forgotten: Int)]

    init(_ rule: InstalledRule, generation: Int) {
        id = rule.id
        self.generation = generation
        name = rule.name
        description = rule.description
        isEnabled = rule.isEnabled
        sql = rule.sql
        origin = rule.origin
        explanation = rule.compiled.explain()
        hasGate = rule.gate != nil
        options = rule.gate?.settings.lines ?? []
        memory = rule.gate?.figures ?? []
        let outcomes = rule.actions.map { action -> SinkCounters? in
            guard case .sink(let worker, let use, _) = action.unguarded else { return nil }
            return worker.counters(of: use)
        }
        let deadLetters = rule.deadLetter.map { $0.worker.counters(of: $0.use) }
        let totals = rule.totals
        self.totals = totals
        actions = zip(rule.actions, outcomes).enumerated().map { index, pair in
            Action(pair.0, pair.1, totals, index)
        }
        deadLetter = zip(rule.deadLetter, deadLetters) { letter, done in
            Action(
                name: letter.name, success: done.success, failed: done.failed, dropped: done.dropped,
                queued: max(0, totals.deadLetters - done.success - done.failed - done.dropped), skipped: nil)
        }
    }

    package var actionsTotal: Int { actions.reduce(0) { $0 + $1.success + $1.failed + $1.dropped + $1.queued } }
    package var actionsSuccess: Int { actions.reduce(0) { $0 + $1.success } }
    package var actionsFailed: Int { actions.reduce(0) { $0 + $1.failed } }
    package var actionsDropped: Int { actions.reduce(0) { $0 + $1.dropped } }
    package var actionsQueued: Int { actions.reduce(0) { $0 + $1.queued } }
}

extension RuleStatus.Action {
    /// - Parameter outcome: what the sink counted; nil for a republish.
    fileprivate init(_ action: InstalledAction, _ outcome: SinkCounters?, _ totals: RuleTotals, _ index: Int) {
        let guarded = index < totals.guarded.count ? totals.guarded[index] : (skipped: 0, failed: 0)
        let republished = index < totals.republished.count ? totals.republished[index] : (success: 0, failed: 0)
        name = action.name
        success = outcome?.success ?? republished.success
        failed = (outcome?.failed ?? republished.failed) + guarded.failed
        dropped = outcome?.dropped ?? 0
        skipped = action.condition == nil ? nil : guarded.skipped
        queued = max(0, totals.rows - success - failed - dropped - guarded.skipped)
    }
}

private func zip<A, B, Result>(_ first: A?, _ second: B?, _ body: (A, B) -> Result) -> Result? {
    guard let first, let second else { return nil }
    return body(first, second)
}
