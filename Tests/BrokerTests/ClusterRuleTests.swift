import Broker
import Cluster
import ConfigSchema
import Consensus
import Glibc
import Logging
import Synchronization
import Testing

/// Rules of several nodes that share one log.
@Suite("Rules in a cluster") struct ClusterRuleTests {
    /// A log that takes commands at every node, as long as there is a quorum.
    private final class SharedLog: Sendable {
        struct State {
            var machines: [MetaStateMachine] = []
            var log: [[UInt8]] = []
            var hasQuorum = true
        }

        let state = Mutex(State())

        func add(_ machine: MetaStateMachine) {
            state.withLock { state in
                for (index, command) in state.log.enumerated() {
                    _ = machine.apply(index: UInt64(index + 1), command: command)
                }
                state.machines.append(machine)
            }
        }

        func propose(_ command: [UInt8], to own: MetaStateMachine) -> Result<[UInt8], ProposalError> {
            state.withLock { state in
                guard state.hasQuorum else { return .failure(.refused("no quorum")) }
                state.log.append(command)
                var answer: [UInt8] = []
                for machine in state.machines {
                    if case .result(let bytes) = machine.apply(index: UInt64(state.log.count), command: command),
                        machine === own
                    {
                        answer = bytes
                    }
                }
                return .success(answer)
            }
        }
    }

    private final class Handle: Consensus {
        let log: SharedLog
        let machine: MetaStateMachine

        init(_ log: SharedLog, _ machine: MetaStateMachine) {
            self.log = log
            self.machine = machine
        }

        func propose(_ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void) {
            completion(log.propose(command, to: machine))
        }
        var status: ConsensusStatus {
            var status = ConsensusStatus()
            status.state = .leader
            return status
        }
        func change(_ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void) {
        }
        func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void) {}
        func accept(stream: Int32, from id: UInt64, name: String) { close(stream) }
        func stop() {}
    }

    private final class Rig {
        let name: String
        let node: BrokerNode
        let store: MetaStore
        let rules: RuleManager
        private let directory: String
        private var files: Set<String> = []

        init(_ name: String, _ log: SharedLog, variables: [String: String] = [:], readsFiles: Bool = true) throws {
            self.name = name
            var template = Array("/tmp/sluice-cluster-XXXXXX".utf8CString)
            directory = try #require(mkdtemp(&template).map { String(cString: $0) })
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            var options = NodeOptions(version: "1", shards: 1)
            options.name = name
            options.alarm.logs = false
            node = BrokerNode(options, logger: logger)
            let machine = MetaStateMachine()
            store = MetaStore(machine: machine, name: NodeName(name))
            log.add(machine)
            store.use(Handle(log, machine))
            var settings = RuleManager.Options(
                paths: [directory], requiresPaths: true, testsOnLoad: .require, nodeName: name,
                dataDirectory: directory + "/data")
            settings.readsFiles = readsFiles
            rules = RuleManager(
                node: node, options: settings,
                environment: Environment(variables: variables) { FileReading.bytes(ofFile: $0) }, store: store,
                logger: logger)
            rules.followCluster()
            try store.change(.found(clusterID: 1, name: "c"))
            try store.change(
                .putMember(
                    ClusterMember(
                        name: name, id: metaHash(name.utf8), role: .core, address: "", joined: 1, version: "1",
                        featureLevel: 1)))
        }

        deinit {
            _ = rules.drain(until: .now)
            for file in files { unlink("\(directory)/\(file)") }
            rmdir("\(directory)/data")
            rmdir(directory)
        }

        func write(_ name: String, _ text: String?) {
            files.insert(name)
            guard let text else {
                unlink("\(directory)/\(name)")
                return
            }
            let file = open("\(directory)/\(name)", O_CREAT | O_WRONLY | O_TRUNC, 0o600)
            _ = Glibc.write(file, text, text.utf8.count)
            close(file)
        }

        @discardableResult
        func load(_ texts: [String: String?] = [:]) -> RuleManager.Report {
            for (name, text) in texts { write(name, text) }
            return rules.load()
        }

        /// `id@generation`, as the node runs them.
        var running: [String] { rules.ruleStatuses.map { "\($0.id)@\($0.generation)" }.sorted() }

        func wait(_ condition: () -> Bool) throws {
            let deadline = ContinuousClock.now + .seconds(5)
            while !condition() { try #require(ContinuousClock.now < deadline, "\(name) runs \(running)") }
        }

        func alarm(_ name: String) -> Alarm? { node.alarms.activated.first { $0.name == name } }
    }

    private let log = SharedLog()

    private func rule(_ id: String, _ sql: String = "SELECT topic FROM \"t/#\"") -> String {
        "rules:\n  \(id):\n    sql: '\(sql)'\n    actions: [{function: console}]\n"
    }

    @Test func `A file on one node runs on all, with its place and its generation`() throws {
        let one = try Rig("n1@h", log)
        let two = try Rig("n2@h", log)
        #expect(one.load(["a.yaml": rule("r1")]).isInForce)
        try two.wait { two.running == ["r1@1"] }
        let status = try #require(two.rules.ruleStatuses.first)
        #expect(status.origin.hasSuffix("/a.yaml:2"))
        // Rules of the other node's files come to them, and only what changed gets a new generation.
        #expect(two.load(["b.yaml": rule("r2")]).isInForce)
        try one.wait { one.running == ["r1@1", "r2@2"] }
        #expect(one.load(["a.yaml": rule("r1", "SELECT qos FROM \"t/#\"")]).isInForce)
        try two.wait { two.running == ["r1@3", "r2@2"] }
    }

    @Test func `What was not touched keeps its counters and sinks`() throws {
        let one = try Rig("n1@h", log)
        one.load(["a.yaml": rule("r1")])
        let before = one.rules.sinkStatuses.count
        let report = one.load(["b.yaml": rule("r2")])
        #expect(report.added == ["r2"] && report.changed.isEmpty && report.removed.isEmpty)
        #expect(one.rules.sinkStatuses.count == before + 1)
        #expect(one.load(["b.yaml": rule("r2") + "# a remark\n"]).generation == 2, "a remark changes nothing")
        #expect(one.store.state.rules.number == 2)
    }

    @Test func `Files that differ from what is in force are an alarm that names node, file and hash`() throws {
        let one = try Rig("n1@h", log)
        let two = try Rig("n2@h", log)
        one.load(["a.yaml": rule("r1")])
        let report = two.load(["a.yaml": rule("r1", "SELECT qos FROM \"t/#\""), "b.yaml": rule("r2")])
        #expect(!report.isInForce)
        #expect("\(try #require(report.refusal))".contains("the files of n1@h"))
        try two.wait { two.running == ["r1@1"] }
        let alarm = try #require(two.alarm(RuleManager.driftAlarm))
        #expect(alarm.message.contains("n2@h") && alarm.message.contains("a.yaml:2") && alarm.message.contains("n1@h"))
        guard case .text(let hash)? = alarm.details["hash"] else {
            Issue.record("no hash")
            return
        }
        #expect(hash.count == 16)
        // The owner follows: no drift any more; the rest comes with the next load.
        one.load(["a.yaml": rule("r1", "SELECT qos FROM \"t/#\"")])
        #expect(two.load().isInForce)
        try one.wait { one.running == ["r1@2", "r2@3"] }
        try two.wait { two.alarm(RuleManager.driftAlarm) == nil }
    }

    @Test func `A secret that one node lacks is its alarm, and the other rules run`() throws {
        let one = try Rig("n1@h", log, variables: ["HOOK": "https://127.0.0.1:1/x"])
        let two = try Rig("n2@h", log)
        let text =
            "rules:\n  hook: {sql: SELECT * FROM \"t\", actions: [{webhook: {url: \"${env:HOOK}\"}}]}\n"
            + "  plain: {sql: SELECT * FROM \"t\", actions: [{function: console}]}\n"
        #expect(one.load(["a.yaml": text]).isInForce)
        try two.wait { two.running.contains("plain@1") && two.alarm(RuleManager.incompleteAlarm) != nil }
        let message = two.alarm(RuleManager.incompleteAlarm)?.message ?? ""
        #expect(message.contains("HOOK") && message.contains("n2@h"))
        #expect(one.alarm(RuleManager.incompleteAlarm) == nil)
        #expect(!one.store.state.blobs.values.contains { String(decoding: $0, as: UTF8.self).contains("127.0.0.1") })
    }

    @Test func `Without a quorum what runs goes on, and the change comes through later`() throws {
        let one = try Rig("n1@h", log)
        one.load(["a.yaml": rule("r1")])
        log.state.withLock { $0.hasQuorum = false }
        let report = one.load(["b.yaml": rule("r2")])
        #expect("\(try #require(report.refusal))".contains("no quorum"))
        #expect(one.running == ["r1@1"])
        #expect(one.alarm(RuleManager.rulesAlarm)?.message.contains("no quorum") == true)
        #expect(one.alarm(RuleManager.driftAlarm) == nil)
        log.state.withLock { $0.hasQuorum = true }
        try one.wait { one.running == ["r1@1", "r2@2"] }
        try one.wait { one.alarm(RuleManager.rulesAlarm) == nil }
    }

    @Test func `A node starts with what was committed, although its own files are wrong`() throws {
        let one = try Rig("n1@h", log)
        one.load(["a.yaml": rule("r1")])
        let two = try Rig("n2@h", log)
        let report = two.load(["a.yaml": "rules: {r1: {sql: SELEC}}"])
        #expect(!report.isInForce && report.problems.hasErrors && report.generation == 1)
        #expect(two.running == ["r1@1"])
    }

    @Test func `A command's rules are checked as a whole, committed, shown and rolled back`() throws {
        let one = try Rig("n1@h", log)
        let two = try Rig("n2@h", log, readsFiles: false)
        func file(_ text: String) -> [RuleFileContent] {
            [RuleFileContent(path: "rules/a.yaml", bytes: Array(text.utf8))]
        }
        var options = RuleManager.ApplyOptions()
        options.isTrial = true
        #expect(try two.rules.apply(file(rule("r1")), options).difference.added == ["rule:r1"])
        #expect(one.store.state.rules.number == 0, "it was a trial")
        options.isTrial = false
        #expect(try two.rules.apply(file(rule("r1")), options).generation == 1)
        #expect(two.running == ["r1@1"])
        try one.wait { one.running == ["r1@1"] }
        #expect(throws: RuleManager.ApplyFailure.self) {
            try two.rules.apply(file("rules: {r1: {sql: SELEC}}"), options)
        }
        #expect(one.store.state.rules.number == 1)
        _ = try two.rules.apply(file(rule("r1", "SELECT qos FROM \"t/#\"")), options)
        #expect(try two.rules.exported().map(\.file.path) == ["rules/a.yaml"])
        #expect(try two.rules.history().map(\.generation.number) == [2, 1])
        let back = try two.rules.rollBack(to: 1, by: "test")
        #expect(back.generation == 3 && back.difference.changed == ["rule:r1"])
        #expect(two.rules.ruleStatuses.first?.sql == "SELECT topic FROM \"t/#\"")
        options.prunes = true
        #expect(try two.rules.apply([], options).difference.removed == ["rule:r1"])
        #expect(two.running.isEmpty)
    }

    @Test func `A rollback stays over a restart with the same files, as a drift`() throws {
        let one = try Rig("n1@h", log)
        one.load(["a.yaml": rule("r1")])
        one.load(["a.yaml": rule("r1", "SELECT qos FROM \"t/#\"")])
        _ = try one.rules.rollBack(to: 1, by: "test")
        #expect(one.load().isInForce)
        #expect(one.store.state.rules.number == 3)
        try one.wait { one.alarm(RuleManager.driftAlarm) != nil }
        // A reload by hand hands them in again.
        #expect(one.rules.load(again: true).generation == 4)
    }
}
