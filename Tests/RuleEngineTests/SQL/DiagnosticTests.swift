import RuleEngine
import Testing

@Suite struct `Diagnostics of a statement` {
    @Test func `every problem is shown with its place and a way out`() throws {
        let cases = try TextCases("RuleSQL/diagnostics")
        #expect(cases.cases.count > 100)
        for (one, actual) in try cases.run(output) {
            Issue.record("\(one.name): \(one.input)\nexpected\n\(one.output)\ngot\n\(actual)")
        }
    }

    private func output(_ sql: String) -> String {
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "r")
        return (rule == nil ? "rejected\n" : "accepted\n") + diagnostics.map { $0.rendered(in: sql) }.joined()
    }

    @Test func `a statement beyond 64 KB is refused`() {
        let sql = "SELECT '" + String(repeating: "a", count: 64 * 1024) + "' FROM \"t\""
        #expect(CompiledRule.compile(sql: sql, id: "r").diagnostics.map(\.code) == [.badText])
    }

    @Test(arguments: ["(", "[", "-", "not ", "f(", "case when "])
    func `a thousand of the same is refused and crashes nothing`(part: String) {
        let sql =
            "SELECT " + String(repeating: part, count: 1000) + "1 FROM \"t\" WHERE "
            + String(repeating: part, count: 1000)
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "r")
        #expect(rule == nil)
        #expect(diagnostics.contains { $0.code == .tooDeep })
    }

    @Test func `too many operators are refused`() {
        let sql = "SELECT " + Array(repeating: "1", count: 5000).joined(separator: "+") + " as a FROM \"t\""
        #expect(CompiledRule.compile(sql: sql, id: "r").diagnostics.contains { $0.code == .tooDeep })
    }

    @Test(arguments: ["a,", "1,", "*,", "payload.a as b.c,", "a=1,", "'a',", "[a],", "f(a),"])
    func `the longest statements are read in a moment`(field: String) throws {
        let count = 64_000 / field.utf8.count
        let sql = "SELECT " + String(repeating: field, count: count) + "a FROM t WHERE a = 1"
        let start = ContinuousClock.now
        let (rule, _) = CompiledRule.compile(sql: sql, id: "r")
        #expect(ContinuousClock.now - start < .seconds(10))
        guard let rule else { return }
        #expect(
            rule.evaluate(DictionaryEvent([("a", .integer(1))]), in: EvaluationContext(node: "n"), rows: RowList())
                != .noResult)
    }

    @Test func `random mutations of statements crash nothing`() {
        let seeds = [
            "SELECT payload.a[1].b as x, upper(topic) u, case when qos = 1 then [1..3] else 'a' end as c FROM \"t/#\", a WHERE not (x = 1 or qos in (1, 2)) and topic =~ 't/+'",
            "FOREACH payload.list as l DO l.a as a.b[-0], -1.5e3 * 2 INCASE l > 1 FROM '$events/client_connected' -- c\n WHERE true",
        ]
        var random = RandomSource(seed: 20_261_124)
        for round in 0..<3000 {
            var bytes = Array(seeds[round % 2].utf8)
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<4, using: &random) {
                case 0: bytes.remove(at: position)
                case 1: bytes.insert(UInt8.random(in: 32..<127, using: &random), at: position)
                case 2: bytes[position] = bytes[Int.random(in: 0..<bytes.count, using: &random)]
                default: bytes.insert(contentsOf: bytes[..<position].suffix(8), at: position)
                }
            }
            let sql = String(decoding: bytes, as: UTF8.self)
            let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "r")
            if let rule {
                let event = RuleBench.event(payload: #"{"a":[{"b":1},"{}"],"list":[{"a":1},2,null]}"#)
                _ = rule.evaluate(event, in: EvaluationContext(node: "n"), rows: RowList())
            }
            if rule == nil { #expect(diagnostics.contains { $0.severity == .error }, "\(sql)") }
            for diagnostic in diagnostics { _ = diagnostic.rendered(in: sql) }
        }
    }
}
