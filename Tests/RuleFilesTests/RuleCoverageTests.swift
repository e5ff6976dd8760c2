import RuleFiles
import Testing

struct RuleCoverageTests {
    /// `line:column name text count` for each branch of the only rule.
    private func branches(_ sql: String, _ inputs: String...) -> [String] {
        let tests = inputs.map { "      - {input: {topic: t, payload: \($0)}, expect: {passes: {$any: true}}}\n" }
        let text =
            "rules:\n  r:\n    sql: |\n"
            + sql.split(separator: "\n").map { "      \($0)\n" }.joined() + "    tests:\n" + tests.joined()
        let (_, coverage) = RuleTestRunner.runWithCoverage(sources([text]))
        return coverage.first?.branches.map { "\($0.position) \($0.name) \($0.text) \($0.count)" } ?? []
    }

    @Test func `WHERE counts each of its ways, with its place in the file`() {
        let sql = "SELECT payload.a AS a\nFROM \"t\"\nWHERE payload.a > 1 AND\n  payload.a < 9"
        let text = "payload.a > 1 AND payload.a < 9"
        #expect(
            branches(sql, "{a: 5}", "{a: 6}", "{a: 1}")
                == ["2:3 evaluated  3", "6:13 WHERE true \(text) 2", "6:13 WHERE false \(text) 1"])
        #expect(
            branches(sql, "'no JSON'") == [
                "2:3 evaluated  1", "6:13 WHERE true \(text) 0", "6:13 WHERE false \(text) 0",
            ])
    }

    @Test func `a searched CASE counts the branch that is taken, ELSE too`() {
        let sql = "SELECT CASE WHEN payload.a > 5 THEN 'x' WHEN payload.a > 2 THEN 'y' ELSE 'z' END AS c FROM \"t\""
        #expect(
            branches(sql, "{a: 6}", "{a: 1}", "{a: 0}").dropFirst() == [
                "4:24 WHEN payload.a > 5 1", "4:52 WHEN payload.a > 2 0", "4:80 ELSE 'z' 2",
            ])
    }

    @Test func `a CASE with a value counts likewise, and the ELSE that is not written`() {
        let sql = "SELECT CASE payload.a WHEN 1 THEN 'x' END AS c FROM \"t\""
        #expect(
            branches(sql, "{a: 1}", "{a: 2}").dropFirst() == [
                "4:14 ELSE (not written) CASE payload.a WHEN 1 THEN 'x' END 1", "4:34 WHEN 1 1",
            ])
    }

    @Test func `INCASE counts elements, and CASE only where an event gave a row`() {
        let sql = """
            FOREACH payload.l AS e DO CASE WHEN e > 5 THEN 1 ELSE 0 END AS c
            INCASE e > 1
            FROM "t"
            """
        #expect(
            branches(sql, "{l: [1, 2, 9]}").dropFirst() == [
                "4:43 WHEN e > 5 1", "4:61 ELSE 0 1", "5:14 INCASE true e > 1 2", "5:14 INCASE false e > 1 1",
            ])
        let select = "SELECT CASE WHEN payload.a > 5 THEN 1 ELSE 0 END AS c FROM \"t\" WHERE payload.a = 9"
        #expect(
            branches(select, "{a: 6}", "{a: 9}", "{a: 1}").dropFirst().prefix(2) == [
                "4:24 WHEN payload.a > 5 1", "4:50 ELSE 0 0",
            ])
    }

    @Test func `a CASE inside WHERE counts for each event`() {
        let sql = "SELECT 1 AS x FROM \"t\" WHERE abs(CASE WHEN payload.a > 5 THEN 1 ELSE 0 END) = 2"
        #expect(branches(sql, "{a: 6}").contains { $0.hasSuffix("WHEN payload.a > 5 1") })
    }

    @Test func `rules without tests count as not reached, and a filter leaves other rules out`() {
        let text = """
            rules:
              a: {sql: SELECT * FROM "t", tests: [{input: {topic: t}, expect: {matched: true}}]}
              b: {sql: SELECT * FROM "t" WHERE qos > 0}
            """
        let all = RuleTestRunner.runWithCoverage(sources([text])).coverage
        #expect(all.map(\.rule) == ["a", "b"])
        #expect((all.covered, all.total, all.percent) == (1, 4, 25))
        #expect(all[1].missing.map(\.description).first == "3:3: no test's event reached the rule")
        #expect(RuleTestRunner.runWithCoverage(sources([text]), filter: "a").coverage.map(\.rule) == ["a"])
    }

    @Test func `statements that differ by environment are counted apart from the rule as it is`() {
        let text = """
            rules:
              r:
                sql: SELECT * FROM "${env:T:-t}"
                tests:
                  - {env: {T: x}, input: {topic: x}, expect: {matched: true}}
                  - {input: {topic: t}, expect: {matched: true}}
            """
        let (results, coverage) = RuleTestRunner.runWithCoverage(sources([text]))
        #expect(results.map(\.passed) == [true, true])
        #expect(coverage.first?.branches.map(\.count) == [1])
    }
}
