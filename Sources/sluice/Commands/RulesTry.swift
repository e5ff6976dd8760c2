import ArgumentParser
import Broker
import ConfigSchema
import Foundation
import RuleFiles

extension Rules {
    struct Try: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try a statement on an event or on archived messages.",
            discussion: """
                Rows are printed as JSON, one a line. What is not given of the event has the value that tests of rules \
                have; without --topic it is one that FROM takes.

                --from reads a file of JSON lines as a file sink writes them, plain or gzip: the columns of a message, \
                its payload as text or as JSON. Each is evaluated as of its timestamp. The summary is on standard error.

                Exit codes: 0 rows, 1 a problem in the SQL, 3 no row, 4 an evaluation failed, 5 input that cannot be \
                read (with --from: some lines; the others were evaluated), 64 wrong usage.
                """)

        @Argument(help: "The statement.") var sql: String
        @Option(help: "The event, such as client_connected or client.connected.") var event: String?
        @Option(help: "The message's topic.") var topic: String?
        @Option(help: "The payload; - reads standard input.") var payload: String?
        @Option(help: "A file that holds the payload; - is standard input.") var payloadFile: String?
        @Option(name: .customLong("clientid"), help: "The client's identifier.") var clientID: String?
        @Option(help: "The client's user name.") var username: String?
        @Option(help: "0, 1 or 2.") var qos: Int?
        @Flag(help: "The message is to be retained.") var retain = false
        @Option(name: .customLong("set"), help: "column=value; may be given several times.")
        var settings: [String] = []
        @Option(help: "The time of the evaluation; default: now.") var now: String?
        @Flag(help: "Indent the JSON.") var pretty = false
        @Flag(help: "Print one object with rows, reason and ns; with --from: the summary as JSON.") var json = false
        @Option(help: "A file of archived messages; - is standard input.") var from: String?

        func validate() throws {
            if !sql.isEmpty, sql.allSatisfy({ $0.isLetter || $0.isNumber || "-_".contains($0) }) {
                throw ValidationError(
                    "\(sql) is no statement. A rule of a file is tried by its tests: sluice rules test --filter \(sql)")
            }
            if payload != nil, payloadFile != nil { throw ValidationError("give --payload or --payload-file") }
            if let qos, !(0...2).contains(qos) { throw ValidationError("--qos is 0, 1 or 2") }
            if let now, Timestamp.nanoseconds(now) == nil {
                throw ValidationError("--now takes a time such as 2026-01-01T00:00:00Z")
            }
            let describesEvent =
                [event, topic, payload, payloadFile, clientID, username].contains { $0 != nil } || qos != nil
                || retain || !settings.isEmpty
            if from != nil, describesEvent || pretty {
                throw ValidationError(
                    "--from brings the events: options that describe one, and --pretty, do not go with it")
            }
        }

        func run() throws {
            let environment = NodeOptions.ruleEnvironment(ProcessInfo.processInfo.environment)
            let (rule, findings) = TriedRule.compile(sql, environment: environment)
            let isReported = json && from == nil
            if !isReported { findings.forEach { Problems.print(line: $0.picture) } }
            guard let rule else {
                if isReported { print(TryReport(findings: findings).json(pretty: pretty)) }
                throw ExitCode(1)
            }
            if let from { return try ArchiveTry(rule: rule, path: from, json: json, now: nanoseconds).run() }
            let request = try request()
            let outcome: TriedRule.Outcome
            var time: Int?
            do throws(TryRequest.Mistake) {
                outcome = try rule.run(request)
                if json { time = try rule.nanoseconds(request) }
            } catch {
                Problems.print(line: error.description)
                throw ExitCode(64)
            }
            if json {
                print(TryReport(findings: findings, outcome: outcome, nanoseconds: time).json(pretty: pretty))
            } else {
                show(outcome)
            }
            switch outcome {
            case .rows: return
            case .noRow: throw ExitCode(3)
            case .failed: throw ExitCode(4)
            }
        }

        private func request() throws -> TryRequest {
            var request = TryRequest(nowNanoseconds: nanoseconds)
            (request.event, request.topic, request.clientID, request.username) = (event, topic, clientID, username)
            (request.qos, request.isRetained, request.settings) = (qos, retain, settings)
            request.payload = try payloadBytes()
            return request
        }

        private func payloadBytes() throws -> [UInt8]? {
            if let payload, payload != "-" { return Array(payload.utf8) }
            guard let path = payloadFile ?? payload else { return nil }
            if path == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
            if let bytes = FileReading.bytes(ofFile: path) { return bytes }
            Problems.print(line: "\(path) cannot be read, or has more than 32 MB")
            throw ExitCode(5)
        }

        private var nanoseconds: Int64 {
            now.flatMap { Timestamp.nanoseconds($0) } ?? Int64(Date().timeIntervalSince1970 * 1_000_000_000)
        }

        private func show(_ outcome: TriedRule.Outcome) {
            switch outcome {
            case .rows(let rows): for row in rows { print(pretty ? JSONText.pretty(row) : row) }
            case .noRow(_, let text): Problems.print(line: "no row: \(text)")
            case .failed(let name, let explanation, let picture):
                Problems.print(line: "failed: \(name): \(explanation)\n\(picture ?? "")")
            }
        }
    }
}

/// What `--json` prints: always the same members.
private struct TryReport {
    let findings: [TriedRule.Finding]
    /// Nil when the statement has an error.
    var outcome: TriedRule.Outcome?
    var nanoseconds: Int?

    func json(pretty: Bool) -> String {
        var rows: [String] = []
        var reason = JSONText.null
        var message = JSONText.null
        var error = JSONText.null
        switch outcome {
        case .rows(let texts): rows = texts
        case .noRow(let why, let text): (reason, message) = (.text(why.rawValue), .text(text))
        case .failed(let name, let explanation, _):
            (reason, message, error) = (.text("failed"), .text(explanation), .text(name))
        case nil: (reason, message) = (.text("sql"), .text("the statement has problems"))
        }
        let text = JSONText.object([
            ("rows", .array(rows.map { .encoded($0) })), ("reason", reason), ("message", message), ("error", error),
            ("ns", nanoseconds.map { .integer($0) } ?? .null), ("problems", .array(findings.map(Self.object))),
        ]).compact
        return pretty ? JSONText.pretty(text) : text
    }

    private static func object(_ finding: TriedRule.Finding) -> JSONText {
        .object([
            ("severity", .text(finding.isError ? "error" : "warning")), ("code", .text(finding.code)),
            ("line", .integer(finding.line)), ("column", .integer(finding.column)), ("message", .text(finding.message)),
            ("hint", finding.hint.map { .text($0) } ?? .null),
        ])
    }
}
