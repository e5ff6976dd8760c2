import ConfigSchema
import RuleEngine
import RuleFiles
import Testing

struct LoaderTests {
    private static let flask = """
        version: 1
        connectors:
          http:
            flask:
              url: "${env:FLASK_URL:-http://127.0.0.1:5000}"
              headers: {content-type: application/json}
        actions:
          http:
            store-flow:
              connector: flask
              parameters: {method: post, path: /mqtt/flow}
              order: client
              retry: {max: 1m}
          file:
            archive:
              path: "archive/%Y/%m/%d/${node:name}-%H.jsonl"
        rules:
          store-messages:
            description: every published message
            sql: |
              SELECT * FROM "t/#"
            actions: ["http:store-flow", "file:archive"]
        """

    @Test func `a file of connectors, actions and rules is read`() throws {
        let loaded = load(Self.flask)
        #expect(problems(loaded) == [])
        let definition = loaded.definition
        #expect(definition.connectors.map(\.id) == ["http:flask"])
        #expect(definition.actions.map(\.id) == ["http:store-flow", "file:archive"])
        let action = try #require(definition.action("http:store-flow"))
        #expect(action.connector?.values[HTTPConnectorFields.url].description == "http://127.0.0.1:5000")
        #expect(action.values[HTTPActionFields.parameters][HTTPParameterFields.path] == "/mqtt/flow")
        #expect(action.values[DeliveryFields.retry][DeliveryFields.Retry.maximum] == .seconds(60))
        #expect(action.extensions)
        #expect(definition.action("file:archive")?.values[FileActionFields.path] == "archive/%Y/%m/%d/n1@h1-%H.jsonl")
        let rule = try #require(definition.rule("store-messages"))
        #expect(rule.compiled.topics == [.filter("t/#")])
        #expect(rule.actions.map(\.name) == ["http:store-flow", "file:archive"])
        #expect(rule.origin.description == "r1.yaml:18")
        #expect(rule.undefinedAs == .text)
    }

    @Test func `objects of several files and documents make one name space`() {
        let loaded = load(
            "rules:\n  a: {sql: SELECT * FROM \"t\"}\n---\nrules:\n  b: {sql: SELECT * FROM \"t\"}\n",
            "rules: {a: {sql: SELECT * FROM \"x\"}}")
        #expect(loaded.definition.rules.map(\.id) == ["a", "b"])
        #expect(
            problems(loaded) == ["r2.yaml:1:9: error KEY005: the rule \"a\" is defined already; first at r1.yaml:2:3"])
    }

    @Test func `EMQX's other spellings are read`() {
        let loaded = load(
            """
            connectors: {webhook: {c: {url: http://h}}}
            sinks: {webhook: {a: {connector: c}}}
            rule_engine: {rules: {r: {sql: SELECT * FROM "t", actions: ["webhook:a"]}}}
            """)
        #expect(problems(loaded) == [])
        #expect(loaded.definition.rules[0].actions.map(\.name) == ["http:a"])
    }

    @Test func `defaults lie under each object of their type, inline ones too`() throws {
        let loaded = load(
            """
            defaults:
              actions: {http: {retry: {max: 2m, initial: 3s}, order: none}}
              connectors: {http: {pool_size: 2}}
              rules: {tags: [demo]}
            rules:
              r:
                sql: SELECT * FROM "t"
                actions: [{webhook: {url: "http://h/x", retry: {max: 9m}}}]
            """)
        #expect(problems(loaded) == [])
        let action = try #require(loaded.definition.action("http:r~1"))
        #expect(action.values[DeliveryFields.retry][DeliveryFields.Retry.maximum] == .seconds(540))
        #expect(action.values[DeliveryFields.retry][DeliveryFields.Retry.initial] == .seconds(3))
        #expect(action.values[DeliveryFields.order] == .none)
        #expect(action.connector?.values[HTTPConnectorFields.poolSize] == 2)
        #expect(loaded.definition.rules[0].tags == ["demo"])
    }

    @Test func `inline actions get connectors of their URL's origin and numbered names`() throws {
        let loaded = load(
            """
            actions: {file: {f: {path: x.jsonl}}}
            rules:
              r:
                sql: SELECT * FROM "t"
                actions:
                  - "https://h:8443/a/${topic}?x=1"
                  - webhook: "https://h:8443/a/${topic}?x=1"
                  - file:f
                  - file: {path: "y.jsonl"}
                  - {function: republish, args: {topic: "x/${clientid}", qos: 1, payload: "p"}, templates: strict}
                  - republish: {topic: y}
                  - {function: console}
                  - {use: "file:f"}
            """)
        #expect(
            problems(loaded) == [
                "r1.yaml:6:9: error REF001: there is no action type \"https\"; did you mean \"http://h:8443/a/${topic}?x=1\"?"
            ])
        let names = loaded.definition.actions.map(\.id)
        #expect(names == ["file:f", "http:r~1", "file:r~2"])
        let action = try #require(loaded.definition.action("http:r~1"))
        #expect(action.connector?.values[HTTPConnectorFields.url].origin == "https://h:8443")
        #expect(action.values[HTTPActionFields.parameters][HTTPParameterFields.path] == "/a/${topic}?x=1")
        #expect(action.owner == "r")
    }

    @Test func `built-in functions are read with their arguments`() throws {
        let loaded = load(
            """
            rules:
              r:
                sql: SELECT * FROM "t"
                actions:
                  - {function: republish, args: {topic: "x/${clientid}", qos: 1, retain: true, payload: "p", mqtt_properties: {Content-Type: a}}, templates: strict}
                  - republish: {topic: y}
                  - console: {}
            """)
        #expect(problems(loaded) == [])
        let uses = loaded.definition.rules[0].actions
        #expect(uses.map(\.name) == ["r~1", "r~2", "r~3"])
        guard case .republish(let first) = uses[0].kind, case .republish(let second) = uses[1].kind,
            case .console = uses[2].kind
        else {
            Issue.record("the actions are of other kinds")
            return
        }
        #expect(first.topic == "x/${clientid}")
        #expect(first.missing == .strict)
        #expect(first.mqttProperties.map(\.name) == ["Content-Type"])
        #expect(second.payload == "${payload}")
    }

    @Test func `webhooks and archive are short for a rule with an action`() throws {
        let loaded = load(
            """
            webhooks: {w: {trigger: ["a/#", "$events/client_connected"], url: "http://h/p", body: {t: "${topic}"}}}
            archive: {all: {topics: "#", path: "x.jsonl"}}
            """)
        #expect(problems(loaded).filter { !$0.contains("SQL203") } == [])
        #expect(loaded.definition.rules.map(\.id) == ["w_WH_D", "all_AR_D"])
        #expect(loaded.definition.rules[0].sql == "SELECT * FROM \"a/#\", \"$events/client_connected\"")
        #expect(loaded.definition.rules[0].compiled.topics == [.filter("a/#"), .event(.clientConnected)])
        #expect(loaded.definition.actions.map(\.id) == ["http:w_WH_D~1", "file:all_AR_D~1"])
        #expect(
            loaded.definition.actions[0].values[HTTPActionFields.parameters][HTTPParameterFields.body]?.json
                == "{\"t\":\"${topic}\"}")
    }

    @Test func `EMQX's disk_log is read`() throws {
        let loaded = load(
            """
            connectors: {disk_log: {flow: {filepath: /var/log/flow.jsonl, max_file_size: 100MB, max_file_number: 20}}}
            actions: {disk_log: {flow: {connector: flow, parameters: {template: "${.}", write_mode: async}}}}
            rules: {r: {sql: SELECT * FROM "t", actions: ["disk_log:flow"]}}
            """)
        #expect(problems(loaded) == [])
        #expect(loaded.definition.action("disk_log:flow")?.connector?.values[DiskLogFields.maximumFiles] == 20)
    }

    @Test func `variables and references are replaced, run-time placeholders are not`() throws {
        let loaded = load(
            """
            vars: {site: "${env:SITE}", base: http://h}
            rules:
              r:
                sql: SELECT * FROM "${var:site}/t"
                actions: [{webhook: {url: "${var:base}/${topic}", auth: {bearer: "${file:/run/secrets/t}"}}}]
            """, env: ["SITE": "A"], files: ["/run/secrets/t": "hush\n"])
        #expect(problems(loaded) == [])
        #expect(loaded.definition.rules[0].compiled.topics == [.filter("A/t")])
        let action = try #require(loaded.definition.action("http:r~1"))
        #expect(action.values[HTTPActionFields.parameters][HTTPParameterFields.path] == "/${topic}")
        #expect(action.connector?.values[HTTPConnectorFields.auth][HTTPConnectorFields.Auth.bearer]?.revealed == "hush")
    }

    @Test func `only what changed has another content`() throws {
        func hashes(_ text: String, env: [String: String] = [:]) -> [String] {
            let definition = load(text, env: env).definition
            return definition.connectors.map(\.content.hash) + definition.actions.map(\.content.hash)
                + definition.rules.map(\.content.hash)
        }
        let before = hashes(Self.flask)
        #expect(before.count == 4)
        #expect(hashes("# a comment\n" + Self.flask) == before)
        #expect(
            hashes(Self.flask.replacing("\"t/#\"", with: "\"u/#\"")).enumerated().filter { $1 != before[$0] }.map(
                \.offset) == [3])
        #expect(
            hashes(Self.flask, env: ["FLASK_URL": "http://x"]).enumerated().filter { $1 != before[$0] }.map(\.offset)
                == [0, 1])
        #expect(load(Self.flask).definition.hash == load("# x\n" + Self.flask).definition.hash)
    }

    @Test func `null is a value where it is one of the words, and no value elsewhere`() {
        let loaded = load(
            """
            version: 1
            rules:
              a: {sql: 'SELECT username FROM "t"', undefined_as: null, description: null}
              b: {sql: 'SELECT username FROM "t"'}
            """)
        #expect(problems(loaded) == [])
        #expect(loaded.definition.rule("a")?.undefinedAs == .null)
        #expect(loaded.definition.rule("a")?.description == "")
        #expect(loaded.definition.rule("b")?.undefinedAs == .text)
    }
}
