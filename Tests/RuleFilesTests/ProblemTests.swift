import ConfigSchema
import RuleFiles
import Testing

struct RuleFileProblemTests {
    @Test func `a mistake in SQL is told at its place in the file`() {
        let loaded = load(
            """
            rules:
              alert:
                sql: |
                  SELECT payload.temp AS temp,
                         uper(clientid) AS name
                  FROM "t/#"
            """)
        let problem = loaded.problems.first
        #expect(problem?.position == SourcePosition(line: 5, column: 14))
        #expect(problem?.length == 4)
        #expect(problem?.code.text.hasPrefix("SQL") == true)
        #expect(loaded.definition.rules.isEmpty)
        #expect(loaded.broken["rule:alert"]?.count == 1)
    }

    @Test func `SQL in a folded scalar is told beside the scalar`() {
        let loaded = load("rules:\n  r:\n    sql: >\n      SELECT\n      FROM \"t\"\n")
        #expect(loaded.problems.first?.position == SourcePosition(line: 3, column: 10))
        #expect(loaded.problems.first?.message.contains("of the statement") == true)
    }

    @Test func `all mistakes of all objects are told at once`() {
        let loaded = load(
            """
            version: 2
            ruls: {}
            connectors:
              http:
                c1: {url: "ftp://h", pool_sise: 1}
                c2: {url: "http://u:p@h"}
              htp: {}
              file: {}
            actions:
              http:
                a1: {connector: c9, max_retry: 1, buffer: {mode: disk}, sign: {secret: x}}
                a2: {connector: c2}
                -bad: {connector: c2}
            rules:
              r:
                sql: SELECT * FROM "t"
                suppress: {key: x}
                undefined_as: nil
                actions: ["http:a3", "htpp:a1", nocolon, {functon: console}, {function: consol}, {republish: {topics: x}}, 5]
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:1:10: error KEY003: the only version of the format is 1",
                "r1.yaml:2:1: error KEY002: unknown key \"ruls\" in the rule file; did you mean \"rules\"?",
                "r1.yaml:5:15: error KEY003: connectors.http.c1.url takes a URL such as https://host:8443/base, without credentials or placeholders in its host, not \"ftp://h\"",
                "r1.yaml:5:26: error KEY002: unknown key \"pool_sise\" in connectors.http.c1; did you mean \"pool_size\"?",
                "r1.yaml:6:15: error KEY003: connectors.http.c2.url takes a URL such as https://host:8443/base, without credentials or placeholders in its host, not \"http://u:p@h\"",
                "r1.yaml:7:3: error KEY002: unknown key \"htp\" in connectors; did you mean \"http\"?",
                "r1.yaml:8:3: error KEY002: the type \"file\" has no connectors",
                "r1.yaml:11:25: error KEY002: unknown key \"max_retry\" in actions.http.a1; did you mean \"parameters.max_retries\"?",
                "r1.yaml:11:54: error KEY006: actions.http.a1.buffer.mode: \"disk\" is not supported yet; write memory, or leave it out",
                "r1.yaml:11:67: error KEY006: actions.http.a1.sign is not supported yet; leave it out",
                "r1.yaml:13:5: error KEY003: \"-bad\" is no name; letters, digits, - and _, a letter or digit first",
                "r1.yaml:17:15: error KEY001: rules.r.suppress needs the key \"for\"; it takes a duration such as 500ms, 15s, 10m, 2h or 7d",
                "r1.yaml:18:19: error KEY003: rules.r.undefined_as takes one of undefined, null, not \"nil\"",
                "r1.yaml:19:15: error REF001: the action \"http:a3\" is not defined; did you mean \"http:a1\"?",
                "r1.yaml:19:26: error REF001: there is no action type \"htpp\"; did you mean \"http:a1\"?",
                "r1.yaml:19:37: error KEY003: an action is named as \"type:name\", such as \"http:name\"",
                "r1.yaml:19:46: error KEY002: an action needs one of the keys use, function, webhook, http, file, republish, console; did you mean \"function\"?",
                "r1.yaml:19:77: error KEY003: the functions are republish and console; did you mean \"console\"?",
                "r1.yaml:19:98: error KEY001: rules.r.actions needs the key \"topic\"; it takes a text",
                "r1.yaml:19:99: error KEY002: unknown key \"topics\" in rules.r.actions; did you mean \"topic\"?",
                "r1.yaml:19:112: error KEY003: an action is named as \"type:name\", such as \"http:name\"",
            ])
        #expect(loaded.definition.actions.isEmpty && loaded.definition.rules.isEmpty)
    }

    @Test func `a missing connector and a missing variable are told where they are named`() {
        let loaded = load(
            "actions: {http: {a: {connector: c9}}}\nrules: {r: {sql: SELECT * FROM \"t\", actions: [\"http:a\", {webhook: \"${env:URL}\"}]}}\n"
        )
        #expect(
            problems(loaded) == [
                "r1.yaml:1:33: error REF001: the connector \"http:c9\" is not defined",
                "r1.yaml:2:68: error ENV001: the environment variable URL is not set; set it, or write ${env:URL:-fallback}",
            ])
        // What is broken is the action; the rule can still be tested.
        #expect(loaded.definition.rules.map(\.id) == ["r"])
        #expect(!loaded.isValid)
    }

    @Test func `what nobody uses earns a warning`() {
        let loaded = load("connectors: {http: {c: {url: http://h}}}\nactions: {file: {f: {path: x}}}\n")
        #expect(
            loaded.problems.map { "\($0.severity) \($0.code) \($0.message)" } == [
                "warning REF002 no action uses the connector \"http:c\"",
                "warning REF002 no rule uses the action \"file:f\"",
            ])
        #expect(loaded.isValid)
    }

    @Test func `two names of one setting exclude each other`() {
        let loaded = load(
            """
            connectors: {http: {c: {url: http://h}}}
            actions: {http: {a: {connector: c, buffer: {max_bytes: 1MB}, resource_opts: {max_buffer_bytes: 2MB}, order: key}}}
            rules: {r: {sql: SELECT * FROM "t", actions: ["http:a"]}}
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:2:96: error KEY005: \"max_buffer_bytes\" is another name of \"buffer.max_bytes\", which is there too",
                "r1.yaml:2:109: error KEY001: \"order: key\" needs \"order_key\"",
            ])
    }

    @Test(arguments: [
        ("http://h", "http://h"), ("https://H:1/a/b?c=d", "https://H:1/a/b?c=d"),
        ("http://[::1]:80/", "http://[::1]:80/"), ("http://h?x", "http://h/?x"),
    ])
    func `URLs are taken apart`(_ text: String, _ expected: String) { #expect(HTTPURL(text)?.description == expected) }

    @Test(arguments: [
        "", "h", "ftp://h", "http://", "http://u@h", "http://h#f", "http://${h}/", "http://h:x", "http://h:99999",
        "http://[::1", "http://a b",
    ])
    func `what is no URL of a connector is refused`(_ text: String) { #expect(HTTPURL(text) == nil) }
}
