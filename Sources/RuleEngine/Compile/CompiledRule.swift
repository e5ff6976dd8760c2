import Buffers

/// A rule ready to be evaluated: immutable, shared by all shards.
///
/// Rows that it selects point into its memory; they are used while the rule is alive and before the arena is reset.
// Immutable after `compile`; the unchecked part is the literal pool's memory.
package final class CompiledRule: @unchecked Sendable {
    package let id: String
    package let sql: String
    /// What the rule listens to, each entry once.
    package let topics: [RuleTopic]
    /// The paths into the payload that it reads, as written (`payload.device.id`), each once.
    package let paths: [String]
    /// The columns that it reads by name, in ascending order; `*` among them reads all.
    package let columns: [String]
    let payloadReferences: [[Reference.Step]]
    private let program: RuleProgram
    private let pool: LiteralPool
    private let payloadPaths: PayloadPaths
    private let identity: UnsafeBufferPointer<Int32>
    private let slotCount: Int
    private let usesEvent: Bool
    /// The compiled form for people.
    package let plan: RulePlan

    private init(
        _ sql: String, _ id: String, _ topics: [RuleTopic], _ program: @escaping RuleProgram, _ compiler: Compiler
    ) throws(EvaluationError) {
        self.id = id
        self.sql = sql
        self.topics = topics
        self.program = program
        payloadReferences = compiler.payloadReferences
        payloadPaths = PayloadPaths(compiler.payloadReferences)
        paths = payloadPaths.names
        columns = compiler.columns.sorted()
        pool = compiler.pool
        identity = try compiler.pool.buffer(payloadPaths.slots)
        slotCount = compiler.slotCount
        usesEvent = compiler.usesEvent
        plan = compiler.plan(topics, payloadPaths.names)
    }

    /// - Parameters:
    ///   - id: of the rule, for the column `metadata`.
    ///   - coverage: counts the branches that evaluations take; a new one for each compilation.
    /// - Returns: the rule, unless a finding is an error; and all findings, in the order of the text.
    package static func compile(
        sql: String, id: String, coverage: RuleCoverage? = nil
    ) -> (rule: CompiledRule?, diagnostics: [Diagnostic]) {
        let parsed = Parser.parse(sql)
        guard let statement = parsed.statement else { return (nil, parsed.diagnostics) }
        let (topics, checked) = Checker.check(statement)
        guard parsed.isValid else { return (nil, together(parsed.diagnostics, checked)) }
        var diagnostics = (parsed.diagnostics + checked).sorted { $0.span.lowerBound < $1.span.lowerBound }
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return (nil, diagnostics) }
        do {
            var compiler = try Compiler(sql: sql, ruleID: id)
            compiler.coverage = coverage
            let program = try compiler.compile(statement)
            diagnostics += compiler.diagnostics
            let rule = try CompiledRule(sql, id, topics, program, compiler)
            return (rule, diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound })
        } catch {
            let problem = Diagnostic(.badText, statement.span, "the statement's literals take too much memory")
            return (nil, diagnostics + [problem])
        }
    }

    /// The text's problems, and what is certainly wrong with the parts that could be read.
    private static func together(_ problems: [Diagnostic], _ checked: [Diagnostic]) -> [Diagnostic] {
        func isApart(_ one: Diagnostic) -> Bool {
            !problems.contains { $0.span.overlaps(one.span) || $0.span.lowerBound == one.span.lowerBound }
        }
        let certain = checked.filter { one in
            one.severity == .error && one.code != .literalCondition && (one.code == .unknownEvent || isApart(one))
                || one.code == .aliasLikeColumn
        }
        return (problems + certain).sorted { $0.span.lowerBound < $1.span.lowerBound }
    }

    /// Evaluates the rule for one event that FROM has been matched with.
    ///
    /// Rows are appended to `rows`, unless anything raised. They lie in the context's arena, which the caller resets.
    /// The event is not kept.
    package func evaluate(_ event: any EventColumns, in context: EvaluationContext, rows: RowList) -> Outcome {
        context.frame.payload.begin(payloadPaths)
        return run(event, in: context, map: identity.baseAddress, rows: rows)
    }

    /// - Parameter map: the number, in the frame's payload cache, of each of this rule's paths.
    func run(
        _ event: any EventColumns, in context: EvaluationContext, map: UnsafePointer<Int32>?, rows: RowList
    ) -> Outcome {
        let frame = context.frame
        let before = rows.count
        if let map { frame.pathMap = map }
        if usesEvent { context.event = event }
        defer {
            frame.end()
            if usesEvent { context.event = nil }
        }
        do {
            try frame.begin(event, slotCount: slotCount)
            let count = try program(frame, rows)
            return count == 0 ? .noResult : .passed(count)
        } catch {
            rows.truncate(to: before)
            return .failed(error)
        }
    }

    /// The compiled form for people: topics, what is read, and the order of evaluation; ends with a line break.
    package func explain() -> String { "rule \(id)\n" + plan.text }
}
