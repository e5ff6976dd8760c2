import Broker
import ConfigSchema
import Glibc
import Logging
import MQTTCodec
import RuleEngine
import Testing

/// The options of rules that act between the statement and its actions, in a running broker.
///
/// A QoS 1 message is acknowledged after its rules have run, so an acknowledgement is what the tests wait for.
@Suite struct RuleOptionTests {
    /// A broker with rules from a file that can be changed.
    private final class Rig {
        let node: BrokerNode
        let rules: RuleManager
        let port: Int
        private let directory: String

        init(_ node: BrokerNode, _ port: Int, _ text: String) throws {
            self.node = node
            self.port = port
            var template = Array("/tmp/sluice-options-XXXXXX".utf8CString)
            directory = try #require(mkdtemp(&template).map { String(cString: $0) })
            var logger = Logger(label: "test")
            logger.logLevel = .error
            rules = RuleManager(
                node: node,
                options: RuleManager.Options(
                    paths: [directory], requiresPaths: true, testsOnLoad: .require, nodeName: "n1@h1",
                    dataDirectory: directory + "/data"),
                environment: Environment(variables: [:]) { _ in nil }, logger: logger)
            try load(text)
        }

        deinit {
            _ = rules.drain(until: .now + .seconds(5))
            for name in ["rules.yaml", "data/bad.jsonl", "data/all.jsonl"] { unlink("\(directory)/\(name)") }
            rmdir(directory + "/data")
            rmdir(directory)
        }

        @discardableResult
        func load(_ text: String) throws -> RuleManager.Report {
            let path = "\(directory)/rules.yaml"
            let file = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0o600)
            let bytes = Array(text.utf8)
            #expect(write(file, bytes, bytes.count) == bytes.count)
            close(file)
            let report = rules.load()
            #expect(report.isInForce, "\(report.problems.map(\.headline)) \(report.failedTests)")
            // Answered by every shard behind the new rules.
            _ = node.clients
            return report
        }

        func status(_ id: String) throws -> RuleStatus { try #require(rules.ruleStatuses.first { $0.id == id }) }

        /// What the file sink has written, once it has stopped.
        func lines(_ name: String) -> [String] {
            // Every shard hands its rows over before it answers.
            _ = rules.ruleStatuses
            _ = rules.drain(until: .now + .seconds(5))
            guard let file = fopen("\(directory)/data/\(name)", "r") else { return [] }
            defer { fclose(file) }
            var lines: [String] = []
            var buffer = [CChar](repeating: 0, count: 65_536)
            while fgets(&buffer, Int32(buffer.count), file) != nil {
                let bytes = buffer.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }
                lines.append(String(decoding: bytes, as: UTF8.self))
            }
            return lines
        }
    }

    private func withRig(_ text: String, shards: Int = 1, _ body: (Rig) throws -> Void) throws {
        try withBroker(shards: shards) { node, port in try body(try Rig(node, port, text)) }
    }

    private func client(_ id: String, _ rig: Rig, subscribing filter: String? = nil) throws -> TestClient {
        let client = try TestClient(port: rig.port)
        client.connect(id, cleanStart: true)
        if let filter { client.subscribe(filter, qos: .atLeastOnce) }
        try pump([client], "\(id) is in") { client.connack != nil && client.subacks == (filter == nil ? 0 : 1) }
        return client
    }

    private func publish(_ client: TestClient, _ topic: String, _ payloads: [String]) throws {
        for payload in payloads {
            client.publish(topic, payload, qos: .atLeastOnce)
            try pump([client], "\(payload) is acknowledged") { client.unacknowledged.isEmpty }
        }
    }

    private func expectSums(_ status: RuleStatus, selected: Int? = nil) {
        let totals = status.totals
        #expect(totals.matched == totals.passed + totals.noResult + totals.exceptions)
        #expect(totals.held.matches <= totals.noResult)
        for action in status.actions {
            let sum = action.success + action.failed + action.dropped + action.queued + (action.skipped ?? 0)
            #expect(sum == totals.rows, "\(action)")
        }
        if let selected { #expect(totals.rows + totals.held.rows == selected) }
    }

    @Test func `rows that a rule holds back are counted, and its figures add up`() throws {
        let text = """
            version: 1
            rules:
              quiet:
                sql: SELECT clientid, payload.v AS v FROM "in/#" WHERE payload.v > 0
                on_change: [v]
                suppress: {key: "${v}", for: 1h}
                throttle: {rate: 4/h}
                actions: [{republish: {topic: "out/${v}", payload: "${v}"}}]
            """
        try withRig(text) { rig in
            let listener = try client("listener", rig, subscribing: "out/#")
            let sender = try client("sender", rig)
            try publish(sender, "in/a", ["1", "1", "2", "1", "3", "4", "5", "6", "0", "no"].map { "{\"v\":\($0)}" })
            try pump([listener], "what passed has come") { listener.state.messages.count == 4 }
            #expect(listener.state.messages.map(\.payload) == ["1", "2", "3", "4"])
            let status = try rig.status("quiet")
            #expect(status.totals.passed == 4)
            #expect(status.totals.exceptions == 1)
            #expect(status.totals.noResult == 5)
            #expect(status.totals.held.matches == 4)
            #expect(status.totals.held.unchanged == 1)
            #expect(status.totals.held.suppressed == 1)
            #expect(status.totals.held.throttled == 2)
            expectSums(status, selected: 8)
            #expect(status.memory.map(\.keys) == [1, 4, 1])
        }
    }

    /// What hits a bound, with the payload that does it.
    static let bounds: [(sql: String, payload: String, error: String)] = [
        ("SELECT payload.a AS a FROM \"in\"", String(repeating: "[", count: 200_000), "depth_limit"),
        (
            "SELECT regex_match(payload, '(a+)+$') AS a FROM \"in\"", String(repeating: "a", count: 50_000) + "b",
            "regex_limit"
        ),
        ("SELECT pad(payload, 9000000, 'leading', 'x') AS a FROM \"in\"", "x", "memory_limit"),
        ("FOREACH [1..20000] AS x DO x FROM \"in\"", "x", "row_limit"),
        ("SELECT [1..200000] AS a FROM \"in\"", "x", "step_limit"),
    ]

    @Test(arguments: bounds)
    func `a rule that hits a bound says so, and the broker goes on`(sql: String, payload: String, error: String) throws
    {
        let text = """
            version: 1
            rules:
              bound:
                sql: |
                  \(sql)
              other:
                sql: SELECT topic FROM "in"
            """
        try withRig(text) { rig in
            #expect(try rig.status("bound").totals.lastFailure == nil)
            let sender = try client("sender", rig)
            try publish(sender, "in", [payload, payload])
            let totals = try rig.status("bound").totals
            #expect(totals.exceptions == 2)
            let failure = try #require(totals.lastFailure)
            #expect(failure.error.name == error)
            #expect(failure.part == .statement)
            #expect(failure.milliseconds > 1_700_000_000_000)
            let other = try rig.status("other").totals
            #expect(other.passed == 2)
            #expect(other.lastFailure == nil)
        }
    }

    @Test func `a republish that fails is the last failure of its rule, and no exception`() throws {
        let text = """
            version: 1
            rules:
              large:
                sql: SELECT pad(payload, 3000000, 'leading', 'x') AS a FROM "in"
                actions: [{republish: {topic: out, payload: "${a}${a}${a}"}}]
            """
        try withRig(text) { rig in
            let sender = try client("sender", rig)
            try publish(sender, "in", ["x"])
            let status = try rig.status("large")
            #expect(status.totals.passed == 1)
            #expect(status.actionsFailed == 1)
            #expect(status.totals.lastFailure?.part == .republish)
            #expect(status.totals.lastFailure?.error == .memoryLimit)
        }
    }

    @Test func `a condition of an action that raises is the last failure of its rule, and no exception`() throws {
        let text = """
            version: 1
            rules:
              guarded:
                sql: SELECT payload.v AS v FROM "in"
                actions: [{republish: {topic: out, payload: "${v}"}, when: "v > 1"}]
            """
        try withRig(text) { rig in
            let sender = try client("sender", rig)
            try publish(sender, "in", ["{\"v\":\"x\"}"])
            let totals = try rig.status("guarded").totals
            #expect(totals.exceptions == 0)
            #expect(totals.lastFailure?.part == .condition)
            #expect(totals.lastFailure?.error.name == "bad_argument")
        }
    }

    @Test func `of a match with many rows each is held back by itself`() throws {
        let text = """
            version: 1
            rules:
              each:
                sql: FOREACH payload AS x DO x AS x FROM "in"
                suppress: {key: "${x}", for: 1h}
                actions: [{republish: {topic: out, payload: "${x}"}}]
              none:
                sql: SELECT topic FROM "in"
                sample: 0
            """
        try withRig(text) { rig in
            let sender = try client("sender", rig)
            try publish(sender, "in", ["[1,2,1]", "[1,2]", "[2,3]", "[]"])
            let status = try rig.status("each")
            #expect(status.totals.passed == 2)
            #expect(status.totals.noResult == 2)
            #expect(status.totals.held.matches == 1)
            #expect(status.totals.rows == 3)
            expectSums(status, selected: 7)
            let none = try rig.status("none")
            #expect(none.totals.held.sampled == 4)
            #expect(none.totals.held.matches == 4)
            expectSums(none, selected: 4)
        }
    }

    @Test func `what a rule remembers is one for all shards`() throws {
        let text = """
            version: 1
            rules: {once: {sql: 'SELECT topic FROM "in"', suppress: {for: 1h}}}
            """
        try withRig(text, shards: 4) { rig in
            for number in 0..<12 { try publish(try client("c\(number)", rig), "in", ["x"]) }
            let status = try rig.status("once")
            #expect(status.totals.matched == 12)
            #expect(status.totals.passed == 1)
            expectSums(status, selected: 12)
        }
    }

    @Test func `a reload keeps what a rule remembers as long as the rule means the same`() throws {
        func text(_ window: String, other: Int, description: String = "") -> String {
            """
            version: 1
            rules:
              once:
                description: "\(description)"
                sql: SELECT topic FROM "in"
                suppress: {for: \(window)}
              other: {sql: 'SELECT \(other) AS o FROM "in"'}
            """
        }
        try withRig(text("1h", other: 1)) { rig in
            let sender = try client("sender", rig)
            try publish(sender, "in", ["x", "x"])
            #expect(try rig.status("once").totals.passed == 1)
            #expect(try rig.load(text("1h", other: 2)).changed == ["other"])
            try publish(sender, "in", ["x"])
            #expect(try rig.status("once").totals.passed == 1)
            #expect(try rig.status("once").totals.matched == 3)
            // Another description: its counters begin anew, its memory goes on.
            #expect(try rig.load(text("1h", other: 2, description: "new")).changed == ["once"])
            try publish(sender, "in", ["x"])
            #expect(try rig.status("once").totals.passed == 0)
            // Another window is another option.
            #expect(try rig.load(text("2h", other: 2)).changed == ["once"])
            try publish(sender, "in", ["x"])
            #expect(try rig.status("once").totals.passed == 1)
        }
    }

    @Test func `an action's condition keeps rows from it, which are counted as skipped`() throws {
        let text = """
            version: 1
            rules:
              r:
                sql: SELECT payload.v AS v FROM "in"
                actions:
                  - {republish: {topic: "out", payload: "${v}"}, when: "v > 5"}
                  - {file: {path: all.jsonl}, when: "v < 3"}
                  - {republish: {topic: "all", payload: "${v}"}}
            """
        try withRig(text) { rig in
            let listener = try client("listener", rig, subscribing: "out")
            let sender = try client("sender", rig)
            try publish(sender, "in", ["1", "7", "\"x\"", "2"].map { "{\"v\":\($0)}" })
            try pump([listener], "the row has come") { listener.state.messages.count == 1 }
            #expect(listener.state.messages.map(\.payload) == ["7"])
            #expect(rig.lines("all.jsonl") == [#"{"v":1}"#, #"{"v":2}"#])
            let status = try rig.status("r")
            #expect(status.totals.rows == 4)
            #expect(status.actions.map(\.skipped) == [2, 1, nil])
            #expect(status.actions.map(\.success) == [1, 2, 4])
            #expect(status.actions.map(\.failed) == [1, 1, 0])
            expectSums(status, selected: 4)
        }
    }

    @Test func `events that the statement raises on go to the dead letters with their columns`() throws {
        let text = """
            version: 1
            actions: {file: {bad: {path: bad.jsonl}}}
            rules:
              r:
                sql: SELECT payload.v AS v FROM "in"
                on_error: "dead_letter:file:bad"
            """
        try withRig(text) { rig in
            try publish(try client("sender", rig), "in", ["boom", "{\"v\":1}"])
            let lines = rig.lines("bad.jsonl")
            #expect(lines.count == 1)
            for part in [
                #""payload":"boom""#, #""topic":"in""#, #""clientid":"sender""#, #""error":"decode_json""#,
                #""rule_id":"r""#, #""event":"message.publish""#,
            ] { #expect(lines.first?.contains(part) == true, "\(part)") }
            let status = try rig.status("r")
            #expect(status.totals.exceptions == 1)
            #expect(status.totals.deadLetters == 1)
            #expect(status.deadLetter?.success == 1)
            expectSums(status, selected: 1)
        }
    }

    @Test func `a message that a rule consumes needs no subscriber [MQTT-3.4.2-1]`() throws {
        func text(_ consume: Bool) -> String {
            """
            version: 1
            rules:
              r: {sql: 'SELECT topic FROM "in/#" WHERE false', consume: \(consume)}
              dropped: {sql: 'SELECT topic, reason FROM "$events/message_dropped"'}
            """
        }
        try withRig(text(true)) { rig in
            let sender = try client("sender", rig)
            try publish(sender, "in/a", ["x"])
            #expect(sender.lastAcknowledgement == .success)
            #expect(try rig.status("dropped").totals.matched == 0)
            try publish(sender, "else", ["x"])
            #expect(sender.lastAcknowledgement == .noMatchingSubscribers)
            #expect(try rig.status("dropped").totals.matched == 1)
            try rig.load(text(false))
            try publish(sender, "in/a", ["x"])
            #expect(sender.lastAcknowledgement == .noMatchingSubscribers)
        }
    }

    @Test func `under a load at which messages gather nothing is lost or passed twice`() throws {
        let text = """
            version: 1
            rules:
              r:
                sql: SELECT payload.v AS v FROM "in/#"
                on_change: [v]
                actions: [{file: {path: all.jsonl}}]
            """
        try withRig(text, shards: 2) { rig in
            let senders = try (0..<4).map { try client("c\($0)", rig) }
            for step in 0..<1000 {
                // Each topic's value changes at every tenth message.
                for (number, sender) in senders.enumerated() {
                    sender.publish("in/\(number)", "{\"v\":\(step / 10)}", qos: .atLeastOnce)
                }
            }
            try pump(senders, "all are acknowledged") { senders.allSatisfy { $0.unacknowledged.isEmpty } }
            #expect(rig.lines("all.jsonl").count == 400)
            let status = try rig.status("r")
            #expect(status.totals.matched == 4000)
            #expect(status.totals.rows == 400)
            #expect(status.totals.held.unchanged == 3600)
            #expect(status.actions.map(\.success) == [400])
            expectSums(status, selected: 4000)
        }
    }
}
