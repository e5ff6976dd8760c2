/// Every key of the broker's configuration. [EMQX configuration]
package enum BrokerFields {
    // MARK: Roots

    static let node = Field(group: "node", Node.all, doc: "This node.")
    static let listeners = Field(group: "listeners", Listeners.all, doc: "Where clients connect.")
    static let mqtt = Field(group: "mqtt", MQTT.all, doc: "What the protocol allows, and its limits.")
    static let retainer = Field(group: "retainer", Retainer.all, doc: "Retained messages.")
    static let sysTopics = Field(group: "sys_topics", SysTopics.all, doc: "What `$SYS` tells.")
    static let alarm = Field(group: "alarm", Alarm.all, doc: "What happens with alarms.")
    static let rules = Field(group: "rules", Rules.all, doc: "Where the rule files are.")
    static let ruleEngine = Field(group: "rule_engine", RuleEngine.all, doc: "How rules run.")
    static let log = Field(group: "log", Log.all, doc: "What the node writes down.")
    static let durability = Field(
        "durability", FieldType<DurabilityMode>.choice, default: .process,
        doc:
            "What must have happened before a message is acknowledged: `process` (written to the kernel: survives the death "
            + "of the process), `fsync` (synced to the disk: survives power loss), `none` (memory only: a restart loses all "
            + "sessions, their queues, retained and delayed messages).")
    static let shutdown = Field(group: "shutdown", Shutdown.all, doc: "How the node ends.")

    /// The whole configuration.
    package static let all = FieldSet(
        "the configuration",
        [
            node, cluster, listeners, mqtt, retainer, delayed, rewrite, autoSubscribe, sysTopics, alarm, durability,
            rules,
            ruleEngine, log, shutdown,
        ] + access + otherRoots)

    /// EMQX's other roots: named here so that the answer is "not supported yet" rather than "unknown".
    private static let otherRoots: [any ConfigField] = [
        "rpc", "dashboard", "api_key", "prometheus", "opentelemetry",
        "exhook",
        "durable_sessions", "slow_subs", "force_shutdown",
        "force_gc", "conn_congestion", "overload_protection", "sysmon", "broker", "zones", "connectors",
        "actions",
    ].map { UnsupportedField($0) }

    // MARK: node

    enum Node {
        static let name = Field(
            "name",
            FieldType.string.limited("a name such as sluice@127.0.0.1") {
                let parts = $0.split(separator: "@", omittingEmptySubsequences: false)
                return parts.count == 2
                    && parts.allSatisfy {
                        !$0.isEmpty
                            && $0.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.:".contains($0)) }
                    }
            }, default: "sluice@127.0.0.1", doc: "Name and host, unique in the cluster.")
        static let cookie = Field(
            "cookie", .secret, doc: "The cluster's shared secret; without one the node makes one at its first start.")
        static let role = Field(
            "role",
            FieldType<NodeSettings.Role>.choice, default: .core,
            doc:
                "`core` keeps the cluster's state and votes on it; a `replicant` follows the cores and comes and goes at will."
        )
        static let dataDirectory = Field(
            "data_dir", .nonEmptyString, default: "data", doc: "Where the node keeps its files.")
        static let shards = Field(
            "shards",
            FieldType<Limit<Int>>.scalar("auto or a number from 1 to 32", show: { $0.finite.map { "\($0)" } ?? "auto" })
            {
                text, scalar in
                if text == "auto" { return .infinity }
                guard case .int(let count) = scalar, (1...32).contains(count) else { return nil }
                return .at(Int(count))
            }, default: .infinity, doc: "Event loops, each with its own connections; `auto` is one per core.")
        static let all = FieldSet("node", [name, cookie, role, dataDirectory, shards])
    }

    // MARK: retainer, sys_topics, rules, log, shutdown

    enum Retainer {
        static let enable = Field("enable", .bool, default: true, doc: "Whether messages are retained.")
        static let expiry = Field(
            "msg_expiry_interval", .duration, default: .zero,
            doc: "How long; 0s is for ever. MQTT 5's own interval wins.")
        static let payloadSize = Field(
            "max_payload_size", .byteSize, default: .megabytes(1),
            doc: "Larger payloads are delivered and not retained.")
        static let messages = Field(
            "max_retained_messages", .intOrInfinity(zeroMeansInfinity: true), default: .at(1_000_000),
            doc: "Messages of further topics are delivered and not retained; 0 is no bound.")
        static let all = FieldSet(
            "retainer",
            [
                enable, expiry, payloadSize, messages, UnsupportedField("allow_never_expire", accepts: "true"),
                UnsupportedField("msg_clear_interval", accepts: "0s"),
                UnsupportedField("stop_publish_clear_msg", accepts: "false"),
                UnsupportedField("delivery_rate"), UnsupportedField("max_publish_rate"), UnsupportedField("backend"),
            ])
    }

    enum SysTopics {
        static let message = Field(
            "sys_msg_interval", .durationOr("disabled"), default: .at(.seconds(60)),
            doc: "Between two rounds of `$SYS` topics.")
        static let heartbeat = Field(
            "sys_heartbeat_interval", .durationOr("disabled"), default: .at(.seconds(30)),
            doc: "Between two uptime and datetime messages.")
        static let events = Field(
            group: "sys_event_messages", SysEvents.all, doc: "Which events are told on `$SYS/brokers/<node>/clients/…`."
        )
        static let all = FieldSet("sys_topics", [message, heartbeat, events])
    }

    enum Alarm {
        static let actions = Field(
            "actions", .list(FieldType<AlarmSettings.Action>.choice), default: [.log, .publish],
            doc: "What happens when an alarm begins or ends: `log`, and `publish` on `$SYS/brokers/<node>/alarms/…`.")
        static let sizeLimit = Field(
            "size_limit", .int(0...100_000), default: 1000, doc: "How many alarms that are over are kept.")
        static let validityPeriod = Field(
            "validity_period", .duration, default: .seconds(24 * 3600), doc: "How long alarms that are over are kept.")
        static let all = FieldSet("alarm", [actions, sizeLimit, validityPeriod])
    }

    enum Rules {
        static let paths = Field(
            "paths", .list(.nonEmptyString), default: ["rules"], hotReload: true, doc: "Files and directories.")
        static let testsOnLoad = Field(
            "tests_on_load", FieldType<RuleFileSettings.TestsOnLoad>.choice, default: .require, hotReload: true,
            doc: "Whether inline tests must pass before rules go live.")
        static let source = Field(
            "source", FieldType<RuleFileSettings.Source>.choice, default: .files,
            doc:
                "`files`: this node's files go to the whole cluster when they change. `cluster`: this node reads none; rules change by "
                + "`sluice rules apply`, and by other nodes' files.")
        static let requireValid = Field(
            "require_valid", .bool, default: false,
            doc:
                "Whether a node whose rule files are wrong refuses to start although the cluster has rules that it could run."
        )
        static let all = FieldSet("rules", [paths, source, testsOnLoad, requireValid])
    }

    enum RuleEngine {
        static let ignoreSys = Field(
            "ignore_sys_message", .bool, default: true, hotReload: true,
            doc: "Whether `$SYS` messages pass by the rules.")
        static let all = FieldSet(
            "rule_engine",
            [ignoreSys, UnsupportedField("jq_function_default_timeout", accepts: "10s"), UnsupportedField("rules")])
    }

    enum Log {
        static let level = Field(
            "level", FieldType<LogSettings.Level>.choice, default: .warning, hotReload: true,
            doc: "The least that is written.")
        static let format = Field(
            "format", FieldType<LogSettings.Format>.choice, default: .text, doc: "One line per message, or JSON.")
        static let all = FieldSet("log", [level, format, UnsupportedField("console"), UnsupportedField("file")])
    }

    enum Shutdown {
        static let drainTimeout = Field(
            "drain_timeout", .duration, default: .seconds(10),
            doc: "How long sinks may empty their queues after SIGTERM.")
        static let all = FieldSet("shutdown", [drainTimeout])
    }
}
