internal import BigInt
internal import Buffers

// Integers as two's complement of any size, and the sizes of strings. [EMQX rule-sql: bits]
extension FunctionTable {
    static let bits: [FunctionEntry] = operations + shifts + sizes + [subbits]

    private static let operations: [FunctionEntry] = [
        FunctionEntry(
            "bitnot", .bits, [.init("a", .integer)], returns: .integer, doc: "All bits of an integer turned over.",
            examples: [.init("bitnot(10)", "-11"), .init("bitnot(18446744073709551615)", "-18446744073709551616")],
            body: { arguments, context throws(EvaluationError) in
                if arguments[0].kind == .integer { return .integer(~arguments[0].integer) }
                return try context.arena.integer(-(try arguments.bigInteger(0, of: "bitnot")) - 1)
            }),
        operation("bitand", "The bits set in both.", ("bitand(12, 10)", "8"), { $0 & $1 }, BigBits.and),
        operation("bitor", "The bits set in one of both.", ("bitor(12, 10)", "14"), { $0 | $1 }, BigBits.or),
        operation("bitxor", "The bits that differ.", ("bitxor(12, 10)", "6"), { $0 ^ $1 }, BigBits.xor),
    ]

    private static let shifts: [FunctionEntry] = [
        FunctionEntry(
            "bitsl", .bits, [.init("a", .integer), .init("n", .integer)], returns: .integer,
            doc: "An integer shifted to the left by `n` bits, to the right when `n` is negative; bits never get lost.",
            examples: [.init("bitsl(1, 70)", "1180591620717411303424"), .init("bitsl(16, -2)", "4")],
            body: { arguments, context throws(EvaluationError) in
                try shift("bitsl", arguments, left: try arguments.integer(1, of: "bitsl"), context.arena)
            }),
        FunctionEntry(
            "bitsr", .bits, [.init("a", .integer), .init("n", .integer)], returns: .integer,
            doc: "An integer shifted to the right by `n` bits, rounding down, to the left when `n` is negative.",
            examples: [.init("bitsr(-16, 2)", "-4"), .init("bitsr(-1, 100)", "-1")],
            body: { arguments, context throws(EvaluationError) in
                let distance = try arguments.integer(1, of: "bitsr")
                let left = distance == Int.min ? Int.max : -distance
                return try shift("bitsr", arguments, left: left, context.arena)
            }),
    ]

    private static let sizes: [FunctionEntry] = [
        FunctionEntry(
            "bitsize", .bits, [.init("s", .string)], returns: .integer, doc: "The size of a string in bits.",
            examples: [.init("bitsize('a')", "8"), .init("bitsize(1)", nil)],
            body: { arguments, _ throws(EvaluationError) in
                .integer(try BitRange(whole: arguments[0], "bitsize").count)
            }),
        FunctionEntry(
            "bytesize", .bits, [.init("s", .string)], returns: .integer,
            doc: "The size in bytes of a string, or of an array of bytes and strings.",
            examples: [.init("bytesize('abc')", "3"), .init("bytesize([1, 'ab'])", "3"), .init("bytesize(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                .integer(try arguments.flatBytes(0, of: "bytesize", in: context.arena).count)
            }),
    ]
}

extension FunctionTable {
    private static func operation(
        _ name: String, _ doc: String, _ example: (String, String), _ small: @escaping @Sendable (Int, Int) -> Int,
        _ big: @escaping @Sendable (BigInt, BigInt) -> BigInt
    ) -> FunctionEntry {
        FunctionEntry(
            name, .bits, [.init("a", .integer), .init("b", .integer)], returns: .integer, doc: doc,
            examples: [.init(example.0, example.1), .init("\(name)(1.0, 1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                if arguments[0].kind == .integer, arguments[1].kind == .integer {
                    return .integer(small(arguments[0].integer, arguments[1].integer))
                }
                let left = try arguments.bigInteger(0, of: name)
                return try context.arena.integer(big(left, try arguments.bigInteger(1, of: name)))
            })
    }

    /// - Parameter distance: of any size; negative for a shift to the right.
    private static func shift(
        _ name: String, _ arguments: Arguments, left distance: Int, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        let value = arguments[0]
        let number = try arguments.bigInteger(0, of: name)
        if number == 0 { return value }
        if distance >= 0 {
            guard distance <= BigIntegerLimits.words * UInt.bitWidth else { throw .memoryLimit }
            return try arena.integer(number << distance)
        }
        if value.kind == .integer { return .integer(value.integer >> Swift.min(distance.magnitude, 63)) }
        // Two's complement rounds down: ~(~a >> n) for a negative a.
        let places = Int(Swift.min(distance.magnitude, UInt(BigIntegerLimits.words * UInt.bitWidth)))
        guard number < 0 else { return try arena.integer(BigInt(number.magnitude >> places)) }
        return try arena.integer(-BigInt((number.magnitude - 1) >> places) - 1)
    }
}

/// Operations on two's complement of any size, by those on magnitudes: `~a` is `-a - 1`, so a negative number is the
/// complement of a magnitude. (BigInt's own operators lose bits where both are negative and of different lengths.)
private enum BigBits {
    static func and(_ a: BigInt, _ b: BigInt) -> BigInt {
        switch (a < 0, b < 0) {
        case (false, false): BigInt(a.magnitude & b.magnitude)
        case (false, true): BigInt(without(a.magnitude, complement(b)))
        case (true, false): BigInt(without(b.magnitude, complement(a)))
        case (true, true): negative(complement(a) | complement(b))
        }
    }

    static func or(_ a: BigInt, _ b: BigInt) -> BigInt {
        switch (a < 0, b < 0) {
        case (false, false): BigInt(a.magnitude | b.magnitude)
        case (false, true): negative(without(complement(b), a.magnitude))
        case (true, false): negative(without(complement(a), b.magnitude))
        case (true, true): negative(complement(a) & complement(b))
        }
    }

    static func xor(_ a: BigInt, _ b: BigInt) -> BigInt {
        let bits = (a < 0 ? complement(a) : a.magnitude) ^ (b < 0 ? complement(b) : b.magnitude)
        return (a < 0) == (b < 0) ? BigInt(bits) : negative(bits)
    }

    /// The bits of `a` that are not in `b`.
    private static func without(_ a: BigUInt, _ b: BigUInt) -> BigUInt { a - (a & b) }

    /// `~a` of a negative number.
    private static func complement(_ a: BigInt) -> BigUInt { a.magnitude - 1 }

    /// The negative number whose complement is a magnitude.
    private static func negative(_ bits: BigUInt) -> BigInt { -BigInt(bits) - 1 }
}
