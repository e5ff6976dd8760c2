import BigInt
import Buffers
import RuleEngine
import Testing

@Suite struct TextTests {
    static let floats: [(Double, String, String)] = [
        (0.0, "0.0", "0.0"), (1.0, "1.0", "1.0"), (-1.5, "-1.5", "-1.5"), (0.1, "0.1", "0.1"),
        (1.0 / 3, "0.3333333333", "0.3333333333333333"),
        (100000.0, "100000.0", "100000.0"), (1e-10, "0.0000000001", "1e-10"), (1e-11, "0.0", "1e-11"),
        (1e10, "10000000000.0", "10000000000.0"),
        (123_456_789.987654321, "123456789.9876543283", "123456789.98765433"),
        (123456.123456789, "123456.123456789", "123456.123456789"),
        (1e22, "10000000000000000000000.0", "1e+22"), (1e21, "1000000000000000000000.0", "1e+21"),
        (1e20, "100000000000000000000.0", "100000000000000000000.0"),
        (1e-6, "0.000001", "0.000001"), (1e-7, "0.0000001", "1e-7"), (1.5e-7, "0.00000015", "1.5e-7"),
        (1.5e-300, "0.0", "1.5e-300"), (21.5, "21.5", "21.5"),
        (9_007_199_254_740_993.0, "9007199254740992.0", "9007199254740992.0"),
        (2.5e25, "25000000000000001191182336.0", "2.5e+25"),
        (0.30000000000000004, "0.3", "0.30000000000000004"), (0.99999999999, "1.0", "0.99999999999"),
        (.leastNonzeroMagnitude, "0.0", "5e-324"),
        (123456789.125, "123456789.125", "123456789.125"),
        (999_999_999.999999, "999999999.9999990463", "999999999.999999"), (1e9, "1000000000.0", "1000000000.0"),
        (0.000123, "0.000123", "0.000123"), (1234567.0000001, "1234567.0000000999", "1234567.0000001"),
        (0.001, "0.001", "0.001"), (-0.001, "-0.001", "-0.001"),
    ]

    @Test(arguments: floats)
    func `floats have at most 10 decimals as text and the shortest form in JSON`(
        value: Double, text: String, json: String
    ) throws {
        let bench = Workbench()
        #expect(try bench.text(.float(value)) == text)
        #expect(try bench.encoded(.float(value)) == json)
    }

    @Test func `the shortest form of any double reads back`() throws {
        let bench = Workbench()
        var random = RandomSource(seed: 5)
        for round in 0..<3000 {
            let value =
                round % 2 == 0
                ? Double(bitPattern: random.next()) : Double(Int.random(in: 0..<1_000_000_000, using: &random)) / 1000
            guard value.isFinite else { continue }
            let text = try bench.encoded(.float(value))
            #expect(try bench.json(text).float == value)
            #expect(Double(text) == value)
            #expect(text.utf8.count <= "\(abs(value))".utf8.count + 6, "\(text)")
        }
    }

    @Test(
        arguments: [
            (30.3, 15, true, "30.300000000000001"), (30.3, 1, true, "30.3"), (0.1, 20, true, "0.10000000000000000555"),
            (100.0, 0, true, "100"), (0.0, 3, true, "0.0"),
            (1.25, 1, false, "1.3"), (1.0, 3, false, "1.000"), (-2.5, 0, false, "-3"),
            (1e30, 2, false, "1000000000000000019884624838656.00"),
            (1e30, 2, true, "1000000000000000019884624838656.0"),
        ] as [(Double, Int, Bool, String)])
    func `fixed notation takes any number of decimals`(value: Double, decimals: Int, compact: Bool, expected: String) {
        let output = OutputBuffer()
        FloatText.appendFixed(value, decimals: decimals, compact: compact, to: output)
        #expect(output.description == expected)
    }

    @Test func `the largest floats are written with all their digits`() throws {
        let text = try Workbench().text(.float(.greatestFiniteMagnitude))
        #expect(text.utf8.count == 311)
        #expect(text.hasPrefix("17976931348623157") && text.hasSuffix(".0"))
    }

    @Test(arguments: [
        ("undefined", "undefined"), ("null", "null"), ("true", "true"), ("false", "false"), ("-12", "-12"), ("0", "0"),
        ("12345678901234567890", "12345678901234567890"),
        ("-9223372036854775808", "-9223372036854775808"), ("\"a\\\"b\"", "a\"b"), ("atom:connack", "connack"),
        ("[1,\"a\"]", "[1,\"a\"]"), ("{\"k\":\"v\"}", "{\"k\":\"v\"}"),
        ("{}", "{}"), ("[]", ""), ("[72,105]", "Hi"), ("[1,2]", "[1,2]"), ("[0]", "[0]"), ("[72,105.0]", "[72,105.0]"),
        ("[10]", "\n"), ("[233]", "é"),
        ("[20320]", "[20320]"), ("[72,[105]]", "[72,[105]]"), ("[127]", "[127]"), ("[3,1,2]", "[3,1,2]"),
    ])
    func `values have the text of the language [EMQX rule-sql: values]`(value: String, text: String) throws {
        let bench = Workbench()
        #expect(try bench.text(try bench.value(value)) == text)
    }

    @Test func `in templates arrays of Unicode characters are text as well`() throws {
        let bench = Workbench()
        #expect(try bench.text(try bench.json("[20320,22909]"), charlists: .unicode) == "你好")
        #expect(try bench.text(try bench.json("[55296]"), charlists: .unicode) == "[55296]")
    }

    @Test func `a bit string is no text and has no JSON form`() throws {
        let bench = Workbench()
        let bits = Value.bitString(try bench.bytes([0xA0]), count: 3)
        #expect(failure { _ = try bench.text(bits) }?.name == "bad_argument")
        #expect(failure { _ = try bench.encoded(try bench.arena.array([bits])) }?.name == "bad_argument")
    }

    @Test func `undefined is the text undefined in JSON, or null where asked`() throws {
        let bench = Workbench()
        let value = try bench.arena.array([.undefined, .atom("a"), .integer(1)])
        #expect(try bench.encoded(value) == "[\"undefined\",\"a\",1]")
        #expect(try bench.encoded(value, undefinedAs: .null) == "[null,\"a\",1]")
    }

    @Test func `values nested without end raise instead of being written`() throws {
        let bench = Workbench()
        var value = Value.emptyArray
        for _ in 0..<300 { value = try bench.arena.array([value]) }
        #expect(failure { _ = try bench.encoded(value) } == .depthLimit)
    }

    @Test(
        arguments: [
            ("1", "1"), ("+1", "1"), ("-12", "-12"), ("007", "7"), ("1.5", "1.5"), ("-1.5e3", "-1500.0"),
            ("+0.5E-1", "0.05"), ("99999999999999999999", "99999999999999999999"),
            ("-9223372036854775808", "-9223372036854775808"), ("9223372036854775808", "9223372036854775808"),
            ("1.0e400", nil), ("", nil), ("-", nil), ("1.", nil), (".5", nil),
            ("1e5", nil), (" 1", nil), ("1 ", nil), ("0x1", nil), ("1.5e", nil), ("1.5e+", nil), ("abc", nil),
            ("１", nil),
            ("1_0", nil), ("--1", nil),
        ] as [(String, String?)])
    func `text that spells a number is read as one`(text: String, expected: String?) throws {
        let bench = Workbench()
        let value = try NumberText.parse(try bench.bytes(text), in: bench.arena)
        #expect(try value.map { try bench.encoded($0) } == expected)
    }

    @Test func `integers of any size cross to BigInt and back`() throws {
        let arena = Arena()
        var random = RandomSource(seed: 9)
        for bits in [1, 62, 63, 64, 65, 128, 1000] {
            for sign in [1, -1] {
                let magnitude = BigUInt.randomInteger(withExactWidth: bits, using: &random)
                let value = BigInt(magnitude) * BigInt(sign)
                let stored = try arena.integer(value)
                #expect(BigInt(stored) == value)
                #expect((stored.kind == .integer) == (Int(exactly: value) != nil))
            }
        }
        #expect(BigInt(Value.float(1)) == nil)
    }

    @Test func `integers beyond a million bits and text of too many digits raise`() throws {
        let arena = Arena()
        #expect(failure { _ = try arena.integer(BigInt(1) << (64 * BigIntegerLimits.words)) } == .memoryLimit)
        let digits = try arena.string(String(repeating: "9", count: BigIntegerLimits.digits + 1)).bytes
        #expect(failure { _ = try NumberText.parse(digits, in: arena) } == .memoryLimit)
        #expect(failure { _ = try JSON.decode(digits, in: arena) } == .memoryLimit)
    }
}
