/// The rules that one event concerns, with the union of the paths they read: the payload is scanned once for all.
///
/// Made once for a topic and kept with the topic's routes.
package final class RuleGroup: Sendable {
    package let rules: [CompiledRule]
    private let paths: PayloadPaths
    private let maps: [[Int32]]

    package init(_ rules: [CompiledRule]) {
        self.rules = rules
        var union: [[Reference.Step]] = []
        var numbers: [String: Int32] = [:]
        var maps: [[Int32]] = []
        for rule in rules {
            maps.append(
                rule.payloadReferences.map { steps in
                    let name = steps.map(\.description).joined()
                    if let known = numbers[name] { return known }
                    numbers[name] = Int32(union.count)
                    union.append(steps)
                    return Int32(union.count - 1)
                })
        }
        paths = PayloadPaths(union)
        let slots = paths.slots
        self.maps = maps.map { $0.map { slots[Int($0)] } }
    }

    /// Evaluates all rules for an event, in order; `body` gets each rule with its outcome and its rows.
    ///
    /// The arena is reset by the caller, before or after. `rows` holds the rows of the rule that `body` is called for.
    package func evaluate(
        _ event: any EventColumns, in context: EvaluationContext, rows: RowList,
        _ body: (CompiledRule, Outcome) -> Void
    ) {
        context.frame.payload.begin(paths)
        for index in 0..<rules.count {
            rows.removeAll()
            let outcome = maps[index].withUnsafeBufferPointer { map in
                rules[index].run(event, in: context, map: map.baseAddress, rows: rows)
            }
            body(rules[index], outcome)
        }
    }
}
