import Buffers
import RuleEngine
import Testing

@Suite struct JSONPathSetTests {
    /// Paths are written `a.b.1`; a number is an index.
    static func paths(_ texts: [String]) -> JSONPathSet {
        JSONPathSet(
            texts.map { text in
                text.split(separator: ".").map { step in Int(step).map { .index($0) } ?? .key(String(step)) }
            })
    }

    func read(_ paths: JSONPathSet, _ text: String, _ bench: Workbench, count: Int) throws -> [String] {
        var slots = [JSONSlot](repeating: JSONSlot(), count: paths.slotCount)
        try slots.withUnsafeMutableBufferPointer { try paths.read(try bench.bytes(text), into: $0, in: bench.arena) }
        return try (0..<count).map { index in
            let value = try slots[paths.slot(ofPath: index)].value(in: bench.arena)
            return value.isUndefined ? "undefined" : try bench.encoded(value)
        }
    }

    static let cases: [([String], String, [String])] = [
        (["temp"], #"{"device":"d1","temp":21.5,"x":{"temp":1}}"#, ["21.5"]),
        (["a", "a.b", "a.b.c"], #"{"a":{"b":{"c":1}}}"#, [#"{"b":{"c":1}}"#, #"{"c":1}"#, "1"]),
        (["a.b.c", "a", ""], #"{"a":{"b":{"c":1}}}"#, ["1", #"{"b":{"c":1}}"#, #"{"a":{"b":{"c":1}}}"#]),
        (["a", "a"], #"{"a":true}"#, ["true", "true"]),
        (
            ["a.1", "a.2", "a.3", "a.-1", "a.0"], #"{"a":[10,"x"]}"#,
            ["10", "\"x\"", "undefined", "\"x\"", "undefined"]
        ),
        (["a.2.k", "a.1"], #"{"a":[{"k":1},{"k":2}]}"#, ["2", #"{"k":1}"#]),
        (["1.x", "-1.x"], #"[{"x":1},{"x":2}]"#, ["1", "2"]),
        (["a.b"], #"{"a":"{\"b\":[1,2]}"}"#, ["[1,2]"]), (["a.b.c"], #"{"a":"{\"b\":\"{\\\"c\\\":7}\"}"}"#, ["7"]),
        (["a.b"], #"{"a":"text"}"#, ["undefined"]), (["a.b"], #"{"a":1}"#, ["undefined"]),
        (["a.b"], #"[1]"#, ["undefined"]), (["a.1"], #"{"a":{"1":5}}"#, ["undefined"]),
        (["a.b"], #""{\"a\":{\"b\":3}}""#, ["3"]), (["a"], "1", ["undefined"]), (["a"], #" { "a" : [ ] } "#, ["[]"]),
        (["a"], #"{"a":1,"a":2}"#, ["2"]), (["a.b"], #"{"a":{"b":1},"a":{"c":2}}"#, ["undefined"]),
        (["a.b", "a"], #"{"a":{"b":1},"a":5}"#, ["undefined", "5"]),
        (["é"], #"{"\u00e9":1}"#, ["1"]), (["a"], #"{"b":"A","a":"x\ny"}"#, [#""x\ny""#]),
        (["ab", "a", "abc"], #"{"abc":3,"a":1,"ab":2}"#, ["2", "1", "3"]),
        (["a"], #"{"a":123456789012345678901}"#, ["123456789012345678901"]),
        (["n", "t", "f"], #"{"n":null,"t":true,"f":false}"#, ["null", "true", "false"]),
        (["nosuch"], "{}", ["undefined"]), (["nosuch"], "[]", ["undefined"]),
    ]

    @Test(arguments: cases)
    func `one pass reads all paths`(paths: [String], text: String, expected: [String]) throws {
        #expect(try read(Self.paths(paths), text, Workbench(), count: paths.count) == expected)
    }

    @Test(arguments: [
        (#"{"a":1,"b":}"#, EvaluationError.decodeJSON(offset: 11)), (#"{"a":1}x"#, .decodeJSON(offset: 7)),
        (#"{"a":1,"b":[1,{"c":"\x"}]}"#, .decodeJSON(offset: 21)),
        ("", .decodeJSON(offset: 0)), (#"{"a":1,"b":01}"#, .decodeJSON(offset: 12)),
        (#"{"a":1,"b":1e400}"#, .decodeJSON(offset: 11)),
        (#"{"a":1,"b":"# + String(repeating: "[", count: 128), .depthLimit),
    ])
    func `a fault raises although the path was found before it [EMQX rule-sql: payload]`(
        text: String, error: EvaluationError
    ) throws {
        let bench = Workbench()
        let paths = Self.paths(["a"])
        #expect(failure { _ = try read(paths, text, bench, count: 1) } == error)
        #expect(failure { _ = try bench.json(text) } == error)
    }

    @Test func `without decoding of text a path ends at a string`() throws {
        let bench = Workbench()
        let paths = JSONPathSet([[.key("a"), .key("b")], [.key("c"), .key("b")]], decodesText: false)
        #expect(try read(paths, #"{"a":"{\"b\":1}","c":{"b":2}}"#, bench, count: 2) == ["undefined", "2"])
    }

    @Test func `containers are kept as text until they are asked for`() throws {
        let bench = Workbench()
        let paths = Self.paths(["a"])
        var slots = [JSONSlot()]
        try slots.withUnsafeMutableBufferPointer {
            try paths.read(try bench.bytes(#"{"a": [1, 2] }"#), into: $0, in: bench.arena)
        }
        #expect(slots[0].slice.map { String(decoding: $0, as: UTF8.self) } == "[1, 2]")
        #expect(try slots[0].value(in: bench.arena).elements.count == 2)
        #expect(slots[0].slice == nil)
    }
}
