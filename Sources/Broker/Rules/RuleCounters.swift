import MQTTCodec
package import RuleEngine
import Synchronization

/// What one shard has counted of one rule. `matched` is the sum of the outcomes, so the figures add up at any moment.
final class RuleCounters: Sendable {
    let passed = Counter()
    let noResult = Counter()
    let exceptions = Counter()
    /// Rows that went on to the actions.
    let rows = Counter()
    /// Events that were handed to the action of `on_error`.
    let deadLetters = Counter()
    /// The last failure; written when there is one and at no other time.
    private let failure = Mutex<RuleFailure?>(nil)
    /// By action; what sinks do is counted by the sinks.
    let republished: [RepublishCounters]
    /// By action; for those that have a condition.
    let guards: [GuardCounters?]
    /// There for a rule that holds rows back.
    let gate: GateCounters?

    init(_ rule: InstalledRule) {
        republished = rule.actions.map { _ in RepublishCounters() }
        guards = rule.actions.map { $0.condition == nil ? nil : GuardCounters() }
        gate = rule.gate == nil ? nil : GateCounters()
    }

    /// Remembers a failure; the text is made when somebody asks for it.
    @inline(never)
    func note(_ error: EvaluationError, in part: RuleFailure.Part, nanoseconds: Int64) {
        failure.withLock { $0 = RuleFailure(part: part, error: error, milliseconds: nanoseconds / 1_000_000) }
    }

    var lastFailure: RuleFailure? { failure.withLock { $0 } }
}

final class RepublishCounters: Sendable {
    let success = Counter()
    let failed = Counter()
}

/// What an action's condition did with rows.
final class GuardCounters: Sendable {
    let skipped = Counter()
    /// It raised; the action failed.
    let failed = Counter()
}

/// What a rule held back. Rows, but for the matches that no row was left of.
final class GateCounters: Sendable {
    let matches = Counter()
    private let sampled = Counter()
    private let unchanged = Counter()
    private let suppressed = Counter()
    private let throttled = Counter()

    func add(_ verdict: GateVerdict, rows: Int) {
        switch verdict {
        case .passes: break
        case .sampled: sampled.add(rows)
        case .unchanged: unchanged.add(rows)
        case .suppressed: suppressed.add(rows)
        case .throttled: throttled.add(rows)
        }
    }

    var totals: HeldTotals {
        HeldTotals(
            matches: matches.current, sampled: sampled.current, unchanged: unchanged.current,
            suppressed: suppressed.current, throttled: throttled.current)
    }
}

/// What `sample`, `on_change`, `suppress` and `throttle` held back.
package struct HeldTotals: Sendable {
    /// Matches of which no row was left; they are among those without result.
    package var matches = 0
    /// Rows, by what held them back.
    package var sampled = 0
    package var unchanged = 0
    package var suppressed = 0
    package var throttled = 0

    package var rows: Int { sampled + unchanged + suppressed + throttled }

    static func += (sum: inout HeldTotals, other: HeldTotals) {
        sum.matches += other.matches
        sum.sampled += other.sampled
        sum.unchanged += other.unchanged
        sum.suppressed += other.suppressed
        sum.throttled += other.throttled
    }
}

/// Why an event failed in a rule, and when.
package struct RuleFailure: Sendable {
    package enum Part: String, Sendable {
        /// Counted as `failed.exception`.
        case statement
        /// The condition of an action; counted as a failure of the action.
        case condition
        /// A republish; counted as a failure of the action.
        case republish
    }

    package let part: Part
    package let error: EvaluationError
    /// Since 1970.
    package let milliseconds: Int64
}

/// A rule's counts over all shards. Names as EMQX's rule metrics.
package struct RuleTotals: Sendable {
    package var passed = 0
    /// WHERE was false, FOREACH kept no element, or all rows were held back.
    package var noResult = 0
    package var exceptions = 0
    /// Rows that went on to the actions; each starts every action of the rule once.
    package var rows = 0
    package var held = HeldTotals()
    package var deadLetters = 0
    /// The last one of any shard; nil when nothing has failed.
    package var lastFailure: RuleFailure?
    /// By action.
    package var republished: [(success: Int, failed: Int)] = []
    /// By action: rows that its condition kept from it, and those that the condition raised on.
    package var guarded: [(skipped: Int, failed: Int)] = []

    package var matched: Int { passed + noResult + exceptions }
    package var failed: Int { noResult + exceptions }

    mutating func add(_ counters: RuleCounters) {
        for (index, action) in counters.republished.enumerated() {
            if index == republished.count { republished.append((0, 0)) }
            republished[index].success += action.success.current
            republished[index].failed += action.failed.current
        }
        for (index, action) in counters.guards.enumerated() {
            if index == guarded.count { guarded.append((0, 0)) }
            guarded[index].skipped += action?.skipped.current ?? 0
            guarded[index].failed += action?.failed.current ?? 0
        }
        if let gate = counters.gate { held += gate.totals }
        deadLetters += counters.deadLetters.current
        if let failure = counters.lastFailure, failure.milliseconds >= lastFailure?.milliseconds ?? .min {
            lastFailure = failure
        }
        passed += counters.passed.current
        noResult += counters.noResult.current
        exceptions += counters.exceptions.current
        rows += counters.rows.current
    }
}
