import Sinks

/// A rule as administration shows it: what it is and what it has counted.
///
/// The outcomes of the sinks are read before the rule's own counts, and what is not accounted for yet is *queued*: so at
/// any moment `matched = passed + no result + exceptions` and
/// `rows × actions = success + failed + dropped + queued`.
package struct RuleStatus: Sendable {
    package struct Action: Sendable {
        package let name: String
        package let success: Int
        package let failed: Int
        package let dropped: Int
        package let queued: Int
    }

    package let id: String
    package let name: String
    package let description: String
    package let isEnabled: Bool
    package let sql: String
    package let origin: String
    package let explanation: String
    package let totals: RuleTotals
    package let actions: [Action]

    init(_ rule: InstalledRule) {
        id = rule.id
        name = rule.name
        description = rule.description
        isEnabled = rule.isEnabled
        sql = rule.sql
        origin = rule.origin
        explanation = rule.compiled.explain()
        let outcomes = rule.actions.map { action -> SinkCounters? in
            guard case .sink(let worker, let use, _) = action else { return nil }
            return worker.counters(of: use)
        }
        let totals = rule.totals
        self.totals = totals
        actions = zip(rule.actions, outcomes).enumerated().map { index, pair in
            let (action, counters) = pair
            guard let counters else {
                let done = index < totals.republished.count ? totals.republished[index] : (success: 0, failed: 0)
                return Action(
                    name: action.name, success: done.success, failed: done.failed, dropped: 0,
                    queued: max(0, totals.rows - done.success - done.failed))
            }
            let done = counters.success + counters.failed + counters.dropped
            return Action(
                name: action.name, success: counters.success, failed: counters.failed, dropped: counters.dropped,
                queued: max(0, totals.rows - done))
        }
    }

    package var actionsTotal: Int { actions.reduce(0) { $0 + $1.success + $1.failed + $1.dropped + $1.queued } }
    package var actionsSuccess: Int { actions.reduce(0) { $0 + $1.success } }
    package var actionsFailed: Int { actions.reduce(0) { $0 + $1.failed } }
    package var actionsDropped: Int { actions.reduce(0) { $0 + $1.dropped } }
    package var actionsQueued: Int { actions.reduce(0) { $0 + $1.queued } }
}
