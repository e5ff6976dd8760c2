import ConfigSchema
import Foundation
import RuleFiles
import Testing

struct RuleTestReportTests {
    private static let text = """
        rules:
          r:
            sql: SELECT payload.a AS a FROM "t" WHERE payload.a > 2
            tests:
              - {name: "good <1> #tag \\\\ & \\"q\\"", input: {topic: t, payload: {a: 5}}, expect: {matched: true}}
              - {name: "bad\\nline", input: {topic: t, payload: {a: 5}}, expect: {output: {a: "x\\u0001]]>"}}}
        """

    private func report(coverage: Bool = false, problems: [ConfigProblem] = []) -> RuleTestReport {
        let (results, covered) = RuleTestRunner.runWithCoverage(sources([Self.text]))
        return RuleTestReport(results: results, problems: problems, coverage: coverage ? covered : nil)
    }

    private var problem: ConfigProblem {
        ConfigProblem(
            .syntax, "it is <wrong>", in: SourceFile(name: "f.yaml", text: "x"), at: SourcePosition(line: 1, column: 1))
    }

    @Test func `text shows each test, the picture of a failure, and the count`() {
        #expect(
            report(coverage: true).rendered(as: .text) == #"""
                ok      r: good <1> #tag \ & "q"
                FAILED  r: bad
                line
                r1.yaml:6:86: error TEST002: output.a is 5, expected "x\u0001]]>"
                    6 |       - {name: "bad\nline", input: {topic: t, payload: {a: 5}}, expect: {output: {a: "x\u0001]]>"}}}
                      |                                                                                      ^~~~~~~~~~~~
                coverage: 2 of 3 branches (66 %)
                  r: 2 of 3, 2 tests
                    r1.yaml:3:47: WHERE was never false: payload.a > 2
                1 passed, 1 failed

                """#)
    }

    @Test func `TAP escapes descriptions, keeps them on a line, and tells failures in YAML`() {
        let lines = report(problems: [problem]).rendered(as: .tap).split(separator: "\n").map(String.init)
        #expect(lines.prefix(3) == ["TAP version 14", "1..3", "not ok 1 - the rule files are right"])
        #expect(lines.contains("ok 2 - r: good <1> \\#tag \\\\ & \"q\""))
        #expect(lines.contains("not ok 3 - r: bad line"))
        #expect(lines.contains("    - message: \"output.a is 5, expected \\\"x\\\\u0001]]>\\\"\""))
        #expect(lines.count { $0 == "  ---" } == 2 && lines.count { $0 == "  ..." } == 2)
    }

    @Test func `JUnit is XML that a parser takes, with all counts`() throws {
        let text = report(coverage: true, problems: [problem]).rendered(as: .junit)
        #expect(text.contains("<testsuites name=\"sluice rules test\" tests=\"3\" failures=\"1\" errors=\"1\""))
        #expect(text.contains("name=\"good &lt;1&gt; #tag \\ &amp; &quot;q&quot;\""))
        #expect(text.contains("<property name=\"coverage.covered\" value=\"2\"/>"))
        #expect(!text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        #expect(!text.contains("]]>"))
    }

    @Test func `JSON has a place for everything`() throws {
        let text = report(coverage: true, problems: [problem]).rendered(as: .json)
        let object = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(object["passed"] as? Int == 1 && object["failed"] as? Int == 1)
        let tests = try #require(object["tests"] as? [[String: Any]])
        #expect(tests.map { $0["name"] as? String } == ["good <1> #tag \\ & \"q\"", "bad\nline"])
        #expect((tests[1]["failures"] as? [[String: Any]])?.first?["line"] as? Int == 6)
        #expect((object["coverage"] as? [String: Any])?["percent"] as? Int == 66)
        #expect((object["problems"] as? [[String: Any]])?.first?["message"] as? String == "it is <wrong>")
    }

    @Test(arguments: [
        (
            #"{"a":[1,{}],"b":"x{,:\"","c":[]}"#,
            "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"x{,:\\\"\",\n  \"c\": []\n}"
        ),
        ("5", "5"), (#""\\""#, #""\\""#),
    ])
    func `JSON is indented without touching texts`(compact: String, pretty: String) {
        #expect(JSONText.pretty(compact) == pretty)
    }
}
