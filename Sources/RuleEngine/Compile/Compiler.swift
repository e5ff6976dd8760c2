import Buffers

/// Turns a checked statement into closures over slots.
///
/// Everything whose meaning is known at this point is settled here: which slot or column a name is, which paths of the
/// payload are read, which calls are constant, which fields can wait until WHERE has been decided.
struct Compiler {
    let pool: LiteralPool
    let metadata: Value
    /// Constant paths into the payload, each once.
    var payloadReferences: [[Reference.Step]] = []
    private var payloadNumbers: [String: Int] = [:]
    var slotCount = 0
    var uses = Uses()
    var reads = SlotReads()
    /// Whether a function looks at the event by itself.
    var usesEvent = false
    var columns: Set<String> = []
    /// Calls of literals that raise: they do so for every event.
    var diagnostics: [Diagnostic] = []
    /// What happens in which order, for people.
    var order: [RulePlan.Step] = []
    /// What was evaluated beforehand, with its value as JSON.
    var folded: [(span: Range<Int>, value: String)] = []
    var impureFunctions: Set<String> = []
    let sql: String
    /// What counts the branches that are taken; nil but for tests of rules.
    var coverage: RuleCoverage?
    /// Whether WHERE or INCASE is being compiled.
    var isInClause = false

    init(sql: String, ruleID: String) throws(EvaluationError) {
        self.sql = sql
        pool = LiteralPool()
        let id = try pool.arena.string(ruleID)
        metadata = try pool.arena.object([Member(key: try pool.bytes("rule_id"), value: id)])
    }

    mutating func compile(_ statement: Statement) throws(EvaluationError) -> RuleProgram {
        switch statement.body {
        case .select(let fields):
            return watched(try compileSelect(fields, where: statement.condition).program)
        case .foreach(let fields, let each, let inCase):
            return watched(try compileForeach(fields, each, inCase, where: statement.condition).program)
        }
    }

    // MARK: SELECT

    private mutating func compileSelect(_ fields: [Field], where condition: Expression?) throws(EvaluationError)
        -> SelectProgram
    {
        var list = try compileFields(fields, Scope())
        uses = Uses()
        let test: Condition? =
            if let condition {
                Condition(holds: try compileClause(.condition, condition, list.scope.overlaid()))
            } else { nil }
        list.deferWhatCanWait(untilAfter: test == nil ? nil : uses.slots)
        note(list, condition)
        return SelectProgram(
            scansFirst: list.steps.contains { $0.readsPayload },
            eager: list.steps.filter(\.isEager).map { Step(run: $0.run) }, condition: test,
            deferred: list.steps.filter { !$0.isEager }.map { Step(run: $0.run) }, row: list.row)
    }

    // MARK: FOREACH

    private mutating func compileForeach(
        _ fields: [Field], _ each: [Field]?, _ inCase: Expression?, where condition: Expression?
    ) throws(EvaluationError) -> ForeachProgram {
        let list = try compileFields(fields, Scope())
        let collection = list.steps[list.steps.count - 1]
        var isPayload = false
        if case .expression(let last) = fields[fields.count - 1].value, case .reference(let reference) = last.kind {
            let isColumn = fields.dropLast().allSatisfy { $0.alias?.name != "payload" }
            isPayload = isColumn && reference.name == "payload" && reference.steps.isEmpty
        }
        for step in list.steps { order.append(RulePlan.Step(.field, step.text, isConstant: step.isConstant)) }
        var scope = list.scope.overlaid()
        let test: Condition? =
            if let condition { Condition(holds: try compileClause(.condition, condition, scope)) } else { nil }
        if let condition {
            order.append(RulePlan.Step(.condition, "WHERE " + text(condition.span), note: "false ends the rule here"))
        }
        // The element hides the collection of the same name, or whatever is called `item`.
        let alias = fields[fields.count - 1].alias
        let element = newSlot()
        scope.overlay[alias?.name ?? "item"] = element
        order.append(RulePlan.Step(.element, "for each element as `\(alias?.name ?? "item")`"))
        let keep: Condition? =
            if let inCase { Condition(holds: try compileClause(.inCase, inCase, scope)) } else { nil }
        if let inCase {
            order.append(
                RulePlan.Step(.inCase, "INCASE " + text(inCase.span), note: "false leaves the element out"))
        }
        var rowScope = Scope(overlay: scope.overlay)
        let row: FieldList
        if let each {
            row = try compileFields(each, rowScope)
        } else {
            rowScope.row = [:]
            row = try compileFields([Field(value: .all, alias: nil, span: 0..<0)], rowScope)
        }
        let elements = try projection(list, each, element, hasAlias: alias != nil)
        for step in row.steps {
            order.append(
                RulePlan.Step(
                    .field, each == nil ? "all columns" : step.text, isLazy: true, isConstant: step.isConstant))
        }
        return ForeachProgram(
            fields: list.steps.map { Step(run: $0.run) }, collection: collection.result, elements: elements,
            decodesPayload: isPayload,
            condition: test,
            element: element,
            inCase: keep, each: row.steps.map { Step(run: $0.run) }, row: row.row)
    }

    /// Which members of the elements are read, when nothing else is read of them or of their array.
    private func projection(
        _ fields: FieldList, _ each: [Field]?, _ element: Int, hasAlias: Bool
    ) throws(EvaluationError) -> ElementProjection? {
        guard let last = fields.steps.last, let path = last.payloadPath, hasAlias, let each, coverage == nil else {
            return nil
        }
        let copiesAll = each.contains { if case .all = $0.value { true } else { false } }
        let isRead = reads.whole.contains(last.result) || reads.keys[last.result] != nil
        guard !copiesAll, !isRead, !reads.whole.contains(element) else { return nil }
        let names = (reads.keys[element] ?? []).sorted { $0.lexicographicallyPrecedes($1) }
        var keys: [Bytes] = []
        for name in names { keys.append(try pool.bytes(String(decoding: name, as: UTF8.self))) }
        return ElementProjection(path: path, wanted: try pool.buffer(keys))
    }

    // MARK: services

    mutating func newSlot() -> Int {
        slotCount += 1
        return slotCount - 1
    }

    func text(_ span: Range<Int>) -> String {
        String(decoding: Array(sql.utf8)[span], as: UTF8.self).split(whereSeparator: \.isWhitespace).joined(
            separator: " ")
    }

    mutating func payloadNumber(_ steps: [Reference.Step]) -> Int {
        let name = steps.map(\.description).joined()
        if let known = payloadNumbers[name] { return known }
        payloadNumbers[name] = payloadReferences.count
        payloadReferences.append(steps)
        return payloadReferences.count - 1
    }
}
