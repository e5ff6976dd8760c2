import MQTTCodec
import RuleEngine
import RuleFiles
import Sinks
import Synchronization

/// A rule in force: compiled, with its actions resolved. Immutable but for the list of its counters.
final class InstalledRule: Sendable {
    let id: String
    let compiled: CompiledRule
    let actions: [InstalledAction]
    let maxHops: UInt8
    /// How missing values and payloads enter JSON that the rule itself makes.
    let undefinedAs: JSON.UndefinedEncoding
    let payloadEncoding: PayloadEncoding
    /// Whether a message that it listens to needs no subscriber.
    let consumes: Bool
    /// What holds rows back, with all that it remembers; nil when all pass.
    let gate: RowGate?
    /// Where events go that the statement raises on.
    let deadLetter: InstalledDeadLetter?
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
        _ definition: RuleDefinition, actions: [InstalledAction], gate: RowGate?, deadLetter: InstalledDeadLetter?,
        contentHash: String
    ) {
        id = definition.id
        compiled = definition.compiled
        self.actions = actions
        maxHops = UInt8(clamping: definition.maximumHops)
        undefinedAs = definition.undefinedAs
        payloadEncoding = definition.payloadEncoding
        consumes = definition.consumes
        self.gate = gate
        self.deadLetter = deadLetter
        origin = definition.origin.description
        name = definition.name
        description = definition.description
        sql = definition.sql
        isEnabled = definition.isEnabled
        self.contentHash = contentHash
    }

    /// The topic filters of FROM.
    var filters: [String] {
        compiled.topics.compactMap { if case .filter(let filter) = $0 { filter } else { nil } }
    }

    /// The sinks that it uses.
    var workers: [SinkWorker] {
        let used = actions.compactMap { action -> SinkWorker? in
            if case .sink(let worker, _, _) = action.unguarded { worker } else { nil }
        }
        return deadLetter.map { used + [$0.worker] } ?? used
    }

    func listens(to event: EventName) -> Bool { compiled.topics.contains(.event(event)) }

    func makeCounters() -> RuleCounters {
        let made = RuleCounters(self)
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
    /// One that gets the rows that the condition holds for.
    indirect case guarded(RowCondition, InstalledAction)

    var condition: RowCondition? {
        if case .guarded(let condition, _) = self { condition } else { nil }
    }

    /// Itself without its condition.
    var unguarded: InstalledAction {
        if case .guarded(_, let action) = self { action } else { self }
    }

    /// `http:alerts`, or `rule~1` for one that is written in the rule.
    var name: String {
        switch self {
        case .sink(_, _, let name), .republish(_, let name): name
        case .guarded(_, let action): action.name
        }
    }
}

/// The action of a rule's `on_error`.
struct InstalledDeadLetter: Sendable {
    let worker: SinkWorker
    let use: RuleUse
    let name: String
}
