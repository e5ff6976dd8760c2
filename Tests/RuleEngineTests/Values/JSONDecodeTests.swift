import Buffers
import RuleEngine
import Testing

@Suite struct JSONDecodeTests {
    static let accepted: [(String, String)] = [
        ("1", "1"), ("-0", "0"), ("-0.0", "0.0"), ("1.0", "1.0"), ("1e3", "1000.0"), ("1E+2", "100.0"),
        ("1e-2", "0.01"),
        ("0", "0"), ("0.5", "0.5"), ("-1", "-1"), ("1e-400", "0.0"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("9223372036854775807", "9223372036854775807"), ("9223372036854775808", "9223372036854775808"),
        ("-9223372036854775808", "-9223372036854775808"), ("-9223372036854775809", "-9223372036854775809"),
        ("100000000000000000000000.0", "1e+23"), ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("5e-324", "5e-324"), ("0.1", "0.1"), ("2.2250738585072011e-308", "2.225073858507201e-308"),
        ("0.30000000000000004", "0.30000000000000004"), ("123456789012345678.5", "123456789012345680.0"),
        ("9007199254740993.0", "9007199254740992.0"), ("1.00000000000000011102230246251565404", "1.0"),
        ("0.000000000000000000000000000000000000001", "1e-39"), ("0e999999999", "0.0"), ("0.0e400", "0.0"),
        ("true", "true"), ("false", "false"), ("null", "null"), (" \t\r\n1 \n", "1"), ("\"\"", "\"\""),
        ("\"abc\"", "\"abc\""),
        (#""\"\\\/\b\f\n\r\t""#, #""\"\\/\b\f\n\r\t""#), (#""\u00e9\u4e2d""#, "\"é中\""), (#""\ud83d\udc38""#, "\"🐸\""),
        (#""\uD83D\uDC38x""#, "\"🐸x\""), (#""\u0000""#, #""\u0000""#), (#""\u001F\u007f""#, "\"\\u001F\u{7f}\""),
        ("\"你好é🐸\"", "\"你好é🐸\""), ("[]", "[]"), ("[ ]", "[]"), ("{}", "{}"), ("{ }", "{}"),
        ("[1,2.0,\"x\"]", "[1,2.0,\"x\"]"),
        ("[1 , [2 ,{ \"a\" : 3 }]]", "[1,[2,{\"a\":3}]]"), ("{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"),
        ("{\"a\":1,\"a\":2}", "{\"a\":2}"),
        ("{\"a\":1,\"b\":0,\"\\u0061\":3}", "{\"a\":3,\"b\":0}"), ("{\"\":0}", "{\"\":0}"),
        ("{\"aa\":1,\"a\":2}", "{\"a\":2,\"aa\":1}"),
        ("[[],{},[{}]]", "[[],{},[{}]]"), ("\"a/b\"", "\"a/b\""), ("[null,true]", "[null,true]"),
    ]

    @Test(arguments: accepted)
    func `JSON text is read, and written without white space and with sorted keys [RFC 8259]`(
        text: String, expected: String
    ) throws {
        let bench = Workbench()
        #expect(try bench.encoded(try bench.json(text)) == expected)
    }

    static let rejected: [String] = [
        "", " ", "x", "1 2", "{\"a\":1}x", "[1,2", "[1,]", "[,1]", "[1 2]", "{", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
        "{a:1}",
        "{'a':1}", "{\"a\":1 \"b\":2}", "{1:2}", "{\"a\" 1}", "]", "}", "[}", "{]", "\"", "\"abc", "\"a\nb\"",
        "\"a\tb\"", "\"\u{1f}\"",
        "\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\ud83d\"", "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"",
        "\"\\udc38\"",
        "\"\\", "\"\\u\"", "01", "-01", "1.", ".5", "+1", "-", "1e", "1e+", "1.e3", "0x10", "1e400", "-1e400", "NaN",
        "Infinity",
        "-Infinity", "tru", "truex", "True", "nul", "fals", "// c\n1", "/* c */1", "1//c", "\u{feff}1", "undefined",
        "[1]]", "{}{}",
        "\u{a0}1", "1\u{0}", "[\"a\":1]", "{\"a\":1]", "1.5.5", "1e5e5", "--1", "[1e400]", "{\"a\":1e999}",
    ]

    @Test(arguments: rejected)
    func `text that is not JSON raises with the offset of the fault`(text: String) throws {
        let bench = Workbench()
        let bytes = try bench.bytes(text)
        let error = failure { _ = try JSON.decode(bytes, in: bench.arena) }
        guard case .decodeJSON(let offset) = error else {
            Issue.record("\(text) gave \(String(describing: error))")
            return
        }
        #expect(offset >= 0 && offset <= bytes.count)
        // The scan for paths refuses the same texts.
        var slots = [JSONSlot()]
        let paths = JSONPathSet([[.key("a")]])
        #expect(
            failure { try slots.withUnsafeMutableBufferPointer { try paths.read(bytes, into: $0, in: bench.arena) } }
                != nil)
    }

    static let offsets: [(String, Int)] = [
        ("{\"a\":x}", 5), ("[1,2", 4), ("{\"a\":1}x", 7), ("[1,]", 3), ("\"a\nb\"", 2), ("tru", 0), ("nulx", 3),
        ("01", 1), ("[1e400]", 1),
    ]

    @Test(arguments: offsets)
    func `the offset points at the byte that cannot be`(text: String, offset: Int) throws {
        let bench = Workbench()
        #expect(failure { _ = try bench.json(text) } == .decodeJSON(offset: offset))
    }

    static let illFormed: [[UInt8]] = [
        [0x80], [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xC3], [0xC3, 0x28], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
        [0xED, 0xA0, 0x80],
        [0xE4, 0xB8], [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x9F, 0x90], [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80],
        [0xF8, 0x88, 0x80, 0x80, 0x80],
    ]

    @Test(arguments: illFormed)
    func `a string that is not UTF-8 raises, and is written with U+FFFD`(inside: [UInt8]) throws {
        let bench = Workbench()
        let text = try bench.bytes([0x22, 0x61] + inside + [0x22])
        #expect(failure { _ = try JSON.decode(text, in: bench.arena) } != nil)
        let written = try bench.encoded(.string(try bench.bytes([0x61] + inside + [0x62])))
        #expect(written == "\"" + String(decoding: [0x61] + inside + [0x62], as: UTF8.self) + "\"")
        #expect(written.contains("\u{FFFD}"))
    }

    @Test func `nesting is limited to 128`() throws {
        let bench = Workbench()
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        }
        #expect(try bench.encoded(try bench.json(nested(128))) == nested(128))
        #expect(failure { _ = try bench.json(nested(129)) } == .depthLimit)
        #expect(failure { _ = try bench.json(String(repeating: "{\"a\":", count: 100_000)) } == .depthLimit)
    }

    @Test func `strings without escapes are not copied`() throws {
        let bench = Workbench()
        let text = try bench.bytes("{\"key\":\"value\"}")
        let member = try #require(try JSON.decode(text, in: bench.arena).members.first)
        #expect(member.key.baseAddress == text.baseAddress.map { $0 + 2 })
        #expect(member.value.bytes.baseAddress == text.baseAddress.map { $0 + 8 })
    }

    @Test(arguments: [3, 24, 25, 100, 1000])
    func `objects of any size are sorted, and the last of equal keys stays`(count: Int) throws {
        let bench = Workbench()
        var random = RandomSource(seed: UInt64(count))
        var members: [String: Int] = [:]
        var text: [String] = []
        for index in 0..<count {
            let key = "k\(UInt64.random(in: 0..<UInt64(count), using: &random))"
            members[key] = index
            text.append("\"\(key)\":\(index)")
        }
        let object = try bench.json("{" + text.joined(separator: ",") + "}")
        #expect(object.members.count == members.count)
        let keys = object.members.map { String(decoding: $0.key, as: UTF8.self) }
        #expect(keys == members.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) })
        for (key, value) in members { #expect(object.member(try bench.bytes(key)).integer == value) }
    }

    @Test func `what is written reads back as the same value`() throws {
        let bench = Workbench()
        var random = RandomSource(seed: 7)
        for _ in 0..<500 {
            bench.arena.reset()
            let value = try bench.randomValue(depth: 4, &random)
            let text = try bench.encoded(value)
            let back = try bench.json(text)
            #expect(Operators.exactlyEqual(value, back), "\(text)")
            #expect(try bench.encoded(back) == text)
        }
    }

    @Test func `random and damaged bytes raise or are read, and the scan for paths agrees`() throws {
        let bench = Workbench()
        var random = RandomSource(seed: 11)
        let alphabet = Array("{}[]\",:\\/u0123456789abcdefeE+-.truefalsnl \u{e9}".utf8) + [0, 0x1F, 0x80, 0xFF, 0xED]
        let paths = JSONPathSet([[.key("a")], [.key("a"), .index(1)], []])
        for round in 0..<4000 {
            bench.arena.reset()
            var bytes: [UInt8]
            if round % 2 == 0 {
                bytes = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    alphabet.randomElement(using: &random) ?? 0
                }
            } else {
                bytes = Array(try bench.encoded(try bench.randomValue(depth: 3, &random)).utf8)
                for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
                    bytes[Int.random(in: 0..<bytes.count, using: &random)] = alphabet.randomElement(using: &random) ?? 0
                }
            }
            let text = try bench.bytes(bytes)
            let whole = failure { _ = try JSON.decode(text, in: bench.arena) }
            var slots = [JSONSlot](repeating: JSONSlot(), count: paths.slotCount)
            let scanned = failure {
                try slots.withUnsafeMutableBufferPointer { try paths.read(text, into: $0, in: bench.arena) }
            }
            #expect((whole == nil) == (scanned == nil), "\(String(decoding: bytes, as: UTF8.self))")
            if whole == nil {
                let value = try JSON.decode(text, in: bench.arena)
                let read = try slots[paths.slot(ofPath: 2)].value(in: bench.arena)
                #expect(Operators.exactlyEqual(read, value))
                let a = try slots[paths.slot(ofPath: 0)].value(in: bench.arena)
                #expect(Operators.exactlyEqual(a, try value.step(key: try bench.bytes("a"), in: bench.arena)))
            }
        }
    }
}

extension Workbench {
    /// A value that JSON can hold.
    func randomValue(depth: Int, _ random: inout RandomSource) throws -> Value {
        switch Int.random(in: 0..<(depth > 0 ? 9 : 6), using: &random) {
        case 0: return .null
        case 1: return .boolean(Bool.random(using: &random))
        case 2: return .integer(Int(truncatingIfNeeded: random.next()) >> Int.random(in: 0..<64, using: &random))
        case 3:
            let float = Double(bitPattern: random.next())
            return .float(float.isFinite ? float : 0.5)
        case 4: return .float(Double(Int.random(in: -99_999...99_999, using: &random)) / 100)
        case 5: return .string(try bytes(try randomText(&random)))
        case 6, 7:
            let elements = try (0..<Int.random(in: 0...5, using: &random)).map { _ in
                try randomValue(depth: depth - 1, &random)
            }
            return try arena.array(elements)
        default:
            let members = try (0..<Int.random(in: 0...5, using: &random)).map { _ in
                Member(key: try bytes(try randomText(&random)), value: try randomValue(depth: depth - 1, &random))
            }
            return try arena.object(members)
        }
    }

    private func randomText(_ random: inout RandomSource) throws -> String {
        let scalars: [Unicode.Scalar] = [
            "a", "b", "\"", "\\", "/", "\n", "\u{0}", "\u{1f}", "\u{7f}", "é", "中", "🐸", "\u{2028}",
        ]
        var text = ""
        for _ in 0..<Int.random(in: 0...4, using: &random) {
            text.unicodeScalars.append(scalars.randomElement(using: &random) ?? "a")
        }
        return text
    }
}
