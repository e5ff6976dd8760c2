import Buffers
import RuleEngine
import Testing

/// Counts how often a column is read.
private final class CountingEvent: EventColumns {
    private let inner: DictionaryEvent
    private(set) var reads: [String: Int] = [:]

    init(_ inner: DictionaryEvent) { self.inner = inner }

    var present: [Column] { inner.present }

    func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        reads[column.name, default: 0] += 1
        return try inner.value(of: column, in: context)
    }
}

@Suite struct `Rules on one topic` {
    @Test func `a hundred rules read the payload once`() throws {
        let rules = try (0..<100).map { number in
            let sql = "SELECT payload.a as a, payload.x\(number % 7) as x FROM \"t/#\" WHERE payload.n >= \(number)"
            return try #require(CompiledRule.compile(sql: sql, id: "r\(number)").rule)
        }
        let event = CountingEvent(RuleBench.event(payload: #"{"a":1,"n":49,"x3":"three"}"#))
        let context = EvaluationContext(node: "n1")
        let rows = RowList()
        var passed: [String] = []
        RuleGroup(rules).evaluate(event, in: context, rows: rows) { rule, outcome in
            guard outcome == .passed(1) else { return }
            passed.append(rule.id)
            let x = StoredValue(rows[0].member(Value.string("x").bytes))
            #expect(x == (rule.sql.contains("payload.x3 ") ? .text("three") : .undefined))
        }
        #expect(passed == (0..<50).map { "r\($0)" })
        #expect(event.reads["payload"] == 1)
    }

    @Test func `a payload that is not JSON fails each rule that reads it, and no other`() throws {
        let rules = try ["SELECT payload.a as a FROM t", "SELECT qos FROM t", "SELECT payload.b as b FROM t"].map {
            try #require(CompiledRule.compile(sql: $0, id: "r").rule)
        }
        var outcomes: [Outcome] = []
        let event = RuleBench.event(payload: "{")
        RuleGroup(rules).evaluate(event, in: EvaluationContext(node: "n"), rows: RowList()) { outcomes.append($1) }
        #expect(outcomes[1] == .passed(1))
        for index in [0, 2] {
            guard case .failed(.decodeJSON) = outcomes[index] else {
                Issue.record("\(outcomes[index])")
                continue
            }
        }
    }

    @Test func `only the columns that an expression asks for are read`() throws {
        let rule = try #require(
            CompiledRule.compile(sql: "SELECT clientid, payload as p FROM t WHERE qos = 2", id: "r").rule)
        let event = CountingEvent(RuleBench.event(payload: "{}"))
        #expect(rule.evaluate(event, in: EvaluationContext(node: "n"), rows: RowList()) == .noResult)
        #expect(event.reads == ["qos": 1])
    }

    @Test func `explain shows topics, paths, columns and order`() throws {
        let sql =
            "SELECT payload.temp as t, clientid, t * 2 as u FROM \"t/#\", \"$events/client/connected\" WHERE u > 30"
        let rule = try #require(CompiledRule.compile(sql: sql, id: "hot").rule)
        #expect(
            rule.explain() == """
                rule hot
                  listens to publishes to "t/#"
                  listens to the event client.connected
                  reads columns: clientid, payload
                  reads JSON paths: payload.temp
                  order of evaluation:
                    1. the payload as JSON, in one pass over the paths above   -- where it is no JSON the rule fails, whatever WHERE says
                    2. payload.temp as t   -- WHERE or such a field needs it
                    3. t * 2 as u   -- it can fail, and then does whatever WHERE says
                    4. WHERE u > 30   -- false ends the rule here
                    5. clientid

                """)
    }
}

@Suite struct `Topics of a rule` {
    @Test(arguments: [
        ("\"t/#\", 'a', b", [RuleTopic.filter("t/#"), .filter("a"), .filter("b")]),
        ("\"$events/client_connected\"", [.event(.clientConnected)]),
        ("\"$events/client/connected\"", [.event(.clientConnected)]),
        ("\"$events/auth/check_authn_complete\"", [.event(.clientCheckAuthnComplete)]),
        ("\"$events/sys/alarm_activated\"", [.event(.alarmActivated)]),
        ("\"$events/session/+\"", [.event(.sessionSubscribed), .event(.sessionUnsubscribed)]),
    ])
    func `both spellings of an event and wildcards over events`(from: String, expected: [RuleTopic]) {
        let (rule, _) = CompiledRule.compile(sql: "SELECT * FROM \(from)", id: "r")
        #expect(rule?.topics == expected)
    }
}
