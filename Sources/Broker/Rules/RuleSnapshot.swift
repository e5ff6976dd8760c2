import RuleEngine

/// The rules in force, as one immutable value. The node publishes it; each shard keeps its own reference.
final class RuleSnapshot: Sendable {
    let rules: [InstalledRule]
    let byEvent: [EventName: [InstalledRule]]

    init(rules: [InstalledRule]) {
        self.rules = rules
        var byEvent: [EventName: [InstalledRule]] = [:]
        for rule in rules where rule.isEnabled {
            for event in EventName.allCases where rule.listens(to: event) { byEvent[event, default: []].append(rule) }
        }
        self.byEvent = byEvent
    }

    static let empty = RuleSnapshot(rules: [])
}
