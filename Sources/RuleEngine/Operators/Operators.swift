import BigInt
internal import Buffers

/// The arithmetic operators. Integers never overflow, they grow; floats that would, raise. [EMQX rule-sql: operators]
package enum Operators {
    /// The sum of numbers; or, when one side is a string, both sides as text joined.
    @inline(__always)
    package static func add(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        if a.kind == .integer, b.kind == .integer {
            let (sum, overflow) = a.integer.addingReportingOverflow(b.integer)
            if !overflow { return .integer(sum) }
        }
        return try addSlowly(a, b, arena)
    }

    @inline(never)
    private static func addSlowly(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        if a.kind == .string || b.kind == .string { return try join(a, b, arena) }
        return try numbers("+", a, b, arena, { $0 + $1 }, { $0 + $1 })
    }

    @inline(__always)
    package static func subtract(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        if a.kind == .integer, b.kind == .integer {
            let (difference, overflow) = a.integer.subtractingReportingOverflow(b.integer)
            if !overflow { return .integer(difference) }
        }
        return try numbers("-", a, b, arena, { $0 - $1 }, { $0 - $1 })
    }

    @inline(__always)
    package static func multiply(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        if a.kind == .integer, b.kind == .integer {
            let (product, overflow) = a.integer.multipliedReportingOverflow(by: b.integer)
            if !overflow { return .integer(product) }
        }
        return try numbers("*", a, b, arena, { $0 * $1 }, { $0 * $1 })
    }

    /// Always a float.
    package static func divide(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        let dividend = try double("/", a)
        let divisor = try double("/", b)
        guard divisor != 0 else { throw .arithmetic("/ by zero") }
        return try finite("/", dividend / divisor)
    }

    /// Of two integers, truncated toward zero.
    package static func integerDivide(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        try integers("div", a, b)
        if a.kind == .integer, b.kind == .integer {
            let (quotient, overflow) = a.integer.dividedReportingOverflow(by: b.integer)
            if !overflow { return .integer(quotient) }
        }
        guard let dividend = BigInt(a), let divisor = BigInt(b) else { throw notANumber("div", a) }
        return try arena.integer(dividend / divisor)
    }

    /// Of two integers; the sign is that of the dividend.
    package static func remainder(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        try integers("mod", a, b)
        if a.kind == .integer, b.kind == .integer {
            return .integer(b.integer == -1 ? 0 : a.integer % b.integer)
        }
        guard let dividend = BigInt(a), let divisor = BigInt(b) else { throw notANumber("mod", a) }
        return try arena.integer(dividend % divisor)
    }

    /// Unary minus.
    package static func negate(_ a: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        switch a.kind {
        case .float: return .float(-a.float)
        case .integer where a.integer != Int.min: return .integer(-a.integer)
        default:
            guard let value = BigInt(a) else { throw notANumber("-", a) }
            return try arena.integer(-value)
        }
    }
}

extension Operators {
    /// What a mixed or overflowing operation does: big integers for integers, doubles else.
    @inline(never)
    private static func numbers(
        _ name: String, _ a: Value, _ b: Value, _ arena: Arena,
        _ integers: (BigInt, BigInt) -> BigInt, _ floats: (Double, Double) -> Double
    ) throws(EvaluationError) -> Value {
        if a.kind == .float || b.kind == .float {
            let left = try double(name, a)
            return try finite(name, floats(left, try double(name, b)))
        }
        guard let left = BigInt(a) else { throw notANumber(name, a) }
        guard let right = BigInt(b) else { throw notANumber(name, b) }
        return try arena.integer(integers(left, right))
    }

    /// A number as a double.
    ///
    /// - Parameter name: the operator or function, for the error.
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for what is no number,
    ///   ``EvaluationError/arithmetic(_:)`` for an integer beyond the range of a double.
    package static func double(_ name: String, _ value: Value) throws(EvaluationError) -> Double {
        switch value.kind {
        case .float: return value.float
        case .integer: return Double(value.integer)
        default:
            guard let big = BigInt(value) else { throw notANumber(name, value) }
            let double = Double(big)
            guard double.isFinite else { throw .arithmetic("\(name): the integer is beyond the range of a float") }
            return double
        }
    }

    /// - Throws: ``EvaluationError/arithmetic(_:)`` when there is no such float.
    package static func finite(_ name: String, _ value: Double) throws(EvaluationError) -> Value {
        guard value.isFinite else { throw .arithmetic("\(name): the result is no finite float") }
        return .float(value)
    }

    private static func integers(_ name: String, _ a: Value, _ b: Value) throws(EvaluationError) {
        guard a.kind == .integer || a.kind == .bigInteger else { throw notAnInteger(name, a) }
        guard b.kind == .integer || b.kind == .bigInteger else { throw notAnInteger(name, b) }
        guard b.kind == .bigInteger || b.integer != 0 else { throw .arithmetic("\(name) by zero") }
    }

    @inline(never)
    private static func notANumber(_ name: String, _ value: Value) -> EvaluationError {
        .badArgument(function: name, reason: "takes numbers, not \(value.kind)")
    }

    @inline(never)
    private static func notAnInteger(_ name: String, _ value: Value) -> EvaluationError {
        .badArgument(function: name, reason: "takes integers, not \(value.kind)")
    }

    private static func join(_ a: Value, _ b: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        let left = try a.text(in: arena).bytes
        let right = try b.text(in: arena).bytes
        let both = try arena.bytes(count: left.count + right.count)
        both.copyMemory(from: left)
        UnsafeMutableRawBufferPointer(rebasing: both[left.count...]).copyMemory(from: right)
        return .string(Bytes(both))
    }
}
