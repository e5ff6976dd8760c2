import ConfigSchema
import RuleEngine

/// Finds rules whose republished messages come back to them, by way of their own FROM or of other rules.
///
/// A WHERE that breaks the cycle is not seen: what is reported can happen, it need not. A topic of which nothing is known
/// until a message comes is not followed.
struct RepublishCycle {
    /// A message that the rule publishes and another takes.
    private struct Edge {
        let to: Int
        /// The template, and where it stands.
        let topic: YAMLNode
        /// The filter that takes it.
        let filter: String
    }

    private let rules: [RuleDefinition]
    private var edges: [[Edge]] = []

    static func problems(_ definition: RuleSetDefinition) -> [ConfigProblem] {
        RepublishCycle(definition.rules.filter(\.isEnabled)).problems()
    }

    private init(_ rules: [RuleDefinition]) {
        self.rules = rules
        edges = rules.map { edges(of: $0) }
    }

    private func edges(of rule: RuleDefinition) -> [Edge] {
        rule.actions.flatMap { use -> [Edge] in
            guard case .republish(let arguments) = use.kind,
                let node = (use.node["args"] ?? use.node["republish"])?["topic"]
            else { return [] }
            if case .boolean(true) = arguments.directDispatch { return [] }
            let patterns = TopicPattern.patterns(
                arguments.topic, extensions: arguments.extensions, topics: topics(of: rule))
            return rules.indices.compactMap { index in
                for case .filter(let filter) in rules[index].compiled.topics {
                    guard patterns.contains(where: { !$0.isUnknown && $0.canMatch(filter) }) else { continue }
                    return Edge(to: index, topic: node, filter: filter)
                }
                return nil
            }
        }
    }

    /// What `${topic}` can be: FROM's filters, if the statement selects the column as it is.
    private func topics(of rule: RuleDefinition) -> [String] {
        guard CompiledRule.selectsTopic(ofSQL: rule.sql) else { return [] }
        return rule.compiled.topics.compactMap { if case .filter(let filter) = $0 { filter } else { nil } }
    }

    private func problems() -> [ConfigProblem] {
        var told: Set<Set<Int>> = []
        return rules.indices.compactMap { start in
            guard let cycle = shortestCycle(from: start), told.insert(Set(cycle.map(\.to))).inserted else { return nil }
            return problem(start, cycle)
        }
    }

    /// The edges of a shortest way back to the rule; nil where there is none.
    private func shortestCycle(from start: Int) -> [Edge]? {
        var ways: [[Edge]] = [[]]
        var seen: Set<Int> = []
        while !ways.isEmpty {
            var next: [[Edge]] = []
            for way in ways {
                for edge in edges[way.last?.to ?? start] {
                    if edge.to == start { return way + [edge] }
                    if seen.insert(edge.to).inserted { next.append(way + [edge]) }
                }
            }
            ways = next
        }
        return nil
    }

    private func problem(_ start: Int, _ cycle: [Edge]) -> ConfigProblem {
        let first = cycle[0]
        let topic = first.topic.text ?? ""
        let names = ([start] + cycle.map(\.to)).map { rules[$0].id }.joined(separator: " → ")
        var hint = "publish to a topic outside of \"\(first.filter)\", or leave it out with WHERE"
        let message: String
        if cycle.count == 1 {
            message = "the rule takes what it republishes: \"\(topic)\" can match its own FROM \"\(first.filter)\""
            hint += "; the rule does not republish its own messages again, other actions run"
        } else {
            let places = cycle.dropFirst().map { "\($0.topic.source.name):\($0.topic.start)" }.joined(separator: ", ")
            message = "republished messages go in a circle: \(names)"
            hint += "; it goes on at \(places), and max_hops ends it"
        }
        return ConfigProblem(
            .republishCycle, message, severity: .warning, hint: hint, in: first.topic.source, at: first.topic.start,
            length: first.topic.markedLength)
    }
}
