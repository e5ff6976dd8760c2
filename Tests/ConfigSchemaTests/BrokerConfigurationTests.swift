import ConfigSchema
import Testing

struct BrokerConfigurationTests {
    /// - Parameter isOpen: whether listeners for everybody are no matter here.
    private func load(_ yaml: String?, _ variables: [String: String] = [:], isOpen: Bool = true)
        -> BrokerConfiguration.Loaded
    {
        let open = isOpen ? ["SLUICE_ALLOW_ANONYMOUS": "true"] : [:]
        let environment = Environment(variables: variables.merging(open) { own, _ in own }) { path in
            switch path {
            case "sluice.yaml": yaml.map { Array($0.utf8) }
            case "c.pem", "k.pem": [0x2D]
            default: nil
            }
        }
        return BrokerConfiguration.load(file: yaml == nil ? nil : "sluice.yaml", environment: environment)
    }

    private func problems(_ yaml: String?, _ variables: [String: String] = [:]) -> [String] {
        load(yaml, variables).problems.map(\.headline)
    }

    @Test func `without a file the node has the documented defaults, on loopback`() throws {
        let configuration = try #require(load(nil).configuration)
        #expect(configuration.node.name == "sluice@127.0.0.1")
        #expect(configuration.node.host == "127.0.0.1")
        #expect(configuration.node.cookie == nil)
        #expect(configuration.node.shards == nil)
        #expect(configuration.listeners.map(\.id) == ["tcp:default"])
        #expect(configuration.listeners[0].bind.description == "127.0.0.1:1883")
        #expect(configuration.mqtt.idleTimeout == .at(.seconds(10)))
        #expect(configuration.mqtt.maximumPacketSize == .megabytes(1))
        #expect(configuration.mqtt.maximumInflight == 128)
        #expect(configuration.mqtt.maximumQueueLength == .at(10_000))
        #expect(configuration.mqtt.serverKeepAlive == nil)
        #expect(configuration.mqtt.sharedStrategy == .roundRobin)
        #expect(configuration.retainer.maximumMessages == .at(1_000_000))
        #expect(configuration.rules.paths == ["rules"])
        #expect(configuration.rules.pathsAreDefault)
        #expect(configuration.alarm.actions == [.log, .publish])
        #expect(configuration.alarm.historyLimit == 1000)
        #expect(configuration.alarm.historyPeriod == .seconds(86_400))
        #expect(configuration.drainTimeout == .seconds(10))
        #expect(configuration.log.level == .warning)
    }

    @Test func `an empty file is the same as none`() {
        #expect(load("# nothing yet\n").configuration != nil)
        #expect(load("").configuration != nil)
    }

    @Test func `a file is read`() throws {
        let loaded = load(
            """
            node: {name: n1@10.0.0.1, cookie: "${env:COOKIE}", role: core, data_dir: /var/lib/sluice, shards: 4}
            listeners:
              tcp:
                default: {bind: 1883, max_connections: 1000, acceptors: 16, transport: nio}
                local: {bind: "[::1]:2883", enable: false, tcp_options: {keepalive: "60,30,5", high_watermark: 64KB}}
              ssl:
                default: {bind: 8883, ssl_options: {certfile: c.pem, keyfile: k.pem, verify: verify_none}}
              ws:
                default: {bind: 8083, websocket: {mqtt_path: /ws, fail_if_no_subprotocol: false}}
            mqtt: {max_packet_size: 2MB, server_keepalive: 60, max_mqueue_len: 0, max_awaiting_rel: infinity, max_qos_allowed: 1}
            retainer: {max_payload_size: 64KB, max_retained_messages: 10}
            sys_topics: {sys_msg_interval: disabled}
            alarm: {actions: [log], size_limit: 10, validity_period: 1h}
            rules: {paths: [a, b], tests_on_load: warn}
            rule_engine: {ignore_sys_message: false}
            log: {level: debug, format: json}
            shutdown: {drain_timeout: 3s}
            """, ["COOKIE": "hush"])
        let configuration = try #require(loaded.configuration)
        #expect(loaded.problems.map(\.code) == [.noEffect])
        #expect(configuration.node.cookie?.revealed == "hush")
        #expect(configuration.node.role == .core)
        #expect(configuration.node.shards == 4)
        #expect(configuration.alarm.actions == [.log])
        #expect(configuration.alarm.historyLimit == 10)
        #expect(configuration.alarm.historyPeriod == .seconds(3600))
        #expect(configuration.listeners.map(\.id) == ["tcp:default", "tcp:local", "ssl:default", "ws:default"])
        #expect(configuration.listeners[0].transport == .nio)
        #expect(configuration.listeners[0].maximumConnections == .at(1000))
        #expect(configuration.listeners[1].isEnabled == false)
        #expect(
            configuration.listeners[1].tcp.keepAlive.map { [$0.idleSeconds, $0.intervalSeconds, $0.probes] } == [
                60, 30, 5,
            ])
        #expect(configuration.listeners[2].tls?.certificateFile == "c.pem")
        #expect(configuration.listeners[3].webSocket?.path == "/ws")
        #expect(configuration.mqtt.serverKeepAlive == 60)
        #expect(configuration.mqtt.maximumQueueLength == .infinity)
        #expect(configuration.sysTopics.messageInterval == .infinity)
        #expect(configuration.rules.testsOnLoad == .warn)
        #expect(!configuration.rules.ignoresSysMessages)
        #expect(!"\(configuration)".contains("hush"))
    }

    @Test func `all mistakes of a file are told at once`() {
        #expect(
            problems(
                """
                nod: {name: x}
                node: {name: nohost}
                listeners:
                  tcp: {a: {bnd: 1883}, b: {bind: 99999}}
                  ssl: {s: {bind: 8883}}
                mqtt: {max_inflight: 0, mqueue_default_priority: high, max_qos_alowed: 1}
                dashboard: {listeners: {}}
                log: {level: loud}
                """) == [
                    "sluice.yaml:1:1: error KEY002: unknown key \"nod\" in the configuration; did you mean \"node\"?",
                    "sluice.yaml:2:14: error KEY004: node.name takes a name such as sluice@127.0.0.1, not \"nohost\"",
                    "sluice.yaml:4:12: error KEY001: listeners.tcp.a needs the key \"bind\"; it takes a port or an address such as 1883, \"127.0.0.1:1883\", \"[::1]:1883\" or \"unix:/run/sluice.sock\"",
                    "sluice.yaml:4:13: error KEY002: unknown key \"bnd\" in listeners.tcp.a; did you mean \"bind\"?",
                    "sluice.yaml:4:35: error KEY003: listeners.tcp.b.bind takes a port or an address such as 1883, \"127.0.0.1:1883\", \"[::1]:1883\" or \"unix:/run/sluice.sock\", not 99999",
                    "sluice.yaml:5:12: error KEY001: listeners.ssl.s.ssl_options needs the key \"certfile\"; it takes a text",
                    "sluice.yaml:5:12: error KEY001: listeners.ssl.s.ssl_options needs the key \"keyfile\"; it takes a text",
                    "sluice.yaml:6:22: error KEY004: mqtt.max_inflight takes an integer from 1 to 65535, not 0",
                    "sluice.yaml:6:50: error KEY006: mqtt.mqueue_default_priority is not supported yet; leave it out, or write lowest",
                    "sluice.yaml:6:56: error KEY002: unknown key \"max_qos_alowed\" in mqtt; did you mean \"max_qos_allowed\"?",
                    "sluice.yaml:7:12: error KEY006: dashboard is not supported yet; leave it out",
                    "sluice.yaml:8:14: error KEY003: log.level takes one of debug, info, notice, warning, error, not \"loud\"",
                ])
    }

    @Test func `a key that is not built may say what changes nothing`() {
        #expect(
            problems("mqtt: {mqueue_default_priority: lowest, mqueue_priorities: disabled, client_attrs_init: []}")
                .isEmpty)
    }

    @Test func `topic extensions are read with EMQX's keys and defaults`() throws {
        let plain = try #require(load(nil).configuration)
        #expect(plain.delayed.isEnabled)
        #expect(plain.delayed.maximumMessages == .at(100_000))
        #expect(!plain.mqtt.exclusiveSubscription)
        #expect(plain.sysTopics.tellsConnected && !plain.sysTopics.tellsSubscribed)
        let loaded = load(
            """
            delayed: {enable: false, max_delayed_messages: 0}
            rewrite:
              - {action: publish, source_topic: x/#, re: "^x/(.+)$", dest_topic: y/$1}
            auto_subscribe: {topics: [{topic: "c/${clientid}", qos: 1, nl: 1}]}
            sys_topics: {sys_event_messages: {client_subscribed: true}}
            """)
        let configuration = try #require(loaded.configuration, "\(loaded.problems.map(\.headline))")
        #expect(!configuration.delayed.isEnabled)
        #expect(configuration.delayed.maximumMessages == .infinity)
        #expect(configuration.rewrites.map(\.destination) == ["y/$1"])
        #expect(configuration.rewrites.map(\.action) == [.publish])
        #expect(configuration.autoSubscriptions.map(\.topic) == ["c/${clientid}"])
        #expect(configuration.autoSubscriptions.map(\.noLocal) == [true])
        #expect(configuration.sysTopics.tellsSubscribed)
    }

    @Test func `two listeners cannot bind one address`() {
        #expect(
            problems("listeners: {tcp: {a: {bind: 1883}, b: {bind: 0}, c: {bind: 0}}, ws: {w: {bind: 1883}}}") == [
                "sluice.yaml:1:80: error KEY005: ws:w and tcp:a both bind 0.0.0.0:1883"
            ])
    }

    @Test func `TLS options are checked together and their files are looked for`() {
        #expect(
            problems(
                "listeners: {ssl: {s: {bind: 1, ssl_options: {certfile: c.pem, keyfile: k.pem, verify: verify_peer}}}}"
            ).first?
            .contains("verify_peer needs \"cacertfile\"") == true)
        #expect(
            problems("listeners: {ssl: {s: {bind: 1, ssl_options: {certfile: no.pem, keyfile: k.pem}}}}") == [
                "sluice.yaml:1:56: error ENV002: the file no.pem cannot be read"
            ])
    }

    @Test func `variables override the file, their values are YAML`() throws {
        let configuration = try #require(
            load(
                "node: {name: a@b}\nlisteners: {tcp: {my-name: {bind: 1}}}\n",
                [
                    "SLUICE_NODE__NAME": "c@d", "SLUICE_NODE__COOKIE": "a #b",
                    "SLUICE_LISTENERS__TCP__MY_NAME__BIND": "[::1]:2",
                    "SLUICE_LISTENERS__WS__DEFAULT__BIND": "8083", "SLUICE_RULES__PATHS": "[x, y]",
                    "SLUICE_MQTT__MAX_PACKET_SIZE": "2MB",
                    "OTHER": "1",
                ]
            ).configuration)
        #expect(configuration.node.name == "c@d")
        #expect(configuration.node.cookie?.revealed == "a #b")
        #expect(
            configuration.listeners.map { "\($0.id) \($0.bind)" } == ["tcp:my-name [::1]:2", "ws:default 0.0.0.0:8083"])
        #expect(configuration.rules.paths == ["x", "y"])
        #expect(configuration.mqtt.maximumPacketSize == .megabytes(2))
    }

    @Test func `an unknown variable is an error with a suggestion`() {
        #expect(
            problems("", ["SLUICE_NODE__NAM": "x@y", "SLUICE_NOD__NAME": "x@y", "SLUICE_LOG__LEVEL": "loud"]) == [
                "SLUICE_LOG__LEVEL:1:1: error KEY003: log.level takes one of debug, info, notice, warning, error, not \"loud\"",
                "SLUICE_NODE__NAM:1:1: error KEY002: the variable SLUICE_NODE__NAM names no configuration key; did you mean SLUICE_NODE__NAME?",
                "SLUICE_NOD__NAME:1:1: error KEY002: the variable SLUICE_NOD__NAME names no configuration key; did you mean SLUICE_NODE__NAME?",
            ])
    }

    @Test func `a file that is not there or is no mapping is told`() {
        let missing = BrokerConfiguration.load(file: "no.yaml", environment: Environment())
        #expect(
            missing.problems.map(\.headline) == ["no.yaml:1:1: error ENV002: the configuration file cannot be read"])
        #expect(problems("- a\n") == ["sluice.yaml:1:1: error YAML005: the configuration is a mapping of keys"])
        #expect(problems("a: [\n").count == 1)
    }

    @Test func `node references mean this node`() throws {
        #expect(
            try #require(load("node: {name: a@h, data_dir: \"/var/${node:name}/${node:host}\"}").configuration).node
                .dataDirectory == "/var/a@h/h")
    }
}
