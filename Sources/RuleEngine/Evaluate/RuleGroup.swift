/// The rules that one event concerns, with the union of the paths they read: the payload is scanned once for all.
///
/// Made once for a topic and kept with the topic's routes.
// Immutable; the memory is freed with it.
package final class RuleGroup: @unchecked Sendable {
    package let rules: [CompiledRule]
    private let paths: PayloadPaths
    /// The same rules, kept by ``rules``, and for each the slots of its paths: memory, so that going through it counts no
    /// owners.
    private let entries: UnsafeMutableBufferPointer<Entry>

    private struct Entry {
        unowned(unsafe) let rule: CompiledRule
        let map: UnsafeMutableBufferPointer<Int32>
    }

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
        entries = .allocate(capacity: rules.count)
        for (index, rule) in rules.enumerated() {
            let map = UnsafeMutableBufferPointer<Int32>.allocate(capacity: maps[index].count)
            _ = map.initialize(from: maps[index].map { slots[Int($0)] })
            entries.initializeElement(at: index, to: Entry(rule: rule, map: map))
        }
    }

    deinit {
        for entry in entries { entry.map.deallocate() }
        entries.deallocate()
    }

    /// Evaluates all rules for an event, in order; `body` gets each rule with its outcome and its rows.
    ///
    /// The arena is reset by the caller, before or after. `rows` holds the rows of the rule that `body` is called for.
    package func evaluate(
        _ event: any EventColumns, in context: EvaluationContext, rows: RowList,
        _ body: (CompiledRule, Outcome) -> Void
    ) {
        context.frame.payload.begin(paths)
        for index in 0..<entries.count {
            rows.removeAll()
            let rule = entries[index].rule
            body(rule, rule.run(event, in: context, map: entries[index].map.baseAddress, rows: rows))
        }
    }
}
