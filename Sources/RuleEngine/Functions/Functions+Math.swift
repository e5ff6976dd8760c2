internal import BigInt
internal import Glibc

// Numbers in, numbers out; what lies outside of a function's domain or overflows raises. [EMQX rule-sql: math]
extension FunctionTable {
    static let math: [FunctionEntry] = integerMath + roundingMath + floatMath + [power, floatRemainder]

    private static let integerMath: [FunctionEntry] = [
        FunctionEntry(
            "div", .math, [.init("a", .integer), .init("b", .integer)], returns: .integer,
            doc: "The quotient of two integers, truncated toward zero; raises for zero.",
            examples: [.init("div(-9, 2)", "-4"), .init("div(9.0, 2)", nil)],
            body: { arguments, context throws(EvaluationError) in
                try Operators.integerDivide(arguments[0], arguments[1], context.arena)
            }),
        FunctionEntry(
            "mod", .math, [.init("a", .integer), .init("b", .integer)], returns: .integer,
            doc: "The remainder of two integers, with the sign of the first; raises for zero.",
            examples: [.init("mod(-9, 4)", "-1"), .init("mod(9, 0)", nil)],
            body: { arguments, context throws(EvaluationError) in
                try Operators.remainder(arguments[0], arguments[1], context.arena)
            }),
        FunctionEntry(
            "eq", .math, [.init("a", .any), .init("b", .any)], returns: .boolean,
            doc: "Whether both are equal without any conversion between text and numbers; undefined equals undefined.",
            examples: [.init("eq(1, 1.0)", "true"), .init("eq(1, '1')", "false")],
            body: { arguments, _ in .boolean(Operators.order(arguments[0], arguments[1]) == 0) }),
        FunctionEntry(
            "abs", .math, [.init("x", .number)], returns: .number,
            doc: "The magnitude of a number, of the same type. Differs from EMQX: a float does not raise.",
            examples: [.init("abs(-5)", "5"), .init("abs(-1.5)", "1.5")],
            body: { arguments, context throws(EvaluationError) in
                let value = arguments[0]
                if value.kind == .float { return .float(value.float.magnitude) }
                guard let whole = BigInt(value) else {
                    throw .badArgument(function: "abs", reason: "takes a number, not \(value.kind)")
                }
                return try context.arena.integer(BigInt(whole.magnitude))
            }),
    ]

    private static let roundingMath: [FunctionEntry] = [
        rounding("ceil", "The least integer that is not below `x`.", ("ceil(-1.2)", "-1"), .up),
        rounding("floor", "The greatest integer that is not above `x`.", ("floor(1.8)", "1"), .down),
        rounding(
            "round", "The nearest integer, halves away from zero.", ("round(-2.5)", "-3"), .toNearestOrAwayFromZero),
    ]

    private static let floatMath: [FunctionEntry] = [
        float("acos", "The arc cosine in radians, for -1 to 1.", ("acos(1)", "0.0"), "acos(2)") { acos($0) },
        float("acosh", "The inverse hyperbolic cosine, for 1 and more.", ("acosh(1)", "0.0"), "acosh(0)") { acosh($0) },
        float("asin", "The arc sine in radians, for -1 to 1.", ("asin(0)", "0.0"), "asin(2)") { asin($0) },
        float("asinh", "The inverse hyperbolic sine.", ("asinh(0)", "0.0")) { asinh($0) },
        float("atan", "The arc tangent in radians.", ("atan(0)", "0.0")) { atan($0) },
        float("atanh", "The inverse hyperbolic tangent, between -1 and 1.", ("atanh(0)", "0.0"), "atanh(1)") {
            atanh($0)
        },
        float("cos", "The cosine of an angle in radians.", ("cos(0)", "1.0")) { cos($0) },
        float("cosh", "The hyperbolic cosine.", ("cosh(0)", "1.0"), "cosh(1000)") { cosh($0) },
        float("exp", "The exponential function; raises beyond the range of a float.", ("exp(0)", "1.0"), "exp(1000)") {
            exp($0)
        },
        float("log", "The natural logarithm of a positive number.", ("log(1)", "0.0"), "log(-1)") { log($0) },
        float("log10", "The decimal logarithm of a positive number.", ("log10(1000)", "3.0"), "log10(0)") { log10($0) },
        float("log2", "The binary logarithm of a positive number.", ("log2(8)", "3.0"), "log2(0)") { log2($0) },
        float("sin", "The sine of an angle in radians.", ("sin(0)", "0.0"), "sin('1')") { sin($0) },
        float("sinh", "The hyperbolic sine.", ("sinh(0)", "0.0"), "sinh(1000)") { sinh($0) },
        float("sqrt", "The square root, for 0 and more.", ("sqrt(4)", "2.0"), "sqrt(-1)") { $0.squareRoot() },
        float("tan", "The tangent of an angle in radians.", ("tan(0)", "0.0")) { tan($0) },
        float("tanh", "The hyperbolic tangent.", ("tanh(0)", "0.0")) { tanh($0) },
    ]

    private static let power = FunctionEntry(
        "power", .math, [.init("x", .number), .init("y", .number)], returns: .float,
        doc: "`x` to the power of `y`, always a float.",
        examples: [.init("power(2, 10)", "1024.0"), .init("power(10, 400)", nil)],
        body: { arguments, _ throws(EvaluationError) in
            let base = try Operators.double("power", arguments[0])
            return try Operators.finite("power", pow(base, try Operators.double("power", arguments[1])))
        })

    private static let floatRemainder = FunctionEntry(
        "fmod", .math, [.init("x", .number), .init("y", .number)], returns: .float,
        doc: "The remainder of `x / y` as a float, with the sign of `x`; raises for zero.",
        examples: [.init("fmod(5.5, 2)", "1.5"), .init("fmod(1, 0)", nil)],
        body: { arguments, _ throws(EvaluationError) in
            let dividend = try Operators.double("fmod", arguments[0])
            return try Operators.finite("fmod", fmod(dividend, try Operators.double("fmod", arguments[1])))
        })
}

extension FunctionTable {
    /// A function of one number that gives a float.
    private static func float(
        _ name: String, _ doc: String, _ example: (String, String), _ raising: String? = nil,
        _ function: @escaping @Sendable (Double) -> Double
    ) -> FunctionEntry {
        var examples = [FunctionEntry.Example(example.0, example.1)]
        if let raising { examples.append(.init(raising, nil)) }
        return FunctionEntry(
            name, .math, [.init("x", .number)], returns: .float, doc: doc, examples: examples,
            body: { arguments, _ throws(EvaluationError) in
                try Operators.finite(name, function(try Operators.double(name, arguments[0])))
            })
    }

    /// A function that makes an integer of a number; integers stay what they are.
    private static func rounding(
        _ name: String, _ doc: String, _ example: (String, String), _ rule: FloatingPointRoundingRule
    ) -> FunctionEntry {
        FunctionEntry(
            name, .math, [.init("x", .number)], returns: .integer, doc: doc,
            examples: [.init(example.0, example.1), .init("\(name)('1')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let value = arguments[0]
                if value.isInteger { return value }
                let whole = try Operators.double(name, value).rounded(rule)
                if let small = Int(exactly: whole) { return .integer(small) }
                // Floats are finite, see ``Value/Kind/float``.
                return try context.arena.integer(BigInt(whole))
            })
    }
}
