import ConfigSchema
import Testing

struct YAMLParserTests {
    @Test(arguments: [
        ("yes", YAMLScalar.string("yes")), ("on", .string("on")), ("no", .string("no")), ("12:30", .string("12:30")),
        ("~", .null), ("null", .null), ("", .null), ("true", .bool(true)), ("False", .bool(false)),
        ("tRUE", .string("tRUE")),
        ("12", .int(12)), ("-7", .int(-7)), ("+7", .int(7)), ("0x1F", .int(31)), ("0o17", .int(15)), ("017", .int(17)),
        ("0b1", .string("0b1")), ("1_000", .string("1_000")), ("1.5", .float(1.5)), ("1.", .float(1)),
        (".5", .float(0.5)),
        ("1e3", .float(1000)), ("-1.5E-2", .float(-0.015)), (".", .string(".")), ("1e", .string("1e")),
        ("-", .string("-")),
        (".inf", .float(.infinity)), ("-.INF", .float(-.infinity)), ("inf", .string("inf")), ("nan", .string("nan")),
        ("9223372036854775807", .int(.max)), ("9223372036854775808", .float(9.223372036854775808e18)),
        ("0x", .string("0x")),
        ("0x-1", .string("0x-1")), ("1.2.3", .string("1.2.3")), ("infinity", .string("infinity")),
    ])
    func `a plain scalar means what the core schema says [YAML 1.2.2 §10.3.2]`(_ text: String, _ expected: YAMLScalar) {
        #expect(YAMLScalar(plain: text) == expected)
    }

    @Test func `quoted and block scalars are strings whatever they look like`() throws {
        let root = try #require(Parsed("a: \"1\"\nb: 'true'\nc: |\n  12\nd: !!str 5\ne: !!int 5\nf: 5\n").root)
        #expect(root["a"]?.scalar == .string("1"))
        #expect(root["b"]?.scalar == .string("true"))
        #expect(root["c"]?.scalar == .string("12\n"))
        #expect(root["d"]?.scalar == .string("5"))
        #expect(root["e"]?.scalar == .int(5))
        #expect(root["f"]?.scalar == .int(5))
    }

    @Test func `JSON is read`() throws {
        let root = try #require(Parsed(#"{"a": [1, 2.5, "x\n\u00e9", null, true], "b": {"c": {}}}"#).root)
        #expect(root.json == #"{"a":[1,2.5,"x\né",null,true],"b":{"c":{}}}"#)
    }

    @Test func `several documents are read`() {
        let parsed = Parsed("---\na: 1\n---\nb: 2\n...\n---\n- 3\n")
        #expect(parsed.result.documents.map(\.json) == [#"{"a":1}"#, #"{"b":2}"#, "[3]"])
    }

    @Test func `an empty text has no documents`() {
        #expect(Parsed("").result.documents.isEmpty)
        #expect(Parsed("# nothing\n").result.documents.isEmpty)
    }

    @Test func `aliases and merges are expanded, the mapping's own keys win`() throws {
        let root = try #require(
            Parsed("x-a: &a {p: 1, q: 2}\nx-b: &b {q: 3, r: 4}\nm:\n  <<: [*a, *b]\n  p: 9\nn: *a\n").root)
        #expect(root["m"]?.canonicalJSON == #"{"p":9,"q":2,"r":4}"#)
        #expect(root["n"]?.json == #"{"p":1,"q":2}"#)
        #expect(root["m"]?["r"]?.start == place(2, 19))
    }

    @Test func `a quoted "<<" is a plain key`() {
        #expect(Parsed("\"<<\": 1\n").root?.json == #"{"<<":1}"#)
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3\n", "t.yaml:3:1: error YAML002: the key \"a\" stands twice; first at line 1"),
        ("a:\n\tb: 1\n", "t.yaml:2:1: error YAML003: a tab indents this line; use spaces"),
        ("a: *nothing\n", "t.yaml:1:4: error YAML004: the alias \"*nothing\" names no anchor in front of it"),
        ("a: &x 1\nb: *y\n", "t.yaml:2:4: error YAML004: the alias \"*y\" names no anchor in front of it"),
        ("a: &me [*me]\n", "t.yaml:1:9: error YAML004: the alias \"*me\" names no anchor in front of it"),
        ("<<: 5\n", "t.yaml:1:5: error YAML005: \"<<\" merges mappings, not 5"),
        ("? [a]\n: 1\n", "t.yaml:1:3: error YAML005: a key must be a text, not a list"),
        ("a: !thing 5\n", "t.yaml:1:11: error YAML008: the tag \"!thing\" means nothing here"),
        ("a: !!int x\n", "t.yaml:1:10: error YAML008: the value is not what its tag \"!!int\" says"),
        ("a: \"abc\nb: 1\n", "t.yaml:1:4: error YAML001: the quote that opens here is not closed"),
        (
            "a: b: c\n",
            "t.yaml:1:5: error YAML001: a \":\" is not expected here; quote the value when it contains \": \", or check the "
                + "indentation"
        ),
        ("a: [1, 2\nb: 3\n", "t.yaml:2:2: error YAML001: expected \",\" or \"]\" in the list that \"[\" opens at 1:4"),
        ("a: {b: 1\n", "t.yaml:2:1: error YAML001: expected \",\" or \"}\" in the mapping that \"{\" opens at 1:4"),
        (
            "args: {topic: ${topic}}\n",
            "t.yaml:1:15: error TPL002: \"${…}\" inside {} or [] needs quotes, since braces are YAML's there; write \"${…}\""
        ),
        ("a: @x\n", "t.yaml:1:4: error YAML001: a value cannot begin with this character; quote the value"),
        (
            "a: 1\nbcd\ne: 2\n",
            "t.yaml:2:1: error YAML001: this line is no \"key: value\" pair; a \":\" and a space are missing, or it is "
                + "indented wrongly"
        ),
        (
            "a: \"\\q\"\n",
            "t.yaml:1:5: error YAML001: unknown escape in a double-quoted text; write \"\\\\\" for a backslash, or use single quotes"
        ),
        ("a: \u{1}\n", "t.yaml:1:4: error YAML006: the control character 0x01 is not allowed; write it as an escape"),
    ])
    func `what is wrong is told clearly at its place`(_ text: String, _ expected: String) {
        #expect(Parsed(text).problems == [expected])
    }

    @Test func `bytes that are not UTF-8 are refused at their place`() {
        let source = SourceFile(name: "t.yaml", bytes: Array("a: é".utf8) + [0xC3, 0x28, 0x0A])
        let result = YAMLParser.parse(source)
        #expect(
            result.problems.map(\.headline) == [
                "t.yaml:1:5: error YAML006: the byte 0xC3 is not UTF-8; save the file as UTF-8"
            ])
        let wide = YAMLParser.parse(SourceFile(name: "t.yaml", bytes: [0xFF, 0xFE, 0x61, 0x00]))
        #expect(wide.problems.first?.hint == "the file is UTF-16: save it as UTF-8")
    }

    @Test func `a byte order mark is skipped`() {
        let source = SourceFile(name: "t.yaml", bytes: [0xEF, 0xBB, 0xBF] + Array("a: 1".utf8))
        let result = YAMLParser.parse(source)
        #expect(result.documents.first?["a"]?.start == place(1, 4))
    }

    @Test func `all duplicate keys are told, not the first only`() {
        #expect(Parsed("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n").result.problems.map(\.line) == [2, 5])
    }

    @Test func `an alias bomb is refused`() {
        var text = "l0: &l0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            let aliases = Array(repeating: "*l\(level - 1)", count: 10).joined(separator: ", ")
            text += "l\(level): &l\(level) [\(aliases)]\n"
        }
        let problems = Parsed(text).result.problems
        #expect(problems.map(\.code) == [.alias])
        #expect(problems.first?.message == "aliases expand to more than 100000 values")
    }

    @Test func `depth, size and number of values are bounded`() {
        #expect(Parsed(String(repeating: "[", count: 65)).result.problems.first?.code == .limit)
        #expect(Parsed(String(repeating: "[", count: 64) + String(repeating: "]", count: 64)).result.problems.isEmpty)
        var limits = YAMLLimits()
        limits.nodes = 10
        #expect(Parsed("[1,2,3,4,5,6,7,8,9,10]", limits: limits).result.problems.first?.code == .limit)
        limits.bytes = 4
        #expect(Parsed("a: 12", limits: limits).result.problems.first?.code == .limit)
    }

    @Test func `damaged texts end in problems, never in a crash`() {
        let seed = "a: &x [1, \"two\", {b: *x}]\nc: |\n  text ${env:A}\n<<: *x\n? k\n: !!str 5\n--- >-\n folded\n"
        var random = UInt64(88_172_645_463_325_252)
        func next() -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random >> 33)
        }
        let punctuation = Array("{}[]&*!|>'\"%@`-:#\n\t ".utf8)
        for _ in 0..<3000 {
            var bytes = Array(seed.utf8)
            for _ in 0...next() % 4 {
                let at = next() % bytes.count
                switch next() % 3 {
                case 0: bytes[at] = UInt8(next() % 256)
                case 1: bytes.remove(at: at)
                default: bytes.insert(punctuation[next() % punctuation.count], at: at)
                }
            }
            let source = SourceFile(name: "t.yaml", bytes: bytes)
            let result = YAMLParser.parse(source)
            _ = ProblemRenderer().render(result.problems)
            for problem in result.problems { #expect(problem.line >= 1 && problem.line <= source.lineCount) }
        }
    }
}
