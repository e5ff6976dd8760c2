import RuleEngine
import Testing

@Suite struct OperatorTests {
    enum Operation: String {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case div, mod
    }

    static func apply(_ operation: Operation, _ a: Value, _ b: Value, _ arena: Arena) throws -> Value {
        switch operation {
        case .add: try Operators.add(a, b, arena)
        case .subtract: try Operators.subtract(a, b, arena)
        case .multiply: try Operators.multiply(a, b, arena)
        case .divide: try Operators.divide(a, b, arena)
        case .div: try Operators.integerDivide(a, b, arena)
        case .mod: try Operators.remainder(a, b, arena)
        }
    }

    /// Left, operator, right, and the JSON of the result or nil where it raises.
    static let arithmetic: [(String, Operation, String, String?)] = [
        ("1", .add, "2", "3"), ("1", .add, "2.0", "3.0"), ("1.5", .add, "1", "2.5"), ("1", .add, "\"a\"", "\"1a\""),
        ("\"a\"", .add, "1.0", "\"a1.0\""), ("\"a\"", .add, "\"b\"", "\"ab\""), ("\"a\"", .add, "null", "\"anull\""),
        ("\"a\"", .add, "undefined", "\"aundefined\""), ("true", .add, "\"a\"", "\"truea\""),
        ("\"a\"", .add, "[1,2]", "\"a[1,2]\""),
        ("\"a\"", .add, "{\"k\":1}", #""a{\"k\":1}""#), ("\"a\"", .add, "[]", "\"a\""),
        ("\"a\"", .add, "[72,105]", "\"aHi\""),
        ("\"\"", .add, "\"\"", "\"\""), ("\"a\"", .add, "-9223372036854775808", "\"a-9223372036854775808\""),
        ("\"a\"", .add, "atom:b", "\"ab\""), ("\"a\"", .add, "12345678901234567890", "\"a12345678901234567890\""),
        ("[1]", .add, "[2]", nil), ("null", .add, "1", nil), ("true", .add, "1", nil), ("undefined", .add, "1", nil),
        ("1", .add, "{}", nil),
        ("atom:a", .add, "1", nil), ("9223372036854775807", .add, "1", "9223372036854775808"),
        ("-9223372036854775808", .add, "-1", "-9223372036854775809"),
        ("9223372036854775808", .add, "-1", "9223372036854775807"),
        ("1.7976931348623157e308", .add, "1.7976931348623157e308", nil),
        ("5", .subtract, "7", "-2"), ("5", .subtract, "\"7\"", nil), ("\"a\"", .subtract, "\"b\"", nil),
        ("1.5", .subtract, "1", "0.5"),
        ("-9223372036854775808", .subtract, "1", "-9223372036854775809"), ("undefined", .subtract, "1", nil),
        ("6", .multiply, "7", "42"), ("3", .multiply, "0.5", "1.5"),
        ("4294967296", .multiply, "4294967296", "18446744073709551616"),
        ("-4294967296", .multiply, "4294967296", "-18446744073709551616"), ("1e300", .multiply, "1e300", nil),
        ("\"2\"", .multiply, "2", nil),
        ("4", .divide, "2", "2.0"), ("1", .divide, "3", "0.3333333333333333"), ("1", .divide, "0", nil),
        ("1", .divide, "0.0", nil),
        ("18446744073709551616", .divide, "2", "9223372036854776000.0"), ("\"4\"", .divide, "2", nil),
        ("1e308", .divide, "1e-308", nil),
        ("7", .div, "2", "3"), ("-7", .div, "2", "-3"), ("7", .div, "-2", "-3"), ("7", .div, "0", nil),
        ("7.0", .div, "2", nil),
        ("-9223372036854775808", .div, "-1", "9223372036854775808"),
        ("18446744073709551617", .div, "-2", "-9223372036854775808"),
        ("7", .mod, "2", "1"), ("-7", .mod, "2", "-1"), ("7", .mod, "-2", "1"), ("7", .mod, "0", nil),
        ("7", .mod, "2.0", nil),
        ("-9223372036854775808", .mod, "-1", "0"), ("-18446744073709551617", .mod, "2", "-1"),
        ("\"7\"", .mod, "2", nil),
    ]

    @Test(arguments: arithmetic)
    func `arithmetic keeps integers whole, joins text with plus and raises for all else [EMQX rule-sql: operators]`(
        left: String, operation: Operation, right: String, expected: String?
    ) throws {
        let bench = Workbench()
        let a = try bench.value(left)
        let b = try bench.value(right)
        var result: String?
        let error = failure { result = try bench.encoded(try Self.apply(operation, a, b, bench.arena)) }
        #expect(result == expected)
        #expect((error != nil) == (expected == nil))
    }

    @Test(
        arguments: [
            ("1", "-1"), ("-0", "0"), ("1.5", "-1.5"), ("-9223372036854775808", "9223372036854775808"),
            ("9223372036854775808", "-9223372036854775808"),
            ("\"1\"", nil), ("undefined", nil), ("null", nil),
        ] as [(String, String?)])
    func `unary minus takes numbers`(operand: String, expected: String?) throws {
        let bench = Workbench()
        let value = try bench.value(operand)
        var result: String?
        _ = failure { result = try bench.encoded(try Operators.negate(value, bench.arena)) }
        #expect(result == expected)
    }

    /// Left, right, and how they compare: "<", "=", ">", "-" for false whatever the operator, "!" for an error.
    static let comparisons: [(String, String, Character)] = [
        ("1", "2", "<"), ("2", "2", "="), ("1", "1.0", "="), ("1.5", "1", ">"), ("-1", "0.5", "<"),
        ("9007199254740993", "9007199254740992.0", ">"),
        ("9223372036854775807", "9223372036854775808.0", "<"), ("12345678901234567890", "12345678901234567891", "<"),
        ("12345678901234567890", "1", ">"), ("-12345678901234567890", "-1e300", ">"),
        ("1e300", "12345678901234567890", ">"),
        ("-9007199254740993", "-9007199254740992.0", "<"), ("0.0", "-0.0", "="),
        ("undefined", "undefined", "="), ("undefined", "1", "-"), ("1", "undefined", "-"), ("null", "undefined", "-"),
        ("\"undefined\"", "undefined", "-"),
        ("1", "\"1\"", "="), ("\"10\"", "9", ">"), ("9", "\"10\"", "<"), ("\"10.5\"", "10.5", "="),
        ("\"+1\"", "1", "="), ("\"-3\"", "0", "<"),
        ("\"1.0e3\"", "1000", "="), ("\"1.0E3\"", "1000", "="), ("\"1.5\"", "1", ">"),
        ("\"12345678901234567890\"", "12345678901234567890", "="),
        ("\"1.\"", "1", "!"), ("\"\"", "0", "!"), ("1", "\"abc\"", "!"), ("\" 1\"", "1", "!"), ("\"1e3\"", "1000", "!"),
        ("\".5\"", "0.5", "!"),
        ("\"1.0e400\"", "1", "!"), ("\"0x10\"", "16", "!"), ("\"+\"", "1", "!"),
        ("true", "\"true\"", "="), ("\"true\"", "true", "="), ("null", "\"null\"", "="), ("null", "\"z\"", "<"),
        ("\"a\"", "true", "<"),
        ("atom:message.publish", "\"message.publish\"", "="), ("\"b\"", "atom:a", ">"),
        ("\"10\"", "\"9\"", "<"), ("\"a\"", "\"ab\"", "<"), ("\"\"", "\"\"", "="), ("\"10\"", "\"10.0\"", "<"),
        ("1", "false", "<"), ("false", "null", "<"), ("null", "true", "<"), ("true", "{}", "<"),
        ("{\"a\":1,\"b\":2}", "[]", "<"), ("[]", "\"\"", "<"),
        ("true", "1", ">"), ("null", "1", ">"), ("[1]", "1", ">"), ("{}", "\"a\"", "<"), ("true", "true", "="),
        ("false", "true", "<"),
        ("[1,2]", "[1,2]", "="), ("[1,2]", "[1.0,2]", "="), ("[1,2]", "[1,3]", "<"), ("[2]", "[1,1]", ">"),
        ("[1]", "[1,0]", "<"),
        ("{\"a\":1}", "{}", ">"), ("{\"a\":1}", "{\"a\":1.0}", "="), ("{\"a\":9}", "{\"b\":1}", "<"),
        ("{\"a\":1}", "{\"a\":2}", "<"),
        ("[[\"a\"],null]", "[[\"a\"],null]", "="), ("[\"1\"]", "[1]", ">"),
    ]

    @Test(arguments: comparisons)
    func `values compare by the rules of the language [EMQX rule-sql: comparison]`(
        left: String, right: String, order: Character
    ) throws {
        let bench = Workbench()
        let a = try bench.value(left)
        let b = try bench.value(right)
        let expected: [(ComparisonOperator, Bool)] = [
            (.equal, order == "="), (.notEqual, order == "<" || order == ">"), (.less, order == "<"),
            (.lessOrEqual, order == "<" || order == "="), (.greater, order == ">"),
            (.greaterOrEqual, order == ">" || order == "="),
        ]
        for (op, holds) in expected {
            var result: Bool?
            let error = failure { result = try Operators.compare(op, a, b) }
            #expect(result == (order == "!" ? nil : holds), "\(op)")
            #expect((error != nil) == (order == "!"))
        }
    }

    @Test(
        arguments: [
            ("\"t/1\"", "\"t/#\"", true), ("\"t/1\"", "\"t/2\"", false), ("\"\"", "\"#\"", true),
            ("\"$SYS/x\"", "\"#\"", false),
            ("\"$SYS/x\"", "\"$SYS/#\"", true), ("undefined", "\"#\"", false), ("\"a\"", "undefined", false),
            ("undefined", "undefined", false),
            ("\"1\"", "1", nil), ("1", "\"1\"", nil), ("[]", "\"#\"", nil), ("atom:a", "\"+\"", true),
        ] as [(String, String, Bool?)])
    func `the topic operator matches a topic with a filter`(topic: String, filter: String, expected: Bool?) throws {
        let bench = Workbench()
        let a = try bench.value(topic)
        let b = try bench.value(filter)
        var result: Bool?
        _ = failure { result = try Operators.compare(.matchesTopic, a, b) }
        #expect(result == expected)
    }

    @Test(
        arguments: [
            ("1", "1", true), ("1", "1.0", false), ("1", "\"1\"", false), ("undefined", "undefined", true),
            ("null", "undefined", false), ("null", "null", true),
            ("true", "true", true), ("true", "false", false), ("atom:a", "\"a\"", false), ("0.0", "-0.0", true),
            ("[1,[2]]", "[1,[2]]", true),
            ("[1]", "[1.0]", false), ("{\"a\":1}", "{\"a\":1}", true), ("{\"a\":1}", "{\"a\":1.0}", false),
            ("{\"a\":1}", "{\"b\":1}", false),
            ("12345678901234567890", "12345678901234567890", true),
            ("12345678901234567890", "-12345678901234567890", false), ("\"a\"", "\"b\"", false),
        ] as [(String, String, Bool)])
    func `exact equality wants the same type and value`(left: String, right: String, expected: Bool) throws {
        let bench = Workbench()
        #expect(Operators.exactlyEqual(try bench.value(left), try bench.value(right)) == expected)
    }

    @Test func `bit strings compare bit by bit`() throws {
        let bench = Workbench()
        let bits = Value.bitString(try bench.bytes([0xA0]), count: 3)
        let more = Value.bitString(try bench.bytes([0xA0]), count: 5)
        let whole = Value.string(try bench.bytes([0xA0]))
        #expect(Operators.order(bits, bits) == 0)
        #expect(Operators.order(bits, more) < 0)
        #expect(Operators.order(more, whole) < 0)
        #expect(Operators.order(whole, bits) > 0)
        #expect(!Operators.exactlyEqual(bits, more))
    }

    @Test func `the order is total over random values`() throws {
        let bench = Workbench()
        var random = RandomSource(seed: 3)
        let values = try (0..<60).map { _ in try bench.randomValue(depth: 2, &random) }
        for a in values {
            #expect(Operators.order(a, a) == 0)
            for b in values {
                #expect(Operators.order(a, b).signum() == -Operators.order(b, a).signum())
                for c in values where Operators.order(a, b) <= 0 && Operators.order(b, c) <= 0 {
                    #expect(Operators.order(a, c) <= 0)
                }
            }
        }
    }

    @Test(
        arguments: [
            ("{\"a\":{\"b\":[10,20]}}", ["a", "b", "2"], "20"), ("{\"a\":\"{\\\"b\\\":[1]}\"}", ["a", "b", "1"], "1"),
            ("{\"a\":\"[1,2]\"}", ["a", "-1"], "2"), ("[1,2,3]", ["-3"], "1"), ("[1,2,3]", ["0"], nil),
            ("[1,2,3]", ["4"], nil), ("[1,2,3]", ["-4"], nil),
            ("{\"a\":\"not json\"}", ["a", "b"], nil), ("{\"a\":1}", ["a", "b"], nil), ("[1]", ["a"], nil),
            ("{\"a\":1}", ["1"], nil), ("null", ["a"], nil),
        ] as [(String, [String], String?)])
    func `a path steps through objects, arrays and JSON text, and else leads nowhere [EMQX rule-sql: paths]`(
        text: String, path: [String], expected: String?
    ) throws {
        let bench = Workbench()
        var value = try bench.json(text)
        for step in path {
            if let index = Int(step) {
                value = try value.step(index: index, in: bench.arena)
            } else {
                value = try value.step(key: try bench.bytes(step), in: bench.arena)
            }
        }
        #expect(value.isUndefined == (expected == nil))
        if let expected { #expect(try bench.encoded(value) == expected) }

        // The scan for paths comes to the same.
        let paths = JSONPathSet([path.map { step in Int(step).map { .index($0) } ?? .key(step) }])
        var slots = [JSONSlot()]
        try slots.withUnsafeMutableBufferPointer { try paths.read(try bench.bytes(text), into: $0, in: bench.arena) }
        #expect(Operators.exactlyEqual(try slots[0].value(in: bench.arena), value))
    }
}
