import Buffers

extension Compiler {
    mutating func compile(_ expression: Expression, _ scope: Scope) throws(EvaluationError) -> CompiledExpression {
        switch expression.kind {
        case .literal(let value): return constant(try pool.value(value))
        case .reference(let reference): return try compile(reference, scope)
        case .rangeOf(let reference, let first, let last):
            let value = try compile(reference, scope).evaluate
            return CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try (try value(frame)).slice(first, last)
            })
        case .range(let first, let last): return compileRange(first, last, expression.span)
        case .list(let elements): return try compileList(elements, scope, expression.span)
        case .call(let name, let arguments, _): return try compileCall(name, arguments, scope, expression.span)
        case .plus(let operand): return try compile(operand, scope)
        case .negate(let operand):
            let value = try compile(operand, scope)
            let evaluate = value.evaluate
            return fold(
                CompiledExpression(evaluate: { frame throws(EvaluationError) in
                    try Operators.negate(try evaluate(frame), frame.arena)
                }), [value], expression.span)
        case .arithmetic(let operation, let left, let right):
            let operands = [try compile(left, scope), try compile(right, scope)]
            return fold(arithmetic(operation, operands[0].evaluate, operands[1].evaluate), operands, expression.span)
        case .comparison, .and, .or, .not, .isIn:
            let test = try compileTest(expression, scope, inCase: false)
            return CompiledExpression(evaluate: { frame throws(EvaluationError) in .boolean(try test(frame)) })
        case .choice(let operand, let branches, let otherwise):
            return try compileChoice(operand, branches, otherwise, scope, expression.span)
        case .invalid: return constant(.undefined)
        }
    }

    private func arithmetic(
        _ operation: ArithmeticOperator, _ left: @escaping Evaluator, _ right: @escaping Evaluator
    ) -> CompiledExpression {
        switch operation {
        case .add:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.add(try left(frame), try right(frame), frame.arena)
            })
        case .subtract:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.subtract(try left(frame), try right(frame), frame.arena)
            })
        case .multiply:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.multiply(try left(frame), try right(frame), frame.arena)
            })
        case .divide:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.divide(try left(frame), try right(frame), frame.arena)
            })
        case .integerDivide:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.integerDivide(try left(frame), try right(frame), frame.arena)
            })
        case .remainder:
            CompiledExpression(evaluate: { frame throws(EvaluationError) in
                try Operators.remainder(try left(frame), try right(frame), frame.arena)
            })
        }
    }

    /// The value itself where all operands are constant. What raises then, raises for every event: a warning says so.
    mutating func fold(
        _ expression: CompiledExpression, _ operands: [CompiledExpression], _ span: Range<Int>
    ) -> CompiledExpression {
        guard operands.allSatisfy({ $0.constant != nil }) else { return expression }
        let frame = pool.context.frame
        frame.beginCounting()
        do {
            let value = try expression.evaluate(frame)
            noteFolded(value, span)
            return constant(value)
        } catch .memoryLimit, .stepLimit, .timeLimit {
            return expression
        } catch {
            diagnostics.append(
                Diagnostic(.alwaysRaises, span, "`\(text(span))` raises for every event", hint: error.explanation))
            return CompiledExpression(evaluate: { _ throws(EvaluationError) in throw error })
        }
    }

    private mutating func noteFolded(_ value: Value, _ span: Range<Int>) {
        let output = OutputBuffer()
        do {
            try JSON.append(value, to: output)
        } catch {
            // A bit string has no JSON form; the plan shows that it is known, not what it is.
            return folded.append((span, "a value that JSON cannot show"))
        }
        let shown = output.description
        folded.append((span, shown.count > 60 ? shown.prefix(60) + "…" : shown))
    }

    // MARK: lists

    private mutating func compileRange(_ first: Int, _ last: Int, _ span: Range<Int>) -> CompiledExpression {
        let evaluate: Evaluator = { frame throws(EvaluationError) in
            let (count, overflow) = last.subtractingReportingOverflow(first)
            guard !overflow, count >= -1 else {
                throw .badArgument(function: "[..]", reason: "the range \(first)..\(last) runs backwards")
            }
            guard count < EvaluationLimits.steps else { throw .stepLimit }
            try frame.takeSteps(count + 1)
            let elements = try frame.arena.allocate(Value.self, count: count + 1)
            for index in 0..<(count + 1) { elements[index] = .integer(first + index) }
            return .array(UnsafeBufferPointer(elements))
        }
        let range = CompiledExpression(evaluate: evaluate)
        let isSmall = last < first || last.subtractingReportingOverflow(first).partialValue.magnitude < 256
        return isSmall ? fold(range, [], span) : range
    }

    private mutating func compileList(
        _ elements: [Expression], _ scope: Scope, _ span: Range<Int>
    ) throws(EvaluationError) -> CompiledExpression {
        var compiled: [CompiledExpression] = []
        for element in elements { compiled.append(try compile(element, scope)) }
        let evaluators = compiled.map(\.evaluate)
        let list = CompiledExpression(
            evaluate: { frame throws(EvaluationError) in
                try frame.takeSteps(evaluators.count)
                let values = try frame.arena.allocate(Value.self, count: evaluators.count)
                for index in evaluators.indices { values[index] = try evaluators[index](frame) }
                return .array(UnsafeBufferPointer(values))
            }, mayRaise: compiled.contains { $0.mayRaise })
        return fold(list, compiled, span)
    }

    // MARK: calls

    private mutating func compileCall(
        _ fullName: String, _ arguments: [Expression], _ scope: Scope, _ span: Range<Int>
    ) throws(EvaluationError) -> CompiledExpression {
        let name = Checker.functionName(fullName)
        var compiled: [CompiledExpression] = []
        for argument in arguments { compiled.append(try compile(argument, scope)) }
        if let operation = ArithmeticOperator(rawValue: name), compiled.count == 2 {
            return fold(arithmetic(operation, compiled[0].evaluate, compiled[1].evaluate), compiled, span)
        }
        guard let entry = FunctionTable.entry(named: name), entry.takes(compiled.count) else {
            let count = compiled.count
            return CompiledExpression(evaluate: { _ throws(EvaluationError) in
                throw .unknownFunction(name, arity: count)
            })
        }
        if !entry.isPure {
            usesEvent = true
            impureFunctions.insert(name)
        }
        let call = CompiledExpression(evaluate: call(entry, compiled.map(\.evaluate)))
        return entry.isPure ? fold(call, compiled, span) : call
    }

    private func call(_ entry: FunctionEntry, _ arguments: [Evaluator]) -> Evaluator {
        let body = entry.body
        if entry.mayBeSlow {
            return { frame throws(EvaluationError) in
                let values = try frame.arena.allocate(Value.self, count: arguments.count)
                for index in arguments.indices {
                    values[index] = try arguments[index](frame)
                    frame.hasten(for: values[index])
                }
                frame.hasten(EvaluationLimits.slowCall)
                try frame.takeSteps(1)
                return try body(Arguments(values), frame.context)
            }
        }
        switch arguments.count {
        case 0:
            return { frame throws(EvaluationError) in
                try frame.takeSteps(1)
                return try body(Arguments(start: nil, count: 0), frame.context)
            }
        case 1:
            return { [argument = arguments[0]] frame throws(EvaluationError) in
                let values = try frame.arena.allocate(Value.self, count: 1)
                values[0] = try argument(frame)
                frame.hasten(for: values[0])
                try frame.takeSteps(1)
                return try body(Arguments(values), frame.context)
            }
        case 2:
            return { [first = arguments[0], second = arguments[1]] frame throws(EvaluationError) in
                let values = try frame.arena.allocate(Value.self, count: 2)
                values[0] = try first(frame)
                values[1] = try second(frame)
                frame.hasten(for: values[0])
                frame.hasten(for: values[1])
                try frame.takeSteps(1)
                return try body(Arguments(values), frame.context)
            }
        default:
            return { frame throws(EvaluationError) in
                let values = try frame.arena.allocate(Value.self, count: arguments.count)
                for index in arguments.indices {
                    values[index] = try arguments[index](frame)
                    frame.hasten(for: values[index])
                }
                try frame.takeSteps(1)
                return try body(Arguments(values), frame.context)
            }
        }
    }

    // MARK: CASE

    private mutating func compileChoice(
        _ operand: Expression?, _ branches: [Expression.Branch], _ otherwise: Expression?, _ scope: Scope,
        _ span: Range<Int>
    ) throws(EvaluationError) -> CompiledExpression {
        var subject: CompiledExpression?
        if let operand { subject = try compile(operand, scope) }
        // The first WHEN is evaluated in any case, whatever stands behind it is not.
        var mayRaise = subject?.mayRaise ?? false
        var tests: [(test: Test, value: Evaluator)] = []
        var valueTests: [(value: Evaluator, result: Evaluator)] = []
        for (index, branch) in branches.enumerated() {
            if index == 1 { uses.branchDepth += 1 }
            if subject != nil {
                let when = try compile(branch.when, scope)
                let then = try compileBranch(branch.then, scope)
                mayRaise = mayRaise || when.mayRaise || then.mayRaise
                valueTests.append((when.evaluate, watched(.when, branch.when.span, then.evaluate)))
            } else {
                let when = try compileTest(branch.when, scope, inCase: true)
                mayRaise = true
                let then = try compileBranch(branch.then, scope)
                tests.append((when, watched(.when, branch.when.span, then.evaluate)))
            }
        }
        if branches.count > 1 { uses.branchDepth -= 1 }
        let last =
            try otherwise.map { (other) throws(EvaluationError) in try compileBranch(other, scope) }
            ?? constant(.undefined)
        let elseSpan = otherwise?.span ?? span
        let fallback = watched(.otherwise, elseSpan, isWritten: otherwise != nil, last.evaluate)
        if let subject {
            let (evaluate, pairs) = (subject.evaluate, valueTests)
            return CompiledExpression(
                evaluate: { frame throws(EvaluationError) in
                    let value = try evaluate(frame)
                    for pair in pairs where Operators.exactlyEqual(value, try pair.value(frame)) {
                        return try pair.result(frame)
                    }
                    return try fallback(frame)
                }, mayRaise: mayRaise || last.mayRaise)
        }
        let pairs = tests
        return CompiledExpression(
            evaluate: { frame throws(EvaluationError) in
                for pair in pairs where try pair.test(frame) { return try pair.value(frame) }
                return try fallback(frame)
            }, mayRaise: mayRaise)
    }

    private mutating func compileBranch(_ expression: Expression, _ scope: Scope) throws(EvaluationError)
        -> CompiledExpression
    {
        uses.branchDepth += 1
        defer { uses.branchDepth -= 1 }
        return try compile(expression, scope)
    }
}
