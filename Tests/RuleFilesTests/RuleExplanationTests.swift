import ConfigSchema
import Foundation
import RuleEngine
import RuleFiles
import Testing

@Suite struct `Explanation of a rule` {
    private let loaded = load(
        """
        version: 1
        rules:
          hot:
            sql: |
              SELECT clientid, payload.temp AS temp, upper('c') AS unit, payload.temp * (2 + 3) AS five
              FROM "plant/+/temp", "$events/client_connected"
              WHERE temp > 30 AND kv_store_get('limit', 0) < 5
            actions:
              - webhook: {url: "http://h/in/${clientid}", body: {device: "${clientid}", list: ["${temp}", 1]}}
              - republish: {topic: "alert/${clientid}", qos: 1, retain: false, payload: "${temp} ${unit} ${temp}"}
              - console: {}
            tests:
              - name: elsewhere
                input: {topic: x}
                expect: {matched: false}
              - name: hot
                input: {topic: plant/1/temp, payload: {temp: 31}}
                expect: {matched: true}
        """)

    @Test func `it shows topics, paths, columns, order, state, actions and their placeholders`() throws {
        let rule = try #require(loaded.definition.rule("hot"))
        #expect(
            RuleExplanation(rule, in: loaded.definition).text == """
                rule hot
                  defined at r1.yaml:3
                  listens to publishes to "plant/+/temp"
                  listens to the event client.connected
                  reads columns: clientid, payload
                  reads JSON paths: payload.temp
                  known beforehand: upper('c') is "C"
                  known beforehand: (2 + 3) is 5
                  order of evaluation:
                    1. the payload as JSON, in one pass over the paths above   -- where it is no JSON the rule fails, whatever WHERE says
                    2. payload.temp AS temp   -- WHERE or such a field needs it
                    3. payload.temp * (2 + 3) AS five   -- it can fail, and then does whatever WHERE says
                    4. WHERE temp > 30 AND kv_store_get('limit', 0) < 5   -- false ends the rule here
                    5. clientid
                    6. upper('c') AS unit   -- known beforehand
                  depends on more than the event: kv_store_get
                  keeps from one event to the next: kv_store_*: one table for the node, in memory
                  actions, in order, for each row:
                    1. http to POST http://h  (hot~1)
                       path: ${clientid}
                       body.device: ${clientid}
                       body.list[1]: ${temp}
                    2. republish to alert/${clientid}  (hot~2)
                       topic: ${clientid}
                       payload: ${temp} ${unit}
                       user_properties: ${user_properties}
                    3. console to standard output  (hot~3)

                """)
    }

    @Test func `the cost is measured on the first input of a test that the rule listens to`() throws {
        let rule = try #require(loaded.definition.rule("hot"))
        let sample = try #require(RuleSample.ofTests(rule, defaults: nil))
        let cost = try RuleCost.measure(rule.compiled, sample)
        #expect(cost.sample == "the input of its inline test \"hot\"")
        #expect(cost.isListenedTo)
        #expect(cost.outcome == "passed" && cost.rows == 1)
        #expect(cost.payloadBytes == 11)
        #expect(cost.rowBytes == #"{"clientid":"test","five":155,"temp":31,"unit":"C"}"#.utf8.count)
        #expect(cost.nanoseconds > 0 && cost.fastest <= cost.nanoseconds && cost.nanoseconds <= cost.slowest)
        #expect(cost.arenaBytes > 0)
        #expect(cost.text.contains("1 row of 51 bytes as JSON; payload 11 bytes"))
    }

    @Test func `a sample is read from YAML or JSON, and what is wrong in it has a place`() throws {
        let good = RuleSample.read(
            SourceFile(name: "s", text: #"{"topic": "t/1", "payload": "{\"a\": 1}"}"#), origin: "s")
        #expect(good.problems.isEmpty)
        #expect(good.sample?.payloadBytes == 8)
        let bad = RuleSample.read(SourceFile(name: "s", text: "topc: x\n"), origin: "s")
        #expect(bad.sample == nil)
        #expect(bad.problems.map(\.headline).first?.hasPrefix("s:1:1: error KEY002") == true)
    }

    @Test func `an event that FROM does not take, a false WHERE and a failure are told`() throws {
        let rule = try #require(
            CompiledRule.compile(sql: "SELECT payload.a.b AS b FROM \"t/1\" WHERE b > 1", id: "r").rule)
        func cost(_ text: String) throws -> RuleCost {
            try RuleCost.measure(
                rule, try #require(RuleSample.read(SourceFile(name: "s", text: text), origin: "s").sample))
        }
        let other = try cost("{topic: x, payload: {a: {b: 0}}}")
        #expect(!other.isListenedTo && other.outcome == "no_result" && other.rows == 0)
        #expect(other.text.contains("FROM does not take this event"))
        #expect(try cost("{topic: t/1, payload: nonsense}").outcome.hasPrefix("failed: "))
    }

    @Test func `JSON has the same`() throws {
        let rule = try #require(loaded.definition.rule("hot"))
        let data = try JSONEncoder().encode(RuleExplanation(rule, in: loaded.definition))
        let object = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["id"] as? String == "hot")
        let plan = try #require(object["plan"] as? [String: Any])
        #expect(plan["paths"] as? [String] == ["payload.temp"])
        let steps = try #require(plan["steps"] as? [[String: Any]])
        #expect(steps.map { $0["kind"] as? String } == ["scan", "field", "field", "condition", "field", "field"])
        #expect(steps.map { $0["isLazy"] as? Bool } == [false, false, false, false, true, true])
    }
}
