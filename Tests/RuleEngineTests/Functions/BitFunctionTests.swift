import RuleEngine
import Testing

@Suite struct `Bit functions` {
    /// The column `b` holds the bytes.
    static let parts: [(bytes: [UInt8], arguments: String, result: StoredValue)] = [
        (sample, "5, 12", .integer(3645)),
        (sample, "1, 12, 'integer', 'unsigned', 'little'", .integer(910)),
        (sample, "1, 16, 'integer', 'unsigned', 'little'", .integer(15758)),
        (sample, "1, 32, 'integer', 'signed', 'little'", .integer(-1_319_682_674)),
        (sample, "1, 64", .bigInteger(negative: false, magnitude: [10_249_444_747_416_687_861])),
        (sample, "1, 64, 'integer', 'signed'", .integer(Int(bitPattern: 10_249_444_747_416_687_861))),
        (sample, "1, 16, 'bits'", .string([0x8E, 0x3D])),
        (sample, "5, 8, 'bits'", .string([0xE3])),
        (sample, "1, 13, 'bits'", .bitString([0x8E, 0x38], count: 13)),
        (sample, "64, 100, 'bits'", .bitString([0x80], count: 1)),
        (sample, "1, 0", .integer(0)),
        (sample, "1, 0, 'bits'", .string([])),
        (sample, "0, 8", .undefined),
        (sample, "65, 1", .undefined),
        (sample, "1, 99999999999999999999999", .bigInteger(negative: false, magnitude: [10_249_444_747_416_687_861])),
        ([0xFF, 0xFF, 0xFC, 0xEB], "1, 32, 'integer', 'signed', 'big'", .integer(-789)),
        (ones, "1, 72", .bigInteger(negative: false, magnitude: [UInt.max, 0xFF])),
        (ones, "1, 72, 'integer', 'signed'", .integer(-1)),
        (ones, "3, 66, 'integer', 'signed', 'little'", .integer(-1)),
        ([0x3F, 0xC0, 0, 0], "1, 24, 'float'", .float((1.5).bitPattern)),
        ([0, 0, 0xC0, 0x3F], "1, 32, 'float', 'unsigned', 'little'", .float((1.5).bitPattern)),
        ([0x3E, 0], "1, 16, 'float'", .float((1.5).bitPattern)),
        ([0xC0, 0x1A, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCD], "1, 64, 'float', 'signed'", .float((-6.7).bitPattern)),
    ]
    private static let sample: [UInt8] = [0x8E, 0x3D, 0x57, 0xB1, 0xA2, 0xC3, 0xD4, 0xF5]
    private static let ones = [UInt8](repeating: 0xFF, count: 9)

    @Test(arguments: parts.indices) func `subbits reads these bits [EMQX rule-sql: subbits]`(index: Int) throws {
        let part = Self.parts[index]
        #expect(try evaluate("subbits(b, \(part.arguments))", part.bytes) == part.result, "\(part.arguments)")
    }

    @Test func `bits that are no finite float raise`() throws {
        #expect(try evaluate("subbits(b, 1, 32, 'float')", [0x7F, 0x80, 0, 0]) == nil)
        #expect(try evaluate("subbits(b, 1, 64, 'float')", [0x7F, 0xF8, 0, 0, 0, 0, 0, 0]) == nil)
        #expect(try evaluate("subbits(b, 1, 8, 'float')", [1, 2, 3]) == nil)
    }

    /// Two's complement of any size; the results are Python's.
    static let calls: [(call: String, result: String)] = [
        ("bitnot(-9223372036854775808)", "9223372036854775807"),
        ("bitnot(-18446744073709551616)", "18446744073709551615"),
        ("bitand(-1, 18446744073709551615)", "18446744073709551615"),
        ("bitand(-18446744073709551616, -3)", "-18446744073709551616"),
        ("bitor(18446744073709551616, -2)", "-2"),
        ("bitxor(-1, 18446744073709551616)", "-18446744073709551617"),
        ("bitsl(-3, 64)", "-55340232221128654848"),
        ("bitsr(-55340232221128654849, 64)", "-4"),
        ("bitsr(-55340232221128654848, 64)", "-3"),
        ("bitsr(55340232221128654848, 65)", "1"),
        ("bitsr(-55340232221128654848, 9223372036854775807)", "-1"),
        ("bitsl(5, -9223372036854775808)", "0"),
        ("bitsl(0, 99999999999999999999)", "0"),
        ("bitsr(9, 99999999999999999999)", "0"),
        ("bitsl(-9223372036854775808, 1)", "-18446744073709551616"),
    ]

    @Test(arguments: calls) func `integers of any size`(call: String, result: String) throws {
        #expect(try evaluate(call) == evaluate(result))
        #expect(try evaluate(call) != nil)
    }

    @Test func `a shift to the left beyond the limit of integers raises`() throws {
        #expect(try evaluate("bitsl(1, 2000000)") == nil)
        #expect(try evaluate("bitsl(1, 9223372036854775807)") == nil)
        #expect(try evaluate("bitsr(1, -9223372036854775808)") == nil)
    }

    /// - Returns: nil when the evaluation raises.
    private func evaluate(_ expression: String, _ bytes: [UInt8] = []) throws -> StoredValue? {
        let rule = try #require(CompiledRule.compile(sql: "SELECT \(expression) as r FROM \"t\"", id: "r1").rule)
        let rows = RowList()
        let context = EvaluationContext(node: "n1")
        guard case .passed = rule.evaluate(DictionaryEvent([("b", .string(bytes))]), in: context, rows: rows) else {
            return nil
        }
        return StoredValue(rows[0].member(Value.string("r").bytes))
    }
}
