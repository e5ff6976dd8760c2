import ConfigSchema
import RuleEngine
import RuleFiles
import Testing

struct RuleTestRunnerTests {
    private static let alert = """
        version: 1
        rules:
          hot-sensor:
            sql: |
              SELECT clientid, payload.temp AS temp,
                CASE WHEN payload.temp >= 60 THEN 'critical' ELSE 'warning' END AS level
              FROM "plant/+/temp"
              WHERE payload.temp > 40
            actions:
              - webhook:
                  url: "${env:ALERT_URL}alerts"
                  body: {title: "${level}!", device: "${clientid}", temp: "${temp}"}
              - function: republish
                args: {topic: "alert/${clientid}", qos: 1, payload: '{"temp":${temp}}'}
            tests:
              - name: hot
                env: {ALERT_URL: "http://127.0.0.1:9/"}
                input: {topic: plant/7/temp, clientid: c1, payload: {temp: 41.5}}
                expect:
                  matched: true
                  output: {clientid: c1, temp: 41.5, level: warning}
                  output_contains: {temp: {$gt: 41, $lt: 42}}
                  requests: [{method: POST, url: "http://127.0.0.1:9/alerts", body: {title: "warning!", device: c1, temp: 41.5}}]
                  published: [{topic: alert/c1, qos: 1, payload: {temp: 41.5}}]
              - name: cold
                input: {topic: plant/7/temp, payload: {temp: 40}}
                expect: {matched: false}
              - name: elsewhere
                input: {topic: house/7/temp, payload: {temp: 90}}
                expect: {matched: false, output: []}
              - name: no JSON
                input: {topic: plant/7/temp, payload: boom}
                expect: {error: decode_json}
              - inputs:
                  - {topic: plant/1/temp, payload: {temp: 41}}
                  - {at: 60s, topic: plant/1/temp, payload: {temp: 1}}
                expect: {passes: [true, false]}
        """

    @Test func `tests that are right pass, without the process's environment`() {
        let results = RuleTestRunner.run(sources([Self.alert]))
        #expect(results.map(\.name) == ["hot", "cold", "elsewhere", "no JSON", "5"])
        #expect(results.flatMap(\.failures).map(\.headline) == [])
    }

    @Test func `a filter picks tests by rule or name`() {
        #expect(RuleTestRunner.run(sources([Self.alert]), filter: "co").map(\.name) == ["cold"])
        #expect(RuleTestRunner.run(sources([Self.alert]), filter: "hot-s").count == 5)
    }

    @Test(arguments: [
        ("{matched: true}", "payload: {a: 1}", "it did not match"),
        ("{matched: false}", "payload: {a: 5}", "it matched: [{\"a\":5,\"clientid\":\"test\"}]"),
        ("{output: {a: 5, clientid: x}}", "payload: {a: 5}", "output.clientid is \"test\", expected \"x\""),
        ("{output: {a: 5}}", "payload: {a: 5}", "output has \"clientid\", which is not expected"),
        ("{output: {a: 5, clientid: test, b: 1}}", "payload: {a: 5}", "output has no \"b\""),
        ("{output_contains: {a: {$lt: 5}}}", "payload: {a: 5}", "output.a is 5, expected $lt 5"),
        (
            "{output_contains: {clientid: {$regex: \"^c\"}}}", "payload: {a: 5}",
            "output.clientid is \"test\", expected $regex \"^c\""
        ),
        ("{output_contains: {a: {$type: string}}}", "payload: {a: 5}", "output.a is 5, expected $type \"string\""),
        (
            "{output: [{}, {}]}", "payload: {a: 5}",
            "1 rows were selected, expected 2: [{\"a\":5,\"clientid\":\"test\"}]"
        ),
        ("{error: decode_json}", "payload: {a: 5}", "nothing raised, expected \"decode_json\""),
        ("{matched: false}", "payload: no", "it raised decode_json: the payload is not JSON, at byte 0"),
        ("{passes: [false]}", "payload: {a: 5}", "the inputs passed as [true], expected [false]"),
        ("{published: []}", "payload: {a: 5}", "1 messages were made, expected 0"),
        ("{published: [{topic: y}]}", "payload: {a: 5}", "message 1.topic is \"x/5\", expected \"y\""),
        ("{published: [{payload: {b: 1}}]}", "payload: {a: 5}", "message 1.payload is not JSON: \"p\""),
        ("{published: [{topci: y}]}", "payload: {a: 5}", "message 1 has no \"topci\""),
        (
            "{requests: [{method: POST}]}", "payload: {a: 5}",
            "0 requests were made, expected 1; r~1: the environment variable NO_SUCH is not set"
        ),
        ("{lines: [{text: x}]}", "payload: {a: 5}", "line 1.text is \"l 5\", expected \"x\""),
        ("{}", "payload: {a: 5}", "a test that expects nothing can never fail"),
        ("{mached: true}", "payload: {a: 5}", "unknown key \"mached\" in rules.r.tests.1"),
        ("{matched: true}", "topik: x", "message.publish has no column \"topik\""),
        ("{matched: true}", "event: client_conected", "there is no event \"client_conected\""),
        ("{matched: true}", "payload: {hex: zz}", "this is not hex"),
    ])
    func `a test that is wrong fails and says how`(_ expect: String, _ input: String, _ expected: String) {
        let text = """
            rules:
              r:
                sql: SELECT payload.a AS a, clientid FROM "t" WHERE payload.a > 2
                actions: [{webhook: "http://h/${env:NO_SUCH}"}, {republish: {topic: "x/${a}", payload: p}}, {file: {path: f, template: "l ${a}"}}]
                tests:
                  - input: {topic: t, \(input)}
                    expect: \(expect)
            """
        let found = failures(text)
        #expect(found.count == 1)
        #expect(found.first?.hasSuffix(expected) == true, "\(found)")
    }

    @Test func `events, bytes, matchers and FOREACH are understood`() {
        #expect(
            failures(
                """
                version: 1
                test_defaults: {clientid: d1}
                rules:
                  life:
                    sql: SELECT * FROM "$events/client_disconnected"
                    tests:
                      - input: {event: client_disconnected, reason: keepalive_timeout}
                        expect: {output_contains: {event: client.disconnected, reason: keepalive_timeout, clientid: d1}}
                      - input: {topic: x}
                        expect: {matched: false}
                  split:
                    sql: |
                      FOREACH payload.sensors AS s
                      DO clientid, s.name AS name, s.value AS value, timestamp AS ts
                      FROM "g/#"
                      WHERE s.value > 1 OR true
                    tests:
                      - now: 2026-01-01T00:00:01.5Z
                        input: {topic: g/1, clientid: g1, payload: {sensors: [{name: a, value: 1.5}, {name: b, value: 2}]}}
                        expect:
                          output:
                            - {clientid: g1, name: a, value: 1.5, ts: 1767225601500}
                            - {clientid: g1, name: {$any: true}, value: 2, ts: {$type: number}}
                  raw:
                    sql: SELECT payload, flags.retain AS r FROM "b"
                    tests:
                      - input: {topic: b, payload: {base64: aGk=}, retain: true}
                        expect: {output: {payload: hi, r: true}}
                      - input: {topic: b, payload: {hex: "68 69"}}
                        expect: {output: {payload: hi, r: false}}
                """) == [])
    }

    @Test(arguments: EventName.allCases)
    func `an input of an event has all its columns, undefined only where they may be missing`(event: EventName) {
        let source = event.topics.first ?? "t"
        let required = event.declaration.columns.filter { !$0.isOptional }.map(\.name)
        let expected = required.map { "\($0): {$any: true}" }.joined(separator: ", ")
        let condition = required.map { "is_not_null(\($0))" }.joined(separator: " and ")
        let found = failures(
            """
            version: 1
            rules:
              r:
                sql: SELECT * FROM "\(source)" WHERE \(condition)
                tests:
                  - input: {event: \(event.rawValue), topic: t}
                    expect: {output_contains: {\(expected)}}
            """.replacing(event.columns.contains("topic") ? "" : ", topic: t", with: ""))
        #expect(found == [])
    }

    @Test func `a rule that cannot be read fails its tests with its problems`() {
        let text = "rules: {r: {sql: SELEC, tests: [{input: {}, expect: {matched: true}}]}}"
        #expect(RuleTestRunner.run(sources([text])).first?.failures.first?.code.text.hasPrefix("SQL") == true)
    }
}
