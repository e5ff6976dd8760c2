import Foundation
import Logging
import RuleEngine
import Sinks
import Testing

/// A running sink with one shard's end of it. Confined to one test.
final class SinkRig {
    let runtime: SinkRuntime
    let worker: SinkWorker
    let appender: SinkAppender
    let context = EvaluationContext(node: "n1", random: RandomSource(seed: 1))
    var uses: [String: RuleUse] = [:]
    /// Rows given to the sink.
    private(set) var given = 0

    init(_ definition: SinkDefinition, runtime: SinkRuntime? = nil) throws {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        self.runtime = runtime ?? SinkRuntime(logger: logger)
        worker = try self.runtime.start(definition)
        appender = worker.makeAppender()
    }

    /// A row of text and integers.
    func row(_ members: [(String, RowValue)]) throws -> Value {
        let arena = context.arena
        return try arena.object(
            members.map { key, value in
                let key = try arena.string(key).bytes
                switch value {
                case .text(let text): return Member(key: key, value: try arena.string(text))
                case .number(let number): return Member(key: key, value: .integer(number))
                }
            })
    }

    func append(
        _ members: [(String, RowValue)], client: String = "c1", rule: String = "r1", time: Int64 = 1_767_323_045_000
    ) throws {
        context.arena.reset()
        let row = try row(members)
        let use = uses[rule] ?? worker.use(ruleID: rule)
        uses[rule] = use
        var client = client
        var topic = "t/\(client)"
        client.withUTF8 { client in
            topic.withUTF8 { topic in
                let event = RecordContext(timestamp: time, clientID: .init(client), topic: .init(topic))
                appender.append(row: row, use: use, event: event, context: context)
            }
        }
        given += 1
    }

    /// `{"c": client, "n": number}`, handed over at once.
    func send(_ client: String, _ number: Int) throws {
        try append([("c", .text(client)), ("n", .number(number))], client: client)
        appender.handOver()
    }

    /// Waits until nothing is queued or under way.
    func settle(_ seconds: Double = 60, sourceLocation: SourceLocation = #_sourceLocation) async {
        await eventually(seconds, "the sink to settle: \(worker.status().counters)", sourceLocation: sourceLocation) {
            let counters = worker.status().counters
            return counters.queuing == 0 && counters.inflight == 0
        }
    }

    var counters: SinkCounters { worker.status().counters }

    /// - Returns: what was lost.
    @discardableResult
    func drain(_ seconds: Double = 5) -> Int {
        SinkRuntime.drain([worker], until: .now + .seconds(seconds)).first?.lost ?? -1
    }
}

enum RowValue {
    case text(String)
    case number(Int)
}

/// Looks at a condition until it holds.
func eventually(
    _ seconds: Double = 60, _ what: @autoclosure () -> String, sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () throws -> Bool
) async rethrows {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < deadline {
        if try condition() { return }
        try? await Task.sleep(for: .milliseconds(2))
    }
    Issue.record("Waited in vain for \(what()).", sourceLocation: sourceLocation)
}

/// What rows of ``SinkRig/send(_:_:)`` say when they arrive.
struct Mark: Codable, Hashable {
    var c: String
    var n: Int

    /// From a body of one record, a JSON array or lines.
    static func all(in body: [UInt8]) throws -> [Mark] {
        let decoder = JSONDecoder()
        if body.first == UInt8(ascii: "[") { return try decoder.decode([Mark].self, from: Data(body)) }
        return try body.split(separator: UInt8(ascii: "\n")).map { try decoder.decode(Mark.self, from: Data($0)) }
    }
}

/// A directory that goes with the test.
final class TemporaryDirectory {
    let path: String

    init() {
        path = "/tmp/sluice-sinks-\(UUID().uuidString)"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func text(_ name: String) -> String { (try? String(contentsOfFile: path + "/" + name, encoding: .utf8)) ?? "" }
    func lines(_ name: String) -> [String] { text(name).split(separator: "\n").map(String.init) }
    var files: [String] { (FileManager.default.enumerator(atPath: path)?.allObjects as? [String] ?? []).sorted() }
}

extension WorkerSettings {
    /// Webhook settings whose pauses suit a test.
    static var quick: WorkerSettings {
        var settings = WorkerSettings.webhook
        settings.retry.initial = .milliseconds(5)
        settings.retry.max = .milliseconds(40)
        settings.breaker.openFor = .milliseconds(60)
        return settings
    }
}
