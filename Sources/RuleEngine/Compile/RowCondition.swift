import Buffers

/// A condition over the rows of a rule: `when` of an action. The language is that of WHERE; names are the row's members.
///
/// A name that the row lacks is undefined. The event itself is there for the message accessors alone (`topic()`, …).
// Immutable after `compile`; the unchecked part is the literal pool's memory.
package final class RowCondition: @unchecked Sendable {
    package let text: String
    private let test: Test
    private let pool: LiteralPool
    private let slotCount: Int
    private let usesEvent: Bool
    /// The members that it reads; the n-th is in the n-th slot.
    private let names: [[UInt8]]

    private init(_ text: String, _ test: @escaping Test, _ compiler: Compiler, _ names: [String]) {
        self.text = text
        self.test = test
        pool = compiler.pool
        slotCount = compiler.slotCount
        usesEvent = compiler.usesEvent
        self.names = names.map { Array($0.utf8) }
    }

    /// - Parameters:
    ///   - ruleID: of the rule, for `metadata`.
    ///   - outputs: the members of the rule's rows; nil when they are not known.
    /// - Returns: the condition, unless a finding is an error; and all findings, in the order of the text.
    package static func compile(
        _ text: String, ruleID: String, outputs: Set<String>?
    ) -> (condition: RowCondition?, diagnostics: [Diagnostic]) {
        let (expression, found) = Parser.parseCondition(text)
        guard let expression else { return (nil, found) }
        let diagnostics = found + Checker.check(expression, over: outputs)
        guard !diagnostics.contains(where: { $0.severity == .error }) else { return (nil, diagnostics) }
        do {
            // Compiled over columns first, to learn the names; then each of them is a slot that the row fills.
            var names = try Compiler(sql: text, ruleID: ruleID)
            _ = try names.compileTest(expression, Scope(), inCase: false)
            var compiler = try Compiler(sql: text, ruleID: ruleID)
            var scope = Scope()
            let columns = names.columns.sorted()
            for name in columns { scope.overlay[name] = compiler.newSlot() }
            let test = try compiler.compileTest(expression, scope, inCase: false)
            let condition = RowCondition(text, test, compiler, columns)
            return (condition, diagnostics + compiler.diagnostics)
        } catch {
            let problem = Diagnostic(.badText, expression.span, "the condition's literals take too much memory")
            return (nil, diagnostics + [problem])
        }
    }

    /// Whether it holds for a row.
    ///
    /// - Parameters:
    ///   - row: an object in the context's arena.
    ///   - event: the one that the row was made of.
    /// - Throws: what evaluating it raises.
    package func holds(
        for row: Value, event: any EventColumns, in context: EvaluationContext
    ) throws(EvaluationError) -> Bool {
        let frame = context.frame
        let before = context.event
        if usesEvent { context.event = event }
        defer {
            frame.end()
            if usesEvent { context.event = before }
        }
        try frame.begin(event, slotCount: slotCount)
        for index in names.indices { frame.slots[index] = names[index].withUnsafeBytes { row.member($0) } }
        return try test(frame)
    }
}
