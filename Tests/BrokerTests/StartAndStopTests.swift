import Broker
import Foundation
import Glibc
import Logging
import MQTTCodec
import Testing

@Suite struct StartAndStopTests {
    private func threads() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").filter { task in
            // One that has just ended has no name.
            let name = (try? String(contentsOfFile: "/proc/self/task/\(task)/comm", encoding: .utf8)) ?? ""
            return name.hasPrefix("shard-") || name.hasPrefix("NIO-ELT") || name.hasPrefix("acceptor")
                || name.hasPrefix("wake-timer")
        }.count
    }

    private func sockets() throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }

    @Test func `a start that fails leaves no thread and no socket behind`() throws {
        try withBroker(shards: 1) { _, taken in
            // The shard, the acceptor and the timer; those of an earlier test may be about to end.
            try pump([], "this broker is alone") { try threads() == 3 }
            let socketsBefore = try sockets()
            for kind in [ListenerOptions.Kind.tcp, .ws] {
                var options = NodeOptions(version: "test", shards: 2)
                options.listeners = [
                    ListenerOptions(kind: .tcp, name: "free", host: "127.0.0.1", port: 0),
                    ListenerOptions(kind: .ws, name: "free", host: "127.0.0.1", port: 0),
                    ListenerOptions(kind: kind, name: "taken", host: "127.0.0.1", port: taken),
                ]
                var logger = Logger(label: "test")
                logger.logLevel = .error
                let node = BrokerNode(options, logger: logger)
                #expect(throws: ListenerError.self) { try node.start(options) }
            }
            try pump([], "the threads have ended") { try threads() == 3 }
            try pump([], "the sockets are closed") { try sockets() <= socketsBefore }
        }
    }
}
