import Foundation
import Sinks
import Testing

@Suite struct ConsoleSinkTests {
    @Test func `a row is shown with its rule on one line, and a long one is cut`() async throws {
        let directory = TemporaryDirectory()
        let descriptor = open(directory.path + "/out", O_WRONLY | O_CREAT, 0o600)
        defer { close(descriptor) }
        let rig = try SinkRig(.console("c", descriptor: descriptor))
        try rig.append([("a", .text("x\ny\u{1B}[31m"))], rule: "my-rule")
        try rig.append([("a", .text(String(repeating: "é", count: 100_000)))], rule: "my-rule")
        rig.appender.handOver()
        await rig.settle()
        rig.drain()
        let lines = directory.lines("out")
        #expect(lines.count == 2)
        #expect(
            lines.first == #"[rule action] my-rule {"a":"x\ny\u001b[31m"}"#
                || lines.first == #"[rule action] my-rule {"a":"x\ny\u001B[31m"}"#)
        #expect(lines.last?.hasSuffix("é…") == true)
        #expect((lines.last?.utf8.count ?? 0) < 66_000)
    }
}
