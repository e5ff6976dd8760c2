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
    private let order: [String]

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
        order = compiler.order
    }

    /// - Parameters:
    ///   - id: of the rule, for the column `metadata`.
    ///   - coverage: counts the branches that evaluations take; a new one for each compilation.
    /// - Returns: the rule, unless a finding is an error; and all findings, in the order of the text.
    package static func compile(
        sql: String, id: String, coverage: RuleCoverage? = nil
    ) -> (rule: CompiledRule?, diagnostics: [Diagnostic]) {
        let (statement, found) = Parser.parse(sql)
        guard let statement else { return (nil, found) }
        let (topics, checked) = Checker.check(statement)
        var diagnostics = found + checked
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
    package func explain() -> String {
        var text = "rule \(id)\n"
        for topic in topics {
            switch topic {
            case .filter(let filter): text += "  listens to publishes to \"\(filter)\"\n"
            case .event(let event): text += "  listens to the event \(event.rawValue)\n"
            }
        }
        text += "  reads columns: \(columns.isEmpty ? "none" : columns.joined(separator: ", "))\n"
        text += "  reads JSON paths: \(paths.isEmpty ? "none" : paths.joined(separator: ", "))\n"
        text += "  order of evaluation:\n"
        for (index, step) in order.enumerated() { text += "    \(index + 1). \(step)\n" }
        return text
    }
}
