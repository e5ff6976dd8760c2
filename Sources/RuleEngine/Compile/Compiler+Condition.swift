import Buffers

extension Compiler {
    /// - Parameter inCase: a call that gives no boolean counts as false in CASE and raises elsewhere.
    mutating func compileTest(_ expression: Expression, _ scope: Scope, inCase: Bool) throws(EvaluationError) -> Test {
        switch expression.kind {
        case .comparison(let operation, let left, let right):
            return comparison(operation, try compile(left, scope), try compile(right, scope))
        case .and(let left, let right):
            let first = try compileTest(left, scope, inCase: inCase)
            let second = try compileSecond(right, scope, inCase: inCase)
            return { frame throws(EvaluationError) in
                guard try first(frame) else { return false }
                return try second(frame)
            }
        case .or(let left, let right):
            let first = try compileTest(left, scope, inCase: inCase)
            let second = try compileSecond(right, scope, inCase: inCase)
            return { frame throws(EvaluationError) in
                if try first(frame) { return true }
                return try second(frame)
            }
        case .not(let operand): return try compileNot(operand, scope, inCase: inCase)
        case .isIn(let value, let list, let negated): return try compileIn(value, list, negated, scope)
        case .literal(.boolean(let value)): return { _ in value }
        case .call:
            let value = try compile(expression, scope).evaluate
            let shown = text(expression.span)
            return { frame throws(EvaluationError) in
                let result = try value(frame)
                if result.kind == .boolean { return result.boolean }
                guard inCase else { throw .badCondition("\(shown) gives no boolean") }
                return false
            }
        default:
            // Differs from EMQX: a bare name may be a condition; what is no boolean raises.
            let value = try compile(expression, scope).evaluate
            let shown = text(expression.span)
            return { frame throws(EvaluationError) in
                let result = try value(frame)
                guard result.kind == .boolean else { throw .badCondition("\(shown) is neither true nor false") }
                return result.boolean
            }
        }
    }

    private mutating func compileSecond(_ expression: Expression, _ scope: Scope, inCase: Bool) throws(EvaluationError)
        -> Test
    {
        uses.branchDepth += 1
        defer { uses.branchDepth -= 1 }
        return try compileTest(expression, scope, inCase: inCase)
    }

    /// Of a value only `false` becomes true. Differs from EMQX: NOT over AND, OR, IN and NOT is their opposite.
    private mutating func compileNot(_ operand: Expression, _ scope: Scope, inCase: Bool) throws(EvaluationError)
        -> Test
    {
        switch operand.kind {
        case .comparison, .and, .or, .not, .isIn:
            let test = try compileTest(operand, scope, inCase: inCase)
            return { frame throws(EvaluationError) in !(try test(frame)) }
        default:
            let value = try compile(operand, scope).evaluate
            return { frame throws(EvaluationError) in
                let result = try value(frame)
                return result.kind == .boolean && !result.boolean
            }
        }
    }

    /// Type and value are compared exactly. Differs from EMQX: NOT IN is the opposite of IN.
    private mutating func compileIn(
        _ value: Expression, _ list: [Expression], _ negated: Bool, _ scope: Scope
    ) throws(EvaluationError) -> Test {
        let subject = try compile(value, scope).evaluate
        var elements: [CompiledExpression] = []
        for element in list { elements.append(try compile(element, scope)) }
        let constants = elements.compactMap(\.constant)
        if constants.count == elements.count {
            return { frame throws(EvaluationError) in
                let value = try subject(frame)
                for element in constants where Operators.exactlyEqual(value, element) { return !negated }
                return negated
            }
        }
        let evaluators = elements.map(\.evaluate)
        return { frame throws(EvaluationError) in
            let value = try subject(frame)
            var isFound = false
            for evaluate in evaluators where Operators.exactlyEqual(value, try evaluate(frame)) { isFound = true }
            return isFound != negated
        }
    }

    // MARK: comparisons

    private func comparison(_ operation: ComparisonOperator, _ left: CompiledExpression, _ right: CompiledExpression)
        -> Test
    {
        if operation != .matchesTopic, let literal = right.constant {
            if literal.kind == .integer, literal.integer.magnitude < 1 << 53 { return number(operation, left, literal) }
            if literal.kind == .string, operation == .equal { return text(left, literal) }
        }
        let (first, second) = (left.evaluate, right.evaluate)
        return { frame throws(EvaluationError) in
            try Operators.compare(operation, try first(frame), try second(frame))
        }
    }

    /// With a small integer on the right: the usual case in one closure.
    private func number(_ operation: ComparisonOperator, _ left: CompiledExpression, _ literal: Value) -> Test {
        let integer = literal.integer
        let float = Double(integer)
        @Sendable @inline(__always) func holds(_ value: Value) throws(EvaluationError) -> Bool {
            switch value.kind {
            case .integer: operation.holds(value.integer < integer ? -1 : value.integer == integer ? 0 : 1)
            case .float: operation.holds(value.float < float ? -1 : value.float == float ? 0 : 1)
            default: try Operators.compare(operation, value, literal)
            }
        }
        if let path = left.payloadPath {
            return { frame throws(EvaluationError) in
                try holds(try frame.payload.slot(Int(frame.pathMap[path]), frame))
            }
        }
        let evaluate = left.evaluate
        return { frame throws(EvaluationError) in try holds(try evaluate(frame)) }
    }

    private func text(_ left: CompiledExpression, _ literal: Value) -> Test {
        let bytes = literal.bytes
        let evaluate = left.evaluate
        let address = UInt(bitPattern: bytes.baseAddress)
        let count = bytes.count
        return { frame throws(EvaluationError) in
            let value = try evaluate(frame)
            guard value.kind == .string else { return try Operators.compare(.equal, value, literal) }
            return value.count == UInt32(truncatingIfNeeded: count)
                && compareBytes(value.bytes, Bytes(start: UnsafeRawPointer(bitPattern: address), count: count)) == 0
        }
    }
}
