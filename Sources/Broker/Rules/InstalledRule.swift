import MQTTCodec
import RuleEngine
import Sinks
import Synchronization

/// A rule in force: compiled, with its actions resolved. Immutable but for the list of its counters.
final class InstalledRule: Sendable {
    let id: String
    let compiled: CompiledRule
    let actions: [InstalledAction]
    let maxHops: UInt8
    /// Where it is written: `rules/alert.yaml:3`.
    let origin: String
    let name: String
    let description: String
    let sql: String
    let isEnabled: Bool
    /// What the rule's text, actions and sinks hash to: equal for a rule that a reload leaves as it is.
    let contentHash: String
    /// One for each shard that runs the rule.
    private let counters = Mutex<[RuleCounters]>([])

    init(
        id: String, compiled: CompiledRule, actions: [InstalledAction], maxHops: UInt8, origin: String, name: String,
        description: String, sql: String, isEnabled: Bool, contentHash: String
    ) {
        self.id = id
        self.compiled = compiled
        self.actions = actions
        self.maxHops = maxHops
        self.origin = origin
        self.name = name
        self.description = description
        self.sql = sql
        self.isEnabled = isEnabled
        self.contentHash = contentHash
    }

    /// The topic filters of FROM.
    var filters: [String] {
        compiled.topics.compactMap { if case .filter(let filter) = $0 { filter } else { nil } }
    }

    func listens(to event: EventName) -> Bool { compiled.topics.contains(.event(event)) }

    func makeCounters() -> RuleCounters {
        let made = RuleCounters(actions: actions.count)
        counters.withLock { $0.append(made) }
        return made
    }

    var totals: RuleTotals { counters.withLock { $0.reduce(into: RuleTotals()) { $0.add($1) } } }
}

/// An action of a rule in force.
enum InstalledAction: Sendable {
    /// A sink that buffers and delivers on its own.
    case sink(SinkWorker, use: RuleUse, name: String)
    case republish(RepublishAction, name: String)

    /// `http:alerts`, or `rule~1` for one that is written in the rule.
    var name: String {
        switch self {
        case .sink(_, _, let name), .republish(_, let name): name
        }
    }
}

/// What one shard has counted of one rule. `matched` is the sum of the outcomes, so the figures add up at any moment.
final class RuleCounters: Sendable {
    let passed = Counter()
    let noResult = Counter()
    let exceptions = Counter()
    let rows = Counter()
    /// By action; what sinks do is counted by the sinks.
    let republished: [RepublishCounters]

    init(actions: Int) { republished = (0..<actions).map { _ in RepublishCounters() } }
}

final class RepublishCounters: Sendable {
    let success = Counter()
    let failed = Counter()
}

/// A rule's counts over all shards. Names as EMQX's rule metrics.
package struct RuleTotals: Sendable {
    package var passed = 0
    package var noResult = 0
    package var exceptions = 0
    /// Rows selected; each starts every action of the rule once.
    package var rows = 0
    /// By action.
    package var republished: [(success: Int, failed: Int)] = []

    package var matched: Int { passed + noResult + exceptions }
    package var failed: Int { noResult + exceptions }

    mutating func add(_ counters: RuleCounters) {
        passed += counters.passed.current
        noResult += counters.noResult.current
        exceptions += counters.exceptions.current
        rows += counters.rows.current
        for (index, action) in counters.republished.enumerated() {
            if index == republished.count { republished.append((0, 0)) }
            republished[index].success += action.success.current
            republished[index].failed += action.failed.current
        }
    }
}
