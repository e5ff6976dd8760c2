import Foundation
import RuleEngine
import Sinks
import Testing

@Suite struct FileSinkTests {
    private func fast(_ change: (inout WorkerSettings) -> Void = { _ in }) -> WorkerSettings {
        var settings = WorkerSettings.file
        settings.batch.maxWait = .zero
        settings.retry.initial = .milliseconds(5)
        settings.retry.max = .milliseconds(20)
        change(&settings)
        return settings
    }

    @Test func `rows become lines of JSON in the file of their event's hour`() async throws {
        let directory = TemporaryDirectory()
        let settings = FileSettings(path: "archive/%Y/%m/%d/n1-%H.jsonl", baseDirectory: directory.path)
        let rig = try SinkRig(.file("f", settings, worker: fast()))
        // 2026-01-02 03:04:05 UTC, and an hour later.
        try rig.append([("n", .number(1))], time: 1_767_323_045_000)
        try rig.append([("n", .number(2))], time: 1_767_326_645_000)
        try rig.append([("n", .number(3))], time: 1_767_323_045_999)
        rig.appender.handOver()
        await rig.settle()
        #expect(directory.text("archive/2026/01/02/n1-03.jsonl") == "{\"n\":1}\n{\"n\":3}\n")
        #expect(directory.text("archive/2026/01/02/n1-04.jsonl") == "{\"n\":2}\n")
        #expect(rig.worker.status().state == .connected)
        #expect(rig.drain() == 0)
    }

    @Test(arguments: [
        ("dev-1", "dev-1.jsonl"), ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.jsonl"), ("..", "%2E..jsonl"),
        ("/abs", "%2Fabs.jsonl"), ("a/b", "a%2Fb.jsonl"), (".hidden", "%2Ehidden.jsonl"), ("%Y", "%25Y.jsonl"),
        ("ü", "%C3%BC.jsonl"), ("nul\0x", "nul%00x.jsonl"), ("", ".jsonl"), ("a b\n", "a%20b%0A.jsonl"),
        ("${n}", "%24%7Bn%7D.jsonl"),
    ])
    func `a value names a file below the directory and nothing else`(value: String, file: String) async throws {
        let directory = TemporaryDirectory()
        let rig = try SinkRig(
            .file("f", FileSettings(path: "d/${c}.jsonl", baseDirectory: directory.path), worker: fast()))
        try rig.append([("c", .text(value)), ("n", .number(1))])
        rig.appender.handOver()
        await rig.settle()
        #expect(directory.files == ["d", "d/" + file])
        #expect(rig.counters.success == 1)
        rig.drain()
    }

    @Test(arguments: ["", "..", ".", String(repeating: "x", count: 256)])
    func `a value that is a whole component and no name is refused and counted`(value: String) async throws {
        let directory = TemporaryDirectory()
        let rig = try SinkRig(
            .file("f", FileSettings(path: "d/${c}/x.jsonl", baseDirectory: directory.path), worker: fast()))
        try rig.append([("c", .text(value))])
        try rig.append([("c", .text("fine"))])
        rig.appender.handOver()
        await rig.settle()
        // `..` arrives percent-encoded, which is a name like any other.
        let isEncoded = value.hasPrefix(".")
        #expect(rig.counters.failed == (isEncoded ? 0 : 1))
        #expect(rig.counters.success == (isEncoded ? 2 : 1))
        #expect(rig.counters.addsUp)
        #expect(directory.files.allSatisfy { $0.hasPrefix("d") })
        rig.drain()
    }

    @Test(arguments: ["../x.jsonl", "a/../../x.jsonl", "", "dir/", "a\0b"])
    func `a wrong path is refused when the sink is made`(path: String) {
        #expect(throws: SinkFailure.self) {
            try SinkDefinition.file("f", FileSettings(path: path, baseDirectory: "/tmp"))
        }
    }

    @Test func `a link below the directory is not followed`() async throws {
        let directory = TemporaryDirectory()
        let outside = TemporaryDirectory()
        try FileManager.default.createSymbolicLink(atPath: directory.path + "/evil", withDestinationPath: outside.path)
        let rig = try SinkRig(
            .file("f", FileSettings(path: "${c}/x.jsonl", baseDirectory: directory.path), worker: fast()))
        try rig.append([("c", .text("evil"))])
        rig.appender.handOver()
        await eventually(60, "the refusal") { rig.worker.status().lastError?.contains("evil") == true }
        #expect(outside.files == [])
        #expect(rig.drain(0.05) == 1)
    }

    @Test(arguments: [
        ("{\"n\":1}\n{\"n\":2}\n{\"n\"", "{\"n\":1}\n{\"n\":2}\n"), ("{\"n\"", ""), ("{\"n\":1}\n", "{\"n\":1}\n"),
        ("", ""),
        (String(repeating: "x", count: 200_000), ""),
        ("a\n" + String(repeating: "x", count: 200_000), "a\n"),
    ])
    func `a torn last line is cut off when the file is opened`(before: String, after: String) async throws {
        let directory = TemporaryDirectory()
        try before.write(toFile: directory.path + "/x.jsonl", atomically: false, encoding: .utf8)
        let rig = try SinkRig(.file("f", FileSettings(path: "x.jsonl", baseDirectory: directory.path), worker: fast()))
        try rig.append([("n", .number(9))])
        rig.appender.handOver()
        await rig.settle()
        #expect(directory.text("x.jsonl") == after + "{\"n\":9}\n")
        rig.drain()
    }

    @Test func `rotation under load keeps each line once, and the sizes and numbers of files within their limits`()
        async throws
    {
        let directory = TemporaryDirectory()
        var settings = FileSettings(path: "x.jsonl", baseDirectory: directory.path)
        settings.rotateSize = 10_000
        let rig = try SinkRig(.file("f", settings, worker: fast()))
        for number in 0..<20_000 {
            try rig.append([("n", .number(number))])
            if number % 37 == 0 { rig.appender.handOver() }
        }
        rig.appender.handOver()
        await rig.settle()
        #expect(rig.drain() == 0)
        let files = directory.files
        #expect(files.count > 20)
        let complete = files.filter { $0 != "x.jsonl" }
        #expect(complete.allSatisfy { $0.hasPrefix("x.2") && $0.hasSuffix(".jsonl") })
        var numbers: [Int] = []
        for file in complete + ["x.jsonl"] {
            let text = directory.text(file)
            #expect(text.utf8.count <= 10_000)
            #expect(text.hasSuffix("\n"))
            numbers += text.split(separator: "\n").compactMap { Int($0.dropFirst(5).dropLast()) }
        }
        #expect(numbers == Array(0..<20_000))
    }

    @Test func `only so many complete files are kept`() async throws {
        let directory = TemporaryDirectory()
        try "other\n".write(toFile: directory.path + "/x.notes.jsonl", atomically: false, encoding: .utf8)
        var settings = FileSettings(path: "x.jsonl", baseDirectory: directory.path)
        settings.rotateSize = 1000
        settings.maxFiles = 3
        let rig = try SinkRig(.file("f", settings, worker: fast()))
        for number in 0..<2000 { try rig.append([("n", .number(number))]) }
        rig.appender.handOver()
        await rig.settle()
        rig.drain()
        #expect(directory.files.count == 5)
        #expect(directory.files.contains("x.notes.jsonl"))
        #expect(directory.lines("x.jsonl").last == "{\"n\":1999}")
    }

    @Test func `more files than may be open are written all the same`() async throws {
        let directory = TemporaryDirectory()
        var settings = FileSettings(path: "${c}.jsonl", baseDirectory: directory.path)
        settings.maxOpenFiles = 4
        settings.sync = .always
        let rig = try SinkRig(.file("f", settings, worker: fast()))
        for number in 0..<400 { try rig.append([("c", .text("c\(number % 20)")), ("n", .number(number))]) }
        rig.appender.handOver()
        await rig.settle()
        rig.drain()
        for client in 0..<20 {
            let lines = directory.lines("c\(client).jsonl")
            #expect(lines == (0..<20).map { "{\"c\":\"c\(client)\",\"n\":\($0 * 20 + client)}" })
        }
    }

    @Test func `a file that is moved away is begun anew`() async throws {
        let directory = TemporaryDirectory()
        let rig = try SinkRig(.file("f", FileSettings(path: "x.jsonl", baseDirectory: directory.path), worker: fast()))
        try rig.append([("n", .number(0))])
        rig.appender.handOver()
        await rig.settle()
        try FileManager.default.moveItem(atPath: directory.path + "/x.jsonl", toPath: directory.path + "/y.jsonl")
        var number = 0
        try await eventually(60, "a new file") {
            number += 1
            try rig.append([("n", .number(number))])
            rig.appender.handOver()
            return FileManager.default.fileExists(atPath: directory.path + "/x.jsonl")
        }
        await rig.settle()
        rig.drain()
        let numbers = (directory.lines("y.jsonl") + directory.lines("x.jsonl")).compactMap {
            Int($0.dropFirst(5).dropLast())
        }
        #expect(numbers == Array(0...number))
    }

    @Test func `two sinks cannot share a file`() async throws {
        let directory = TemporaryDirectory()
        let settings = FileSettings(path: "x.jsonl", baseDirectory: directory.path)
        let first = try SinkRig(.file("a", settings, worker: fast()))
        await eventually(60, "the first to open it") { first.worker.status().state == .connected }
        let second = try SinkRig(.file("b", settings, worker: fast()))
        try second.append([("n", .number(1))])
        second.appender.handOver()
        await eventually(60, "the second to be refused") {
            if case .disconnected(let reason) = second.worker.status().state { return reason.contains("in use") }
            return false
        }
        first.drain()
        await second.settle()
        #expect(directory.text("x.jsonl") == "{\"n\":1}\n")
        second.drain()
    }

    @Test func `a full disk tears and doubles no line, and all is written once there is room`() async throws {
        let directory = TemporaryDirectory()
        guard mount("tmpfs", directory.path, "tmpfs", 0, "size=256k") == 0 else {
            print("Skipped: a small file system cannot be mounted (\(String(cString: strerror(errno)))).")
            return
        }
        defer { umount2(directory.path, Int32(MNT_DETACH)) }
        try Data(count: 128 * 1024).write(to: URL(fileURLWithPath: directory.path + "/ballast"))
        let rig = try SinkRig(
            .file("f", FileSettings(path: "${c}.jsonl", baseDirectory: directory.path), worker: fast()))
        let filler = String(repeating: "f", count: 100)
        for number in 0..<1500 {
            try rig.append([("c", .text("c\(number % 3)")), ("f", .text(filler)), ("n", .number(number))])
            if number % 100 == 0 { rig.appender.handOver() }
        }
        rig.appender.handOver()
        await eventually(60, "the disk to be full") { rig.worker.status().lastError?.contains("No space") == true }
        #expect(rig.counters.addsUp)
        #expect(rig.counters.queuing + rig.counters.inflight > 0)
        // A retry that is under way may be seen half written; it is cut back at once.
        for client in 0..<3 {
            await eventually(60, "whole lines alone") {
                let text = directory.text("c\(client).jsonl")
                return text.isEmpty || text.hasSuffix("\n")
            }
        }
        try FileManager.default.removeItem(atPath: directory.path + "/ballast")
        await rig.settle()
        rig.drain()
        #expect(rig.counters.success == 1500)
        for client in 0..<3 {
            let numbers = directory.lines("c\(client).jsonl").compactMap {
                Int($0.suffix(8).drop { !$0.isNumber }.dropLast())
            }
            #expect(numbers == (0..<500).map { $0 * 3 + client })
        }
    }

    @Test func `a template makes the line, and a line feed in it is refused`() async throws {
        let directory = TemporaryDirectory()
        var settings = FileSettings(path: "x.log", baseDirectory: directory.path)
        settings.template = "${c}=${n}"
        let rig = try SinkRig(.file("f", settings, worker: fast()))
        try rig.append([("c", .text("a")), ("n", .number(1))])
        try rig.append([("c", .text("a\nb")), ("n", .number(2))])
        rig.appender.handOver()
        await rig.settle()
        #expect(directory.text("x.log") == "a=1\n")
        #expect(rig.counters.failed == 1)
        rig.drain()
    }
}
