import Broker
import Cluster
import Glibc

extension AdminCommands {
    static let clusterCommands: [Command] = [
        Command(
            name: "cluster join", arguments: "<Node> [--discard]", summary: "Join the cluster that a node is in"
        ) { c, a throws(AdminError) in try c.joinCluster(a) },
        Command(name: "cluster leave", arguments: "", summary: "Leave the cluster") { c, _ throws(AdminError) in
            try c.leaveCluster()
        },
        Command(
            name: "cluster force-leave", arguments: "<Node> [--live]", summary: "Remove another node from the cluster"
        ) { c, a throws(AdminError) in try c.forceLeave(a) },
        Command(name: "cluster status", arguments: "", summary: "Show the cluster") { c, _ throws(AdminError) in
            try c.clusterStatus()
        },
        Command(
            name: "cluster check", arguments: "", summary: "Compare the state of all nodes"
        ) { c, _ throws(AdminError) in try c.checkCluster() },
        Command(
            name: "cluster discovery", arguments: "[enable|disable]",
            summary: "Show or switch how the node finds others by itself"
        ) { c, a throws(AdminError) in try c.discover(a) },
        Command(
            name: "cluster recover", arguments: "--keep <Node>[,<Node>…] | --inspect",
            summary: "Make survivors a cluster after a majority was lost; with the node stopped"
        ) { c, _ throws(AdminError) in
            throw .conflict(
                "\(c.node.name) is running, and recover works on the files of a node that does not\nNext: stop it, then try again"
            )
        },
    ]

    private func member() throws(AdminError) -> ClusterNode {
        guard let cluster else { throw .failed("the node runs without a cluster") }
        return cluster
    }

    private func changed(_ sentence: String, notes: [String] = []) throws(AdminError) -> Result {
        let status = try clusterStatus()
        var data = status.data
        if case .object(var members) = data {
            members["result"] = .string("ok")
            members["notes"] = .array(notes.map { .string($0) })
            data = .object(members)
        }
        return Result(text: sentence + notes.map { "Note: \($0).\n" }.joined() + status.text, data: data)
    }

    /// As EMQX says it, with the reason and the next step.
    private func failed(_ sentence: String, _ failure: MetaFailure) -> AdminError {
        if failure == .isSelf { return .conflict("Ignore.") }
        return switch failure {
        case .refused, .outcomeUnknown: .failed("\(sentence): \(failure)")
        case .conflict: .conflict("\(sentence): \(failure)")
        case .notFound: .notFound("\(sentence): \(failure)")
        }
    }

    private func joinCluster(_ arguments: [String]) throws(AdminError) -> Result {
        let names = arguments.filter { $0 != "--discard" }
        let target = try Self.one(names, "cluster join <Node> [--discard]")
        let cluster = try member()
        do throws(MetaFailure) {
            let notes = try cluster.join(target, discards: arguments.contains("--discard"))
            return try changedResult("Join the cluster successfully.\n", notes)
        } catch { throw failed("Failed to join the cluster", error) }
    }

    /// A status that can't be had does not make what was done undone.
    private func changedResult(_ sentence: String, _ notes: [String] = []) throws(MetaFailure) -> Result {
        do throws(AdminError) { return try changed(sentence, notes: notes) } catch {
            return Result(text: sentence, data: .object(["result": .string("ok")]))
        }
    }

    private func leaveCluster() throws(AdminError) -> Result {
        let cluster = try member()
        var notes: [String] = []
        if let discovery, discovery.isEnabled {
            discovery.setEnabled(false)
            notes.append("automatic discovery is off on this node until sluice ctl cluster discovery enable")
        }
        do throws(MetaFailure) {
            try cluster.leave()
            return try changedResult("Leave the cluster successfully.\n", notes)
        } catch {
            discovery?.setEnabled(true)
            throw failed("Failed to leave the cluster", error)
        }
    }

    private func forceLeave(_ arguments: [String]) throws(AdminError) -> Result {
        let name = try Self.one(arguments.filter { $0 != "--live" }, "cluster force-leave <Node> [--live]")
        let cluster = try member()
        do throws(MetaFailure) {
            try cluster.forceLeave(name, mayBeAlive: arguments.contains("--live"))
            return try changedResult("Remove the node from cluster successfully.\n")
        } catch { throw failed("Failed to remove the node from cluster", error) }
    }

    private func discover(_ arguments: [String]) throws(AdminError) -> Result {
        guard let discovery else {
            if arguments.isEmpty {
                return Result(
                    text: "Discovery is manual: sluice ctl cluster join <Node>.\n",
                    data: .object(["strategy": .string("manual"), "enabled": .boolean(false)]))
            }
            throw .failed(
                "cluster.discovery_strategy is manual\nNext: set it to static or dns, and start the node again")
        }
        switch arguments {
        case []: break
        case ["enable"]: discovery.setEnabled(true)
        case ["disable"]: discovery.setEnabled(false)
        default: throw .usage("usage: sluice ctl cluster discovery [enable|disable]")
        }
        let state = "Automatic cluster discovery \(discovery.isEnabled ? "enabled" : "disabled").\n"
        return Result(
            text: state + (arguments.isEmpty ? "Strategy \(discovery.strategy): \(discovery.lastResult).\n" : ""),
            data: .object([
                "strategy": .string(discovery.strategy), "enabled": .boolean(discovery.isEnabled),
                "last_result": .string(discovery.lastResult),
            ]))
    }

    // MARK: Status

    private func checkCluster() throws(AdminError) -> Result {
        let (compared, problems) = try member().check()
        let data = JSONValue.object([
            "same": .boolean(problems.isEmpty), "nodes": .array(compared.map { .string($0) }),
            "problems": .object(problems.mapValues { .string($0) }),
        ])
        guard problems.isEmpty else {
            throw .failed(
                "the state is not the same on all nodes:\n"
                    + problems.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }.joined(separator: "\n"))
        }
        return Result(text: "The state is the same on \(compared.joined(separator: ", ")).\n", data: data)
    }

    private func clusterStatus() throws(AdminError) -> Result {
        let status = try member().status()
        guard status.clusterID != 0 else {
            return Result(
                text: "The node is in no cluster.\nNext: sluice ctl cluster join <Node>\n", data: data(status, [], []))
        }
        let running = status.nodes.filter(\.isAlive).map(\.member.name)
        let stopped = status.nodes.filter { !$0.isAlive }.map(\.member.name)
        func quoted(_ names: [String]) -> String { "[" + names.map { "'\($0)'" }.joined(separator: ",") + "]" }
        var text = "Cluster status: #{running_nodes =>\n                      \(quoted(running)),\n"
        text += "                  stopped_nodes => \(quoted(stopped))}\n"
        let width = max(4, status.nodes.map(\.member.name.count).max() ?? 0)
        text += "\(padded("Node", width))  Role       Votes    State    Lag  Rules  Version\n"
        for node in status.nodes {
            let state = node.failure != nil ? "failed" : node.isAlive ? "up" : "down"
            text += "\(padded(node.member.name, width))  \(padded("\(node.member.role)", 9))  "
            text += "\(padded(node.isLeader ? "leader" : node.part, 7))  \(padded(state, 7))  "
            text += "\(padded(node.lag.map { "\($0)" } ?? "-", 3))  "
            text += "\(padded(node.rulesGeneration.map { "\($0)" } ?? "-", 5))  \(node.member.version)\n"
            if let failure = node.failure { text += "  \(failure)\n" }
        }
        text += "Cluster \(status.name) (\(metaHex(status.clusterID))), epoch \(status.epoch): "
        text +=
            status.hasQuorum
            ? "quorum, changes are possible.\n" : "no quorum, changes are refused; what runs goes on.\n"
        if !status.hasQuorum {
            text +=
                "Next: start the nodes that are down; if they are lost for good, stop this one and: sluice ctl cluster recover --keep "
            text += "\(node.name)\n"
        }
        return Result(text: text, data: data(status, running, stopped))
    }

    private func data(_ status: ClusterStatus, _ running: [String], _ stopped: [String]) -> JSONValue {
        .object([
            "running_nodes": .array(running.map { .string($0) }), "stopped_nodes": .array(stopped.map { .string($0) }),
            "name": .string(status.name), "id": .string(metaHex(status.clusterID)),
            "epoch": .integer(Int(status.epoch)),
            "feature_level": .integer(Int(status.featureLevel)), "quorum": .boolean(status.hasQuorum),
            "leader": status.leader.map { .string($0) } ?? .null, "voters": .integer(status.voters),
            "applied": .integer(Int(status.sequence)),
            "nodes": .array(
                status.nodes.map { node in
                    .object([
                        "node": .string(node.member.name), "role": .string("\(node.member.role)"),
                        "part": .string(node.part), "leader": .boolean(node.isLeader), "alive": .boolean(node.isAlive),
                        "self": .boolean(node.isSelf), "lag": node.lag.map { .integer(Int($0)) } ?? .null,
                        "rules_generation": node.rulesGeneration.map { .integer(Int($0)) } ?? .null,
                        "address": .string(node.member.address), "version": .string(node.member.version),
                        "joined": .integer(Int(node.member.joined)),
                        "failure": node.failure.map { .string($0) } ?? .null,
                    ])
                }),
        ])
    }
}
