import ConfigSchema
import RuleFiles
import Testing

struct RuleTestUpdateTests {
    /// A rule whose row is `{"v": …}` with the JSON value given.
    private func file(_ value: String, _ expect: String, name: String = "v") -> String {
        """
        # A comment at the top
        rules:
          r:
            sql: |
              SELECT json_decode(payload) AS \(name) FROM "t"   -- not of YAML
            tests:
              - name: x   # of the test
                input:
                  topic: t
                  payload: '\(value)'
        \(expect)
        # at the end

        """
    }

    private func updated(_ text: String, name: String = "r1.yaml") -> (text: String, refusals: [String]) {
        let source = SourceFile(name: name, text: text)
        let update = RuleTestUpdate([source])
        let bytes = update.files.first?.bytes ?? source.bytes
        return (String(decoding: bytes, as: UTF8.self), update.refusals.map(\.message))
    }

    static let cases: [(name: String, value: String, before: String, after: String)] = [
        ("a number", "42", "expect: {output: {v:  41  }} # c", "expect: {output: {v:  42  }} # c"),
        ("a float", "4.5", "expect: {output: {v: 41}}", "expect: {output: {v: 4.5}}"),
        ("a plain text", "\"b\"", "expect: {output: {v: a}}", "expect: {output: {v: b}}"),
        ("quotes stay", "\"it''s\"", "expect: {output: {v: 'a'}}", "expect: {output: {v: 'it''s'}}"),
        ("double quotes stay", "\"b\\\"\"", "expect: {output: {v: \"a\"}}", "expect: {output: {v: \"b\\\"\"}}"),
        ("what looks like a number is quoted", "\"5\"", "expect: {output: {v: a}}", "expect: {output: {v: \"5\"}}"),
        (
            "what YAML would misread is quoted", "\"a: b\"", "expect: {output: {v: a}}",
            "expect: {output: {v: \"a: b\"}}"
        ),
        ("null", "null", "expect: {output: {v: a}}", "expect: {output: {v: null}}"),
        (
            "a value of another kind", "[1,{\"a\":true}]", "expect: {output: {v: a}}",
            "expect: {output: {v: [1, {a: true}]}}"
        ),
        ("a list becomes a value", "7", "expect: {output: {v: [1, 2]}}", "expect: {output: {v: 7}}"),
        (
            "an empty value", "7", "expect:\n          output:\n            v:\n",
            "expect:\n          output:\n            v: 7\n"
        ),
        (
            "a flow mapping loses and gains", "{\"a\":1,\"c\":3}", "expect: {output: {v: {b: 2,  a: 1, d: 4}}}",
            "expect: {output: {v: {a: 1, c: 3}}}"
        ),
        ("a flow list is cut", "[1]", "expect: {output: {v: [ 1, 2, 3 ]}}", "expect: {output: {v: [ 1 ]}}"),
        ("a flow list grows", "[1,2,3]", "expect: {output: {v: [ 1 ]}}", "expect: {output: {v: [ 1, 2, 3 ]}}"),
        ("a flow list is emptied", "[]", "expect: {output: {v: [ 1, 2 ]}}", "expect: {output: {v: []}}"),
        ("an empty list fills", "[1,2]", "expect: {output: {v: []}}", "expect: {output: {v: [1, 2]}}"),
        (
            "a block mapping", "{\"a\":1,\"c\":\"x\"}",
            "expect:\n          output:\n            v:\n              # about a\n              a: 9   # of a\n\n              b: 2   # goes\n              # the end",
            "expect:\n          output:\n            v:\n              # about a\n              a: 1   # of a\n              c: x\n\n              # the end"
        ),
        (
            "a block mapping is emptied", "{}",
            "expect:\n          output:\n            v:\n              a: 9\n              b: 2",
            "expect:\n          output:\n            v:\n                {}"
        ),
        (
            "a block mapping becomes another", "{\"c\":1,\"d\":2}",
            "expect:\n          output:\n            v:\n              a: 9\n              b: 2",
            "expect:\n          output:\n            v:\n              c: 1\n              d: 2"
        ),
        (
            "a block list", "[1,5,7]",
            "expect:\n          output:\n            v:\n              - 1\n              - 2  # two",
            "expect:\n          output:\n            v:\n              - 1\n              - 5  # two\n              - 7"
        ),
        (
            "a block list without indentation is emptied", "[]",
            "expect:\n          output:\n            v:\n            - 1\n            - 2",
            "expect:\n          output:\n            v:\n              []"
        ),
        (
            "an element of a block list loses its first key", "[{\"b\":2}]",
            "expect:\n          output:\n            v:\n            - a: 1\n              b: 2",
            "expect:\n          output:\n            v:\n            - b: 2"
        ),
        (
            "a literal block stays one", "\"new\\nlines\\n\"",
            "expect:\n          output:\n            v: |\n              old\n\n            # c",
            "expect:\n          output:\n            v: |\n              new\n              lines\n\n            # c"
        ),
        (
            "a literal block that cannot hold the text", "\"no line feed\"",
            "expect:\n          output:\n            v: |\n              old\n",
            "expect:\n          output:\n            v: \"no line feed\"\n"
        ),
        ("matched", "1", "expect: {matched: false}", "expect: {matched: true}"),
        ("passes", "1", "expect: {passes: [false, true]}", "expect: {passes: [true]}"),
        ("a row that is expected no more", "1", "expect: {output: []}", "expect: {output: [{v: 1}]}"),
        ("a name of an error", "x", "expect: {error: memory_limit}", "expect: {error: bad_argument}"),
        (
            "only what it contains", "{\"a\":1}", "expect: {output_contains: {v: {a: 2, b: 3}}}",
            "expect: {output_contains: {v: {a: 1}}}"
        ),
        ("non-ASCII in front", "\"ü\"", "expect: {output: {v: \"äöü€\"}} # ü", "expect: {output: {v: \"ü\"}} # ü"),
    ]

    @Test(arguments: cases.indices)
    func `only the expected value changes`(index: Int) {
        let (name, value, before, after) = Self.cases[index]
        let (text, refusals) = updated(file(value, "        " + before))
        #expect(refusals == [], "\(name)")
        #expect(text == file(value, "        " + after), "\(name)")
        #expect(RuleTestRunner.run(sources([text])).map(\.passed) == [true], "\(name): \(text)")
    }

    static let refused: [(name: String, value: String, expect: String, reason: String)] = [
        ("a matcher", "5", "expect: {output: {v: {$gt: 7}}}", "a matcher is yours to change"),
        ("an alias", "5", "x-a: &a {v: 4}\n        expect: {output: *a}", "an unknown key"),
        (
            "a number beyond 64 bits", "123456789012345678901234567890", "expect: {output: {v: 1}}",
            "cannot be written here"
        ),
        ("an error that is new", "x", "expect: {output: {v: 1}}", "it raised bad_argument"),
        ("an error that is gone", "1", "expect: {error: bad_argument}", "nothing raised"),
        ("a tag", "1", "expect: {output: {v: !!str 4}}", "its tag would not fit"),
        (
            "a comment in what goes", "1",
            "expect:\n          output:\n            v:\n              a: 1 # c\n              b: 2",
            "a comment in it would be lost"
        ),
        ("no row for what is contained", "1", "expect: {requests: [{method: POST}]}", ""),
    ]

    @Test(arguments: refused.indices)
    func `what cannot be changed safely is told and left`(index: Int) {
        let (name, value, expect, reason) = Self.refused[index]
        let before = file(value, "        " + expect)
        let (text, refusals) = updated(before)
        guard !reason.isEmpty, !reason.hasPrefix("an unknown") else { return }
        #expect(text == before, "\(name)")
        #expect(refusals.count == 1 && refusals[0].contains(reason), "\(name): \(refusals)")
    }

    @Test func `an alias is not changed where it stands, since others use it`() {
        let text = """
            x-row: &row {v: 4}
            rules:
              r:
                sql: SELECT json_decode(payload) AS v FROM "t"
                tests:
                  - {name: whole, input: {topic: t, payload: "5"}, expect: {output: *row}}
                  - {name: part, input: {topic: t, payload: "[5,5]"}, expect: {output: {v: [&four 4, *four]}}}
                  - {name: good, input: {topic: t, payload: "4"}, expect: {output: *row}}
            """
        let (after, refusals) = updated(text)
        #expect(after == text)
        #expect(refusals.count == 2 && refusals.allSatisfy { $0.contains("comes from an alias") }, "\(refusals)")
    }

    @Test func `an anchor whose other use would fail is left alone`() {
        let text = """
            rules:
              r:
                sql: SELECT json_decode(payload) AS v FROM "t"
                tests:
                  - {name: first, input: {topic: t, payload: "5"}, expect: {output: &row {v: 4}}}
                  - {name: good, input: {topic: t, payload: "4"}, expect: {output: *row}}
            """
        let (after, refusals) = updated(text)
        #expect(after == text)
        #expect(refusals == ["this file was not changed: with the changes \"r: good\" would not pass"])
        let both = text.replacing("payload: \"4\"", with: "payload: \"5\"")
        #expect(updated(both).text == both.replacing("&row {v: 4}", with: "&row {v: 5}"))
    }

    @Test func `what an action would send is compared as JSON and changed as YAML`() {
        let text = """
            version: 1
            rules:
              r:
                sql: SELECT payload.a AS a FROM "t"
                actions:
                  - webhook: {url: "http://h/p", body: {a: "${a}", list: [1, "${a}"]}}
                  - republish: {topic: "o/${a}", payload: '{"a":${a}}'}
                  - file: {path: f, template: "l ${a}"}
                tests:
                  - input: {topic: t, payload: {a: 5}}
                    expect:
                      requests:
                        - body: {a: 4, list: [1, 4]}   # body
                          method: PUT
                      published: [{topic: o/4, payload: '{"a":4}', qos: 0}, {topic: more}]
                      lines: []
            """
        let (after, refusals) = updated(text)
        #expect(refusals == [])
        #expect(
            after
                == text.replacing("{a: 4, list: [1, 4]}", with: "{a: 5, list: [1, 5]}").replacing("PUT", with: "POST")
                .replacing(
                    "[{topic: o/4, payload: '{\"a\":4}', qos: 0}, {topic: more}]",
                    with: "[{topic: o/5, payload: '{\"a\":5}', qos: 0}]"
                )
                .replacing("lines: []", with: "lines: [{action: \"file:r~3\", path: f, text: l 5}]"))
        #expect(RuleTestRunner.run(sources([after])).map(\.passed) == [true])
    }

    @Test func `a JSON file stays JSON, and CRLF stays CRLF`() {
        let json = """
            {"rules": {"r": {"sql": "SELECT json_decode(payload) AS v FROM \\"t\\"",
              "tests": [{"input": {"topic": "t", "payload": "{\\"k\\": \\"w\\"}"}, "expect": {"output": {"v": {"x": 1}}}}]}}}
            """
        #expect(updated(json, name: "r.json").text == json.replacing("{\"x\": 1}", with: "{\"k\": \"w\"}"))
        let text = file("{\"a\":1,\"b\":2}", "        expect:\n          output:\n            v:\n              a: 1")
            .replacing("\n", with: "\r\n")
        #expect(updated(text).text == text.replacing("a: 1\r\n", with: "a: 1\r\n              b: 2\r\n"))
    }

    @Test func `nothing changes while a test cannot be read, or when all pass`() {
        let bad = file("1", "        expect: {output: {v: 2}}\n      - {input: {topik: x}, expect: {matched: true}}")
        #expect(updated(bad).text == bad)
        #expect(updated(bad).refusals.first?.contains("has no column \"topik\"") == true)
        let good = file("1", "        expect: {output: {v: 1}}")
        let update = RuleTestUpdate(sources([good]))
        #expect(update.files.isEmpty && update.refusals.isEmpty)
    }

    @Test func `a filter keeps to the tests it names, and changes are told`() {
        let text = file(
            "1",
            "        expect: {output: {v: 2}}\n      - {name: y, input: {topic: t, payload: \"1\"}, expect: {matched: false}}"
        )
        let update = RuleTestUpdate(sources([text]), filter: "y")
        #expect(update.files.first?.changes == ["r1.yaml:12:70: r: y: matched: false → true"])
    }
}
