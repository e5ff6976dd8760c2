import ConfigSchema
import Foundation
import RuleEngine
import Sinks
import Testing

@Suite struct SinkFieldsTests {
    private func read(_ fields: FieldSet, _ yaml: String, _ problems: inout [ConfigProblem]) throws -> ConfigValues? {
        let parsed = YAMLParser.parse(SourceFile(name: "r.yaml", bytes: Array(yaml.utf8)))
        problems += parsed.problems
        return fields.read(try #require(parsed.documents.first), path: [fields.name], &problems)
    }

    @Test func `an action of the manual reads into a running sink`() async throws {
        let receiver = try HTTPReceiver { _, number in .status(number == 0 ? 418 : 202) }
        defer { receiver.stop() }
        let type = try #require(SinkRegistry.standard.type(named: "webhook"))
        var problems: [ConfigProblem] = []
        let connectorFields = try #require(type.connector)
        let connector = try #require(
            try read(connectorFields, "url: \(receiver.url)/base\nheaders: {x-k: v}\npool_size: 4\n", &problems))
        let action = try #require(
            try read(
                type.action,
                """
                connector: flask
                parameters:
                  method: post
                  path: /mqtt/${c}
                  body: {device: "${c}", n: "${n}", fixed: [1, true, null, 1.5]}
                success_status: [202]
                retry: {on_status: [418], initial: 5ms, max_attempts: 5}
                buffer: {mode: memory, max_bytes: 1MB, max_age: 1h, on_full: drop_newest}
                order: total
                """, &problems))
        #expect(problems.map(\.headline) == [])
        let definition = try type.make(
            SinkInputs(name: "store", action: action, connector: connector, baseDirectory: "/tmp"))
        #expect(definition.worker.maxBytes == 1 << 20)
        #expect(definition.worker.onFull == .dropNewest)
        #expect(definition.worker.retry.maxAttempts == 5)
        #expect(definition.renderer.placeholders.map(\.path) == [["c"], ["c"], ["n"]])
        let rig = try SinkRig(definition)
        try rig.send("c9", 4)
        await rig.settle()
        #expect(receiver.requests.map(\.target) == ["/base/mqtt/c9", "/base/mqtt/c9"])
        #expect(receiver.requests.last?.text == #"{"device":"c9","n":4,"fixed":[1,true,null,1.5]}"#)
        #expect(receiver.requests.last?.header("x-k") == "v")
        rig.drain()
    }

    @Test func `a file action reads into a running sink`() async throws {
        let directory = TemporaryDirectory()
        let type = try #require(SinkRegistry.standard.type(named: "file"))
        var problems: [ConfigProblem] = []
        let action = try #require(
            try read(
                type.action,
                "path: \"a/%Y/${c}.jsonl\"\nrotate: {size: 1MB, every: 1h}\nretention: {max_files: 3}\nfsync: interval:1s\nbatch: {max_wait: 1ms}\n",
                &problems))
        #expect(problems.map(\.headline) == [])
        let rig = try SinkRig(try type.make(SinkInputs(name: "f", action: action, baseDirectory: directory.path)))
        try rig.send("c1", 1)
        await rig.settle()
        #expect(directory.text("a/2026/c1.jsonl") == "{\"c\":\"c1\",\"n\":1}\n")
        rig.drain()
    }

    @Test(arguments: [
        ("actions.http", "buffer: {mode: disk}", "memory"), ("actions.http", "bufer: {}", "buffer"),
        ("actions.http", "order: key", "order_key"), ("actions.http", "retry: {max_attempts: 0}", "attempts"),
        ("actions.http", "success_status: [6xx]", "status"), ("actions.http", "sign: {secret: x}", "not supported"),
        ("connectors.http", "url: \"http://u:p@h/\"", "user name"), ("connectors.http", "url: ftp://h/", "http"),
        ("connectors.http", "{}", "url"), ("actions.file", "path: \"../x\"", ".."), ("actions.file", "{path: x, fsync: often}", "fsync"),
        ("actions.file", "{path: x, compress: zstd}", "not supported"),
    ])
    func `what is wrong in a file is said at its place`(fields: String, yaml: String, words: String) throws {
        let http = try #require(SinkRegistry.standard.type(named: "http"))
        let file = try #require(SinkRegistry.standard.type(named: "file"))
        let sets = [http.connector, http.action, file.action].compactMap { $0 }
        var problems: [ConfigProblem] = []
        let set = try #require(sets.first { $0.name == fields })
        let values = try read(set, yaml, &problems)
        #expect(values == nil)
        #expect(problems.contains { $0.severity == .error && $0.headline.contains(words) }, "\(problems.map(\.headline))")
    }
}
