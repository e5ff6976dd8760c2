/// The compiled form of a rule for people: what it listens to, what it reads, and what happens in which order.
package struct RulePlan: Sendable, Encodable {
    /// One thing that happens for an event.
    package struct Step: Sendable, Encodable {
        package enum Kind: String, Sendable, Encodable {
            /// The payload is read as JSON.
            case scan
            case field
            /// WHERE: where it is false, nothing follows.
            case condition
            /// Each element of FOREACH's array; what follows is done for each.
            case element
            case inCase = "incase"
        }

        package let kind: Kind
        /// As the statement writes it.
        package let text: String
        /// It waits until WHERE was true.
        package let isLazy: Bool
        /// Its value was known when the rule was compiled.
        package let isConstant: Bool
        /// Why it stands here.
        package let note: String?

        init(_ kind: Kind, _ text: String, isLazy: Bool = false, isConstant: Bool = false, note: String? = nil) {
            self.kind = kind
            self.text = text
            self.isLazy = isLazy
            self.isConstant = isConstant
            self.note = note
        }
    }

    /// A part of the statement that was evaluated when the rule was compiled.
    package struct Folded: Sendable, Encodable {
        package let text: String
        package let value: String
    }

    /// Topic filters and events.
    package internal(set) var filters: [String] = []
    package internal(set) var events: [String] = []
    /// In ascending order; `*` among them reads all.
    package internal(set) var columns: [String] = []
    package internal(set) var paths: [String] = []
    package internal(set) var folded: [Folded] = []
    package internal(set) var steps: [Step] = []
    /// Functions whose result depends on more than their arguments, in ascending order.
    package internal(set) var impureFunctions: [String] = []
}

extension RulePlan {
    /// Without the rule's name; ends with a line break.
    package var text: String {
        var text = ""
        for filter in filters { text += "  listens to publishes to \"\(filter)\"\n" }
        for event in events { text += "  listens to the event \(event)\n" }
        text += "  reads columns: \(Self.list(columns))\n"
        text += "  reads JSON paths: \(Self.list(paths))\n"
        for one in folded { text += "  known beforehand: \(one.text) is \(one.value)\n" }
        text += "  order of evaluation:\n"
        for (index, step) in steps.enumerated() {
            text += "    \(index + 1). \(step.text)"
            if let note = step.note { text += "   -- \(note)" }
            text += "\n"
        }
        if !impureFunctions.isEmpty { text += "  depends on more than the event: \(Self.list(impureFunctions))\n" }
        return text
    }

    private static func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
}

extension Compiler {
    /// What the columns and topics of the plan are known by, and the steps in their order.
    func plan(_ topics: [RuleTopic], _ paths: [String]) -> RulePlan {
        var plan = RulePlan()
        for topic in topics {
            switch topic {
            case .filter(let filter): plan.filters.append(filter)
            case .event(let event): plan.events.append(event.rawValue)
            }
        }
        plan.columns = columns.sorted()
        plan.paths = paths
        let outer = folded.filter { one in
            !folded.contains {
                $0.span != one.span && $0.span.lowerBound <= one.span.lowerBound
                    && $0.span.upperBound >= one.span.upperBound
            }
        }
        var seen: Set<String> = []
        plan.folded = outer.sorted { $0.span.lowerBound < $1.span.lowerBound }
            .map { RulePlan.Folded(text: text($0.span), value: $0.value) }
            .filter { $0.text != $0.value && seen.insert($0.text).inserted }
        plan.steps = order
        plan.impureFunctions = impureFunctions.sorted()
        return plan
    }

    /// SELECT: what has to come before WHERE does so, the rest waits.
    mutating func note(_ list: FieldList, _ condition: Expression?) {
        if condition != nil, list.steps.contains(where: { $0.readsPayload }) {
            order.append(
                RulePlan.Step(
                    .scan, "the payload as JSON, in one pass over the paths above",
                    note: "where it is no JSON the rule fails, whatever WHERE says"))
        }
        for step in list.steps where step.isEager && condition != nil {
            order.append(
                RulePlan.Step(
                    .field, step.text, isConstant: step.isConstant,
                    note: step.mayRaise
                        ? "it can fail, and then does whatever WHERE says" : "WHERE or such a field needs it"))
        }
        if let condition {
            order.append(RulePlan.Step(.condition, "WHERE " + text(condition.span), note: "false ends the rule here"))
        }
        for step in list.steps where !step.isEager || condition == nil {
            order.append(
                RulePlan.Step(
                    .field, step.text, isLazy: condition != nil, isConstant: step.isConstant,
                    note: step.isConstant ? "known beforehand" : nil))
        }
    }
}
