import Buffers
import Foundation
import RuleFiles
import Testing

@Suite final class ArchiveRunTests {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("sluice-\(UUID().uuidString)")

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(at: folder) }

    private func path(_ text: String, _ name: String = "a.jsonl") throws -> String {
        let file = folder.appendingPathComponent(name)
        try Data(text.utf8).write(to: file)
        return file.path
    }

    private struct Result {
        var rows: [String] = []
        var bad: [String] = []
        var summary: ArchiveRun.Summary?
        var error: String?
    }

    private func run(_ sql: String, _ path: String, limit: Int = 1 << 20) throws -> Result {
        let rule = try #require(TriedRule.compile(sql).rule)
        var run = ArchiveRun(rule, try LineReader(path, limit: limit, bufferSize: 64), nowNanoseconds: 0)
        var result = Result()
        var output: [UInt8] = []
        do {
            try run.run(
                write: { output += $0 }, bad: { result.bad.append("\($0): \($1)") }, progress: { _, _ in })
        } catch {
            result.error = "\(error)"
        }
        result.rows = String(decoding: output, as: UTF8.self).split(separator: "\n").map(String.init)
        result.summary = run.summary
        return result
    }

    @Test func `lines are messages: payload as text or JSON, null and "undefined" as no value`() throws {
        let file = try path(
            """
            {"topic":"t/1","payload":"{\\"a\\":1}","clientid":"c","username":null,"qos":1,"timestamp":1700000000000}
            {"topic":"t/2","payload":{"a":2},"username":"undefined","extra":5}

            {"payload":3,"topic":"t/3"}
            {"topic":"x","payload":"no"}
            {"event":"client.connected","clientid":"c"}
            """)
        let result = try run(
            "SELECT payload.a AS a, username, extra, event, now_timestamp() AS now FROM \"t/+\" WHERE is_not_null(payload.a)",
            file)
        #expect(
            result.rows == [
                #"{"a":1,"event":"message.publish","extra":"undefined","now":1700000000,"username":"undefined"}"#,
                #"{"a":2,"event":"message.publish","extra":5,"now":0,"username":"undefined"}"#,
            ])
        let summary = try #require(result.summary)
        #expect((summary.messages, summary.matched, summary.passed, summary.rows) == (5, 3, 2, 2))
        #expect((summary.failed, summary.badLines) == (0, 0))
    }

    @Test func `every column of the line is in a row of all`() throws {
        let file = try path("{\"topic\":\"t\",\"payload\":{\"b\":1,\"a\":[]},\"own\":{\"x\":1}}\n")
        #expect(
            try run("SELECT * FROM \"#\"", file).rows == [
                #"{"event":"message.publish","metadata":{"rule_id":"try"},"own":{"x":1},"payload":"{\"a\":[],\"b\":1}","topic":"t"}"#
            ])
    }

    @Test func `bad lines are told by number and the others are evaluated`() throws {
        let file = try path(
            """
            {"topic":"t","payload":"1"}
            {"topic":"t",
            [1]
            {"payload":"x"}
            {"event":"client.exploded"}
            {"topic":"t","payload":"\(String(repeating: "x", count: 300))"}
            {"topic":"t","payload":"2"}
            """)
        let result = try run("SELECT payload FROM \"t\"", file, limit: 200)
        #expect(result.rows == [#"{"payload":"1"}"#, #"{"payload":"2"}"#])
        #expect(
            result.bad == [
                "2: it is not JSON, at byte 13", "3: it is no JSON object", "4: it has no topic",
                "5: there is no event \"client.exploded\"", "6: it is too long",
            ])
        #expect(result.summary?.messages == 2 && result.summary?.badLines == 5)
    }

    @Test func `failures are counted, the first with its line`() throws {
        let file = try path(
            "{\"topic\":\"t\",\"payload\":\"{}\"}\n{\"topic\":\"t\",\"payload\":\"boom\"}\n{\"topic\":\"t\",\"payload\":\"\"}\n"
        )
        let result = try run("SELECT payload.a AS a FROM \"t\"", file)
        #expect(result.summary?.failed == 2 && result.summary?.firstFailure?.line == 2)
        #expect(result.summary?.firstFailure?.text == "decode_json: the payload is not JSON, at byte 0")
    }

    @Test func `lines of any length and any end come whole`() throws {
        let lengths = [0, 1, 62, 63, 64, 65, 127, 128, 1000, 5000, 3]
        let text = lengths.map { String(repeating: "y", count: $0) }.joined(separator: "\n") + "\r\nlast"
        let reader = try LineReader(try path(text), bufferSize: 64)
        var seen: [Int] = []
        while let line = try reader.next() {
            if case .text(let bytes) = line { seen.append(bytes.count) }
        }
        #expect(seen == lengths + [4])
        #expect(reader.progress == 1)
    }

    @Test func `gzip is expanded, and a file cut short gives what there was and an error`() throws {
        let line = "{\"topic\":\"t\",\"payload\":\"x\"}\n"
        let plain = try path((0..<20_000).map { "{\"topic\":\"t\",\"payload\":\"\($0)\"}\n" }.joined())
        let zipped = folder.appendingPathComponent("b.jsonl.gz")
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "gzip -c '\(plain)' > '\(zipped.path)'"]
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        #expect(try run("SELECT payload FROM \"t\"", zipped.path).summary?.rows == 20_000)
        let whole = try Data(contentsOf: zipped)
        try whole.prefix(whole.count / 2).write(to: zipped)
        let cut = try run("SELECT payload FROM \"t\"", zipped.path)
        let rows = try #require(cut.summary?.rows)
        #expect(rows > 1000 && rows < 20_000)
        #expect(cut.error?.hasSuffix("cannot be read further: the compressed file ends too early") == true)
        #expect(try run("SELECT payload FROM \"t\"", try path(line)).error == nil)
    }

    @Test func `a file that is not there, or a folder, cannot be read`() throws {
        #expect(throws: LineReader.Failure.self) { try LineReader(self.folder.path + "/none") }
        #expect(throws: LineReader.Failure.self) { try LineReader(self.folder.path) }
    }
}
