import RuleFiles
import Testing

struct RuleLintTests {
    // MARK: JSON

    @Test func `a text outside of quotes in a JSON body is told at its place`() {
        let loaded = load(
            """
            version: 1
            rules:
              r:
                sql: SELECT clientid, payload.temp AS temp FROM "t/#"
                actions:
                  - webhook:
                      url: http://h/
                      body: |
                        {"device": ${clientid},
                         "temp": ${temp}}
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:9:24: warning TPL004: ${clientid} is text and stands outside of quotes, so this is not JSON; its content-type is application/json; write \"${clientid}\" in quotes, or ${json:clientid}"
            ])
    }

    @Test(arguments: [
        #"{"a": ${temp}, "b": "${clientid}"}"#, "${.}", "${json:clientid}", #"[${temp}, {"x": "${topic}/${temp}"}]"#,
        "${payload}", #"{"at": "${date:%Y}", "id": ${json:clientid}}"#, "null", #""\"${clientid}\"""#,
    ])
    func `a body that can be JSON is not told`(body: String) {
        #expect(jsonWarnings(body: body) == [])
    }

    @Test(arguments: [
        #"{"a": ${temp},}"#, #"{"a": ${temp}"#, #"{a: ${temp}}"#, "temp=${temp}", #"{'a': 1}"#, #"{"a" "${temp}"}"#,
    ])
    func `a body that is never JSON is told`(body: String) {
        let warnings = jsonWarnings(body: body)
        #expect(warnings.count == 1)
        #expect(warnings.first?.contains("this is not JSON, whatever the values are") == true)
    }

    @Test func `another content type, whether the action's or the connector's, needs no JSON`() {
        #expect(jsonWarnings(body: "temp=${temp}", more: "headers: {Content-Type: text/plain}") == [])
        let loaded = load(
            """
            connectors: {http: {c: {url: http://h, headers: {content-type: text/csv}}}}
            actions: {http: {a: {connector: c, parameters: {body: "${temp};${clientid}"}}}}
            rules: {r: {sql: 'SELECT clientid, payload.temp AS temp FROM "t/#"', actions: ["http:a"]}}
            """)
        #expect(problems(loaded) == [])
    }

    @Test func `payloads and lines that begin like JSON or declare it are looked at`() {
        let loaded = load(
            """
            actions:
              file:
                f: {path: "x.jsonl", template: '{"c": ${c}}'}
                g: {path: "x.log", template: '${c} said so'}
            rules:
              r:
                sql: SELECT clientid AS c, payload.temp AS temp FROM "t/#"
                actions:
                  - "file:f"
                  - "file:g"
                  - function: republish
                    args: {topic: "out/x", payload: '{"temp": ${temp}, "c": ${c}}'}
                  - function: republish
                    args: {topic: "out/y", payload: 'temp ${temp}', mqtt_properties: {Content-Type: application/json}}
                  - function: republish
                    args: {topic: "out/z", payload: 'temp ${temp}'}
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:3:43: warning TPL004: ${c} is text and stands outside of quotes, so this is not JSON; it begins like JSON; write \"${c}\" in quotes",
                "r1.yaml:12:65: warning TPL004: ${c} is text and stands outside of quotes, so this is not JSON; it begins like JSON; write \"${c}\" in quotes",
                "r1.yaml:14:41: warning TPL004: this is not JSON, whatever the values are; its Content-Type is application/json; look at commas, quotes and brackets; on trial it came to temp 1",
            ])
    }

    private func jsonWarnings(body: String, more: String = "method: post") -> [String] {
        let loaded = load(
            """
            version: 1
            rules:
              r:
                sql: SELECT clientid, topic, payload, payload.temp AS temp FROM "t/#"
                actions:
                  - webhook:
                      url: http://h/
                      \(more)
                      body: |-
                        \(body)
            """)
        return problems(loaded)
    }

    // MARK: republish cycles

    @Test func `a rule that takes what it republishes is told`() {
        let warnings = cycles(
            "r: {sql: 'SELECT * FROM \"t/#\"', actions: [{republish: {topic: \"t/${clientid}/out\"}}]}")
        #expect(
            warnings == [
                "r1.yaml:2:65: warning REF004: the rule takes what it republishes: \"t/${clientid}/out\" can match its own FROM \"t/#\"; publish to a topic outside of \"t/#\", or leave it out with WHERE; the rule does not republish its own messages again, other actions run"
            ])
    }

    @Test func `a circle over several rules is told once, with its names and places`() {
        let warnings = cycles(
            "a: {sql: 'SELECT * FROM \"a/#\"', actions: [{republish: {topic: b/x}}]}",
            "b: {sql: 'SELECT * FROM \"b/+\"', actions: [{republish: {topic: \"c/${qos}\"}}]}",
            "c: {sql: 'SELECT * FROM \"c/1\"', actions: [{republish: {topic: \"a/${topic}\"}}]}",
            "d: {sql: 'SELECT * FROM \"c/#\"', actions: [{republish: {topic: d}}]}")
        #expect(
            warnings == [
                "r1.yaml:2:65: warning REF004: republished messages go in a circle: a → b → c → a; publish to a topic outside of \"b/+\", or leave it out with WHERE; it goes on at r1.yaml:3:65, r1.yaml:4:65, and max_hops ends it"
            ])
    }

    @Test(arguments: [
        ("\"t/#\"", "out/x"), ("\"t/+\"", "t/a/b"), ("\"t/+\"", "${topic}/out"), ("\"t/1\"", "t/${qos}/1"),
        ("\"t/1\"", "t/x${qos}"), ("\"t/#\"", "out/${topic}"), ("\"t/#\"", "${target}"),
        ("\"$events/client_connected\"", "t/${clientid}"),
    ])
    func `a topic outside of FROM is no circle`(from: String, topic: String) {
        #expect(cycles("r: {sql: 'SELECT * FROM \(from)', actions: [{republish: {topic: \"\(topic)\"}}]}") == [])
    }

    @Test(arguments: [
        ("\"t/#\"", "${topic}/out"), ("\"+/x\"", "${topic}"), ("\"t/+/u\"", "t/${clientid}/u"),
        ("\"t/a1\"", "t/a${qos}"),
        ("\"#\"", "out"), ("\"a\", \"t/#\"", "t"),
    ])
    func `a topic inside of FROM is one`(from: String, topic: String) {
        let warnings = cycles(
            "r: {sql: 'SELECT * FROM \(from) WHERE qos = 1', actions: [{republish: {topic: \"\(topic)\"}}]}")
        #expect(warnings.count == 1)
    }

    @Test func `what bypasses rules, is disabled or is another topic by its alias makes no circle`() {
        #expect(
            cycles(
                "a: {sql: 'SELECT * FROM \"t/#\"', actions: [{republish: {topic: t/x, direct_dispatch: true}}]}",
                "b: {sql: 'SELECT * FROM \"t/#\"', enable: false, actions: [{republish: {topic: t/x}}]}",
                "c: {sql: 'SELECT payload.to AS topic FROM \"t/#\"', actions: [{republish: {topic: \"${topic}\"}}]}")
                == [])
    }

    private func cycles(_ rules: String...) -> [String] {
        let loaded = load("rules:\n" + rules.map { "  \($0)\n" }.joined())
        return problems(loaded).filter { $0.contains("REF004") }
    }
}
