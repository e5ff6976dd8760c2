import Buffers
import RuleEngine
import Testing

@Suite struct RowConditionTests {
    private static let row = #"""
        {"temp":41.5,"level":"critical","n":0,"t":true,"o":{"k":[1,2]},"payload":"{\"x\":5}","topic":"own","raw":"{\"y\":1}"}
        """#

    private func holds(_ text: String, row: String = Self.row) throws -> Bool {
        let (condition, diagnostics) = RowCondition.compile(text, ruleID: "r1", outputs: nil)
        let compiled = try #require(condition, "\(diagnostics)")
        let context = EvaluationContext(node: "n1")
        let bytes = try context.arena.string(row).bytes
        let event = RuleBench.event(payload: nil, [("topic", .text("t/1"))])
        return try compiled.holds(for: try JSON.decode(bytes, in: context.arena), event: event, in: context)
    }

    @Test(arguments: [
        ("temp > 40", true), ("temp > 42", false), ("level = 'critical' and temp > 40", true),
        ("level = 'warning' or n = 0", true), ("t", true), ("not t", false), ("o.k[2] = 2", true),
        ("o.k[2] = 3", false), ("nosuch = 1", false), ("is_null(nosuch)", true), ("nosuch != 1", false),
        ("payload.x = 5", true), ("payload.y = 5", false), ("upper(level) = 'CRITICAL'", true),
        ("level in ('a', 'critical')", true), ("topic = 'own'", true), ("topic() = 't/1'", true),
        ("topic =~ 'ow+'", false), ("metadata.rule_id = 'r1'", true), ("true", true), ("false", false),
    ])
    func `a condition reads the row's members in the language of WHERE`(text: String, expected: Bool) throws {
        #expect(try holds(text) == expected)
    }

    @Test(arguments: [
        ("level > 5", "bad_argument"), ("temp", "bad_condition"), ("payload.x = 1", "decode_json"),
    ])
    func `what a condition raises is the action's failure`(text: String, error: String) throws {
        #expect(failure { _ = try holds(text, row: #"{"level":"x","temp":1,"payload":"no"}"#) }?.name == error)
    }

    @Test func `a condition between two rules of one message leaves what they have read of the payload`() throws {
        let context = EvaluationContext(node: "n1")
        let rules = try (1...2).map { number in
            try #require(
                CompiledRule.compile(sql: "SELECT payload.v\(number) AS v FROM \"t\"", id: "r\(number)").rule)
        }
        let condition = try #require(
            RowCondition.compile("v = 1 and payload.q = 1", ruleID: "r", outputs: nil).condition)
        let event = RuleBench.event(payload: #"{"v1":1,"v2":2}"#)
        var values: [Int] = []
        RuleGroup(rules).evaluate(event, in: context, rows: RowList()) { rule, outcome in
            #expect(outcome == .passed(1), "\(rule.id)")
        }
        let rows = RowList()
        RuleGroup(rules).evaluate(event, in: context, rows: rows) { _, _ in
            values.append(rows[0].member(Value.string("v").bytes).integer)
            #expect((try? condition.holds(for: rows[0], event: event, in: context)) == false)
        }
        #expect(values == [1, 2])
    }

    @Test(arguments: [
        ("tmp > 1", "SQL201", 0..<3), ("temp >", "SQL001", 6..<7), ("temp > 1 FROM \"t\"", "SQL001", 9..<13),
        ("uper(level) = 'A'", "SQL101", 0..<4), ("1", "SQL107", 0..<1), ("", "SQL004", 0..<0),
        ("case when true then 1 end", "SQL006", 0..<25),
    ])
    func `a condition that is wrong says where`(text: String, code: String, span: Range<Int>) {
        let found = RowCondition.compile(text, ruleID: "r", outputs: ["temp", "level"]).diagnostics
        #expect(found.map(\.code.rawValue) == [code])
        #expect(found.first?.span == span)
    }

    @Test func `a name that the rows lack is near another`() {
        let (condition, found) = RowCondition.compile("tmp > 1 and metadata.x = 1", ruleID: "r", outputs: ["temp"])
        #expect(condition != nil)
        #expect(found.map(\.message) == ["`tmp` is not produced by the rule's SELECT list (temp)"])
        #expect(found.first?.hint == "did you mean `temp`?")
    }
}
