import Broker
import Cluster
import Sinks

/// What `sluice ctl` can ask a node: one table, read by the admin server and by the usage text.
package struct AdminCommands: Sendable {
    package struct Result: Sendable {
        package var text: String
        package var data: JSONValue
    }

    package struct Command: Sendable {
        package let name: String
        package let arguments: String
        package let summary: String
        let run: @Sendable (AdminCommands, [String]) throws(AdminError) -> Result
    }

    let node: BrokerNode
    let rules: RuleManager
    let cluster: ClusterNode?
    let discovery: ClusterDiscovery?

    init(node: BrokerNode, rules: RuleManager, cluster: ClusterNode?, discovery: ClusterDiscovery?) {
        self.node = node
        self.rules = rules
        self.cluster = cluster
        self.discovery = discovery
    }

    package static let all: [Command] =
        [
            Command(name: "status", arguments: "", summary: "Show whether the node runs") { c, _ throws(AdminError) in
                c.status()
            },
            Command(name: "broker", arguments: "", summary: "Show version, time and uptime") {
                c, _ throws(AdminError) in
                c.broker()
            },
            Command(name: "broker stats", arguments: "", summary: "Show gauges") { c, _ throws(AdminError) in
                c.figures(c.node.statistics)
            },
            Command(name: "broker metrics", arguments: "", summary: "Show counters") { c, _ throws(AdminError) in
                c.figures(c.node.metrics)
            },
            Command(name: "listeners", arguments: "", summary: "List listeners") { c, _ throws(AdminError) in
                c.listeners()
            },
            Command(name: "clients list", arguments: "", summary: "List clients") { c, _ throws(AdminError) in
                c.clients()
            },
            Command(name: "clients show", arguments: "<ClientId>", summary: "Show a client") {
                c, a throws(AdminError) in
                try c.client(try Self.one(a, "clients show <ClientId>"))
            },
            Command(name: "clients kick", arguments: "<ClientId>", summary: "End a client's connection and session") {
                c, a throws(AdminError) in
                try c.kick(try Self.one(a, "clients kick <ClientId>"))
            },
            Command(name: "subscriptions list", arguments: "", summary: "List subscriptions") {
                c, _ throws(AdminError) in
                c.subscriptions()
            },
            Command(name: "rules list", arguments: "", summary: "List rules") { c, _ throws(AdminError) in c.ruleList()
            },
            Command(name: "rules show", arguments: "<RuleID>", summary: "Show a rule and its counters") {
                c, a throws(AdminError) in
                try c.rule(try Self.one(a, "rules show <RuleID>"))
            },
            Command(name: "rules reload", arguments: "", summary: "Read the rule files again") {
                c, _ throws(AdminError) in
                try c.reload()
            },
            Command(name: "sinks list", arguments: "", summary: "List sinks") { c, _ throws(AdminError) in c.sinkList()
            },
            Command(name: "sinks show", arguments: "<type:name>", summary: "Show a sink and its counters") {
                c, a throws(AdminError) in
                try c.sink(try Self.one(a, "sinks show <type:name>"))
            },
            Command(name: "alarms list", arguments: "", summary: "List alarms, those that are over too") {
                c, _ throws(AdminError) in
                c.alarmList(c.node.alarms.activated + c.node.alarms.history)
            },
            Command(name: "alarms activated", arguments: "", summary: "List alarms that are active") {
                c, _ throws(AdminError) in
                c.alarmList(c.node.alarms.activated)
            },
            Command(name: "alarms history", arguments: "", summary: "List alarms that are over") {
                c, _ throws(AdminError) in
                c.alarmList(c.node.alarms.history)
            },
        ] + clusterCommands + ruleSetCommands + accessCommands + topicCommands

    static func one(_ arguments: [String], _ usage: String) throws(AdminError) -> String {
        guard arguments.count == 1 else { throw .usage("usage: sluice ctl \(usage)") }
        return arguments[0]
    }

    func run(_ name: String, _ arguments: [String]) throws(AdminError) -> Result {
        guard let command = (Self.all + Self.fileCommands).first(where: { $0.name == name }) else {
            throw .usage("there is no command \"\(name)\"; sluice ctl help lists them")
        }
        return try command.run(self, arguments)
    }

    // MARK: Node

    private func status() -> Result {
        let rules = self.rules.summary
        var text = "Node '\(node.name)' \(node.version) is started\n"
        if let failure = rules.lastFailure {
            text += "The last rule files were refused, the ones before are in force: \(failure)\n"
        }
        return Result(
            text: text,
            data: .object([
                "node": .string(node.name), "version": .string(node.version), "status": .string("running"),
                "uptime_ms": .integer(Int(node.uptimeMilliseconds)), "rules_generation": .integer(rules.generation),
                "rules_last_failure": rules.lastFailure.map { .string($0) } ?? .null,
            ]))
    }

    private func broker() -> Result {
        let seconds = Int(node.uptimeMilliseconds / 1000)
        let uptime = "\(seconds / 3600) hours, \(seconds / 60 % 60) minutes, \(seconds % 60) seconds"
        let text = "sysdescr  : Sluice\nversion   : \(node.version)\nuptime    : \(uptime)\n"
        return Result(
            text: text,
            data: .object([
                "sysdescr": .string("Sluice"), "version": .string(node.version),
                "uptime_ms": .integer(Int(node.uptimeMilliseconds)),
            ]))
    }

    private func figures(_ figures: [(name: String, value: Int)]) -> Result {
        Result(
            text: figures.map { "\(padded($0.name, 30)): \($0.value)\n" }.joined(),
            data: .object(Dictionary(uniqueKeysWithValues: figures.map { ($0.name, .integer($0.value)) })))
    }

    private func listeners() -> Result {
        let listeners = node.listeners
        let text = listeners.map { listener in
            "\(listener.id)\n  \(padded("listen_on", 16)): \(listener.address)\n  \(padded("running", 16)): true\n"
                + "  \(padded("current_conn", 16)): \(listener.current)\n"
                + "  \(padded("max_conns", 16)): \(listener.max == .max ? "infinity" : String(listener.max))\n"
                + "  \(padded("refused", 16)): \(listener.refused)\n"
        }.joined()
        return Result(
            text: text,
            data: .array(
                listeners.map { listener in
                    .object([
                        "id": .string(listener.id), "listen_on": .string(listener.address), "running": .boolean(true),
                        "current_conn": .integer(listener.current),
                        "max_conns": listener.max == .max ? .string("infinity") : .integer(listener.max),
                        "refused": .integer(listener.refused),
                    ])
                }))
    }

    // MARK: Clients

    private func clients() -> Result {
        let clients = node.clients
        return Result(
            text: clients.isEmpty ? "No clients.\n" : clients.map { line($0) }.joined(),
            data: .array(clients.map { data($0) }))
    }

    private func client(_ id: String) throws(AdminError) -> Result {
        guard let client = node.clients.first(where: { $0.clientID == id }) else { throw .notFound("Not Found.") }
        return Result(text: line(client), data: data(client))
    }

    private func kick(_ id: String) throws(AdminError) -> Result {
        guard node.kick(id) else { throw .notFound("Not Found.") }
        return Result(text: "ok\n", data: .object(["result": .string("ok")]))
    }

    private func subscriptions() -> Result {
        let clients = node.clients
        let lines = clients.flatMap { client in
            client.subscriptions.map { "\(client.clientID) -> topic:\($0.filter) qos:\($0.qos)\n" }
        }
        return Result(
            text: lines.isEmpty ? "No subscriptions.\n" : lines.joined(),
            data: .array(
                clients.flatMap { client in
                    client.subscriptions.map {
                        .object([
                            "clientid": .string(client.clientID), "topic": .string($0.filter), "qos": .integer($0.qos),
                        ])
                    }
                }))
    }

    private func line(_ client: ClientStatus) -> String {
        var fields = [client.clientID, "username=\(client.username ?? "undefined")", "peername=\(client.peerName)"]
        fields += ["clean_start=\(client.cleanStart)", "keepalive=\(client.keepAlive)"]
        fields += [
            "session_expiry_interval=\(client.sessionExpiryInterval)", "subscriptions=\(client.subscriptions.count)",
        ]
        fields += [
            "inflight=\(client.inflight)", "mqueue_len=\(client.queued)", "awaiting_rel=\(client.awaitingRelease)",
        ]
        fields += [
            "delivered_msgs=\(client.delivered)", "enqueued_msgs=\(client.enqueued)", "dropped_msgs=\(client.dropped)",
        ]
        fields += ["connected=\(client.isConnected)", "created_at=\(client.createdAt)"]
        if let connectedAt = client.connectedAt { fields.append("connected_at=\(connectedAt)") }
        return "Client(\(fields.joined(separator: ", ")))\n"
    }

    private func data(_ client: ClientStatus) -> JSONValue {
        .object([
            "clientid": .string(client.clientID), "username": client.username.map { .string($0) } ?? .null,
            "peername": .string(client.peerName), "connected": .boolean(client.isConnected),
            "proto_ver": .integer(client.protocolVersion), "clean_start": .boolean(client.cleanStart),
            "keepalive": .integer(client.keepAlive),
            "session_expiry_interval": .integer(Int(client.sessionExpiryInterval)),
            "subscriptions_cnt": .integer(client.subscriptions.count), "inflight_cnt": .integer(client.inflight),
            "mqueue_len": .integer(client.queued), "awaiting_rel_cnt": .integer(client.awaitingRelease),
            "delivered_msgs": .integer(client.delivered), "enqueued_msgs": .integer(client.enqueued),
            "mqueue_dropped": .integer(client.dropped), "created_at": .integer(Int(client.createdAt)),
            "connected_at": client.connectedAt.map { .integer(Int($0)) } ?? .null, "shard": .integer(client.shard),
        ])
    }

    func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }
}
