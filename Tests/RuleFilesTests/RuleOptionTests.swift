import ConfigSchema
import RuleEngine
import RuleFiles
import Testing

/// The keys of a rule that EMQX does not have.
struct RuleOptionTests {
    private static let rule = """
        version: 1
        rules:
          r:
            sql: SELECT clientid, payload.v AS v FROM "t/#"
        """

    private func problem(_ lines: String) -> [String] { problems(load(Self.rule + "\n" + lines)) }

    @Test func `what a rule remembers is read with its defaults`() throws {
        let loaded = load(
            Self.rule + """

                    sample: 0.5
                    on_change: [v]
                    suppress: {key: "${clientid}", for: 5m}
                    throttle: {rate: 10/s, max_keys: 7}
                    consume: true
                    payload_encoding: auto
                """)
        #expect(problems(loaded) == [])
        let rule = try #require(loaded.definition.rule("r"))
        let gate = try #require(rule.gate)
        #expect(gate.sample == 0.5)
        #expect(gate.onChange == .init(fields: ["v"]))
        #expect(gate.suppress == .init(key: "${clientid}", window: 300_000_000_000))
        #expect(gate.throttle?.count == 10)
        #expect(gate.throttle?.per == 1_000_000_000)
        #expect(gate.throttle?.maximumKeys == 7)
        #expect(gate.suppress?.maximumKeys == 100_000)
        #expect(rule.consumes)
        #expect(rule.payloadEncoding == .auto)
    }

    @Test(arguments: ["sample: 1", "on_change: []", "throttle: {rate: infinity}", "consume: false", "on_error: log"])
    func `an option that does nothing is none`(line: String) throws {
        let loaded = load(Self.rule + "\n    " + line)
        #expect(problems(loaded) == [])
        #expect(loaded.definition.rule("r")?.gate == nil)
    }

    @Test(arguments: [
        ("sample: 1.5", "r1.yaml:5:13: error KEY004: rules.r.sample takes a number from 0.0 to 1.0, not 1.5"),
        ("suppress: {key: a}", "r1.yaml:5:15: error KEY001: rules.r.suppress needs the key \"for\""),
        ("suppress: {for: 0s}", "r1.yaml:5:21: error KEY004: rules.r.suppress.for takes"),
        ("throttle: {rate: 10}", "r1.yaml:5:22: error KEY003: rules.r.throttle.rate takes a rate such as 1000/s"),
        ("throttle: {rat: 10/s}", "r1.yaml:5:16: error KEY002: unknown key \"rat\""),
        ("on_change: {key: a}", "r1.yaml:5:16: error KEY001: rules.r.on_change needs the key \"fields\""),
        ("payload_encoding: latin1", "r1.yaml:5:23: error KEY003: rules.r.payload_encoding takes"),
        ("on_error: dead_letter", "r1.yaml:5:15: error KEY003: rules.r.on_error takes log, or dead_letter:<action>"),
        ("on_error: \"dead_letter:fiel:x\"", "r1.yaml:5:15: error KEY003: rules.r.on_error takes"),
        ("on_error: \"dead_letter:file:x\"", "r1.yaml:5:15: error REF001: the action \"file:x\" is not defined"),
        ("suppress: {key: \"${client}\", for: 1s}", "r1.yaml:5:22: warning TPL001: ${client} is not produced"),
        ("on_change: [clientid, w.x]", "r1.yaml:5:27: warning TPL001: \"w.x\" is not produced"),
        ("on_change: {fields: w}", "r1.yaml:5:25: warning TPL001: \"w\" is not produced"),
        ("actions: [{console: {}, when: \"w > 1\"}]", "r1.yaml:5:36: warning SQL201: `w` is not produced"),
        ("actions: [{console: {}, when: \"v >\"}]", "r1.yaml:5:39: error SQL001: expected"),
        ("actions: [{console: {}, when: [v]}]", "r1.yaml:5:35: error YAML005: "),
    ])
    func `what an option cannot be is said at its place`(line: String, expected: String) {
        let found = problem("    " + line)
        #expect(found.contains { $0.hasPrefix(expected) }, "\(found)")
    }

    @Test func `the action of on_error counts as used`() {
        let loaded = load(
            "actions: {file: {bad: {path: bad.jsonl}}}\n"
                + Self.rule.replacing("version: 1\n", with: "") + "\n    on_error: \"dead_letter:file:bad\"")
        #expect(loaded.problems.map(\.headline) == [])
    }

    // MARK: tests of rules

    @Test func `a clock that stands still moves from input to input`() {
        #expect(
            failures(
                """
                version: 1
                rules:
                  quiet:
                    sql: SELECT clientid, payload.temp AS temp FROM "plant/+/temp" WHERE payload.temp > 40
                    suppress: {key: "${clientid}", for: 5m}
                    actions: [{republish: {topic: "alert/${clientid}", payload: "${temp}"}}]
                    tests:
                      - inputs:
                          - {at: 0s, topic: plant/1/temp, clientid: c1, payload: {temp: 41}}
                          - {at: 60s, topic: plant/1/temp, clientid: c2, payload: {temp: 42}}
                          - {at: 120s, topic: plant/1/temp, clientid: c1, payload: {temp: 43}}
                          - {at: 299s, topic: plant/1/temp, clientid: c1, payload: {temp: 1}}
                          - {at: 300s, topic: plant/1/temp, clientid: c1, payload: {temp: 44}}
                        expect:
                          passes: [true, true, false, false, true]
                          published: [{topic: alert/c1, payload: "41"}, {topic: alert/c2}, {topic: alert/c1, payload: "44"}]
                      - name: each test begins anew
                        input: {topic: plant/1/temp, clientid: c1, payload: {temp: 41}}
                        expect: {matched: true}
                  changes:
                    sql: SELECT payload.state AS state FROM "s/#"
                    on_change: [state]
                    tests:
                      - inputs:
                          - {topic: s/1, payload: {state: on}}
                          - {topic: s/1, payload: {state: on}}
                          - {topic: s/2, payload: {state: on}}
                          - {topic: s/1, payload: {state: off}}
                        expect: {passes: [true, false, true, true], output: [{state: on}, {state: on}, {state: off}]}
                  rate:
                    sql: |
                      FOREACH payload.list AS x DO x AS x FROM "r"
                    throttle: {rate: 2/s}
                    tests:
                      - inputs:
                          - {topic: r, payload: {list: [1, 2, 3]}}
                          - {at: 500ms, topic: r, payload: {list: [4, 5]}}
                          - {at: 501ms, topic: r, payload: {list: [6]}}
                        expect: {passes: [true, true, false], output: [{x: 1}, {x: 2}, {x: 4}]}
                  none:
                    sql: SELECT topic FROM "n"
                    sample: 0
                    tests: [{input: {topic: n}, expect: {matched: false}}]
                """) == [])
    }

    @Test func `an action with a condition gets the rows that it holds for`() {
        let text = """
            version: 1
            actions: {file: {log: {path: "log.jsonl"}}}
            rules:
              r:
                sql: SELECT payload.temp AS temp, clientid FROM "t"
                actions:
                  - {function: republish, when: "temp >= 60", args: {topic: hot, payload: "${temp}"}}
                  - {use: "file:log", when: "temp < 60"}
                  - {webhook: "http://h/x", when: "temp = 'n/a'"}
                tests:
                  - input: {topic: t, payload: {temp: 61}}
                    expect: {published: [{topic: hot}], lines: [], output_contains: {temp: 61}}
                  - input: {topic: t, payload: {temp: 1}}
                    expect: {published: [], lines: [{json: {temp: 1}}], requests: []}
            """
        #expect(problems(load(text)) == [])
        // A comparison of a number with a text that is none raises, so the third action failed and made no request.
        #expect(failures(text) == [])
    }

    @Test func `an event that the statement raises on goes to the dead letters`() {
        #expect(
            failures(
                """
                version: 1
                actions: {file: {bad: {path: "bad-%Y.jsonl"}}}
                rules:
                  r:
                    sql: SELECT payload.v AS v FROM "t/#"
                    on_error: "dead_letter:file:bad"
                    tests:
                      - input: {topic: t/1, clientid: c1, payload: {hex: "ff00"}}
                        expect:
                          error: decode_json
                          lines:
                            - path: bad-2026.jsonl
                              json: {topic: t/1, clientid: c1, payload: "/wA=", payload_encoding: base64, rule_id: r, error: decode_json, error_reason: {$regex: "not JSON"}}
                      - input: {topic: t/1, payload: {v: 1}}
                        expect: {lines: []}
                """) == [])
    }

    @Test func `a file's line is made by the file's own rules, its path too`() {
        #expect(
            failures(
                """
                version: 1
                actions:
                  file:
                    archive: {path: "archive/%Y/%m/%d/${node:name}-${clientid}-%H.jsonl"}
                    raw: {path: /var/log/x.log, format: raw, template: "${topic}"}
                    fixed: {path: fixed.jsonl, template: "${payload}"}
                rules:
                  r:
                    sql: SELECT topic, clientid, payload, username FROM "a/#"
                    payload_encoding: auto
                    undefined_as: null
                    actions: ["file:archive", "file:raw", "file:fixed"]
                    tests:
                      - now: 2026-01-02T03:04:05Z
                        input: {topic: a/b, clientid: ../c, payload: {hex: "01024142 8182"}}
                        expect:
                          lines:
                            - action: "file:archive"
                              path: {$regex: "^archive/2026/01/02/sluice@127.0.0.1-%2E.%2Fc-03\\\\.jsonl$"}
                              json: {topic: a/b, payload: "AQJBQoGC", payload_encoding: base64, username: null}
                            - {path: /var/log/x.log, text: a/b}
                            - {action: "file:fixed", path: fixed.jsonl}
                """) == [])
    }
}
