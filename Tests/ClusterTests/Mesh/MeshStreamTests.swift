import Cluster
import Glibc
import Synchronization
import Testing

@Suite("Streams for the consensus engine", .timeLimit(.minutes(1))) struct MeshStreamTests {
    private let fixture = MeshFixture()

    /// Streams that came, with whose they are.
    private final class Taken: Sendable {
        let streams = Mutex<[(descriptor: Int32, id: UInt64, name: String)]>([])
        func attach(_ node: MeshFixture.Node, group: UInt64 = 0) {
            node.mesh.acceptStreams(group: group) { descriptor, id, name in
                self.streams.withLock { $0.append((descriptor, id, name)) }
            }
        }
        var first: (descriptor: Int32, id: UInt64, name: String)? { streams.withLock { $0.first } }
        deinit { for stream in streams.withLock({ $0 }) { close(stream.descriptor) } }
    }

    private let taken = Taken()

    private func open(_ node: MeshFixture.Node, _ other: MeshFixture.Node, id: UInt64? = nil, group: UInt64 = 0) async
        -> Int32?
    {
        await answer {
            node.mesh.openStream(
                to: id ?? other.options.nodeID, name: other.options.name.text, group: group, connected: $0)
        }
    }

    private func pair() async throws -> (MeshFixture.Node, MeshFixture.Node) {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h"))
        taken.attach(n2)
        try await fixture.join(n1, n2)
        return (n1, n2)
    }

    private func isAtEnd(_ descriptor: Int32) -> Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT)) == 0
    }

    @Test func `A stream carries bytes both ways, and says whose it is`() async throws {
        let (n1, n2) = try await pair()
        let here = try #require(await open(n1, n2))
        defer { close(here) }
        try await eventually("it came") { taken.first != nil }
        let there = try #require(taken.first)
        #expect(there.id == n1.options.nodeID && there.name == "n1@h")
        for (from, to, text) in [(here, there.descriptor, "ping"), (there.descriptor, here, "pong!")] {
            #expect(write(from, text, text.utf8.count) == text.utf8.count)
            var bytes = [UInt8](repeating: 0, count: 16)
            var count = 0
            try await eventually("it comes") {
                let more = recv(to, &bytes, bytes.count, Int32(MSG_DONTWAIT))
                count = max(count, more)
                return count == text.utf8.count
            }
            #expect(String(decoding: bytes[..<count], as: UTF8.self) == text)
        }
    }

    @Test func `Either end's close ends the other`() async throws {
        let (n1, n2) = try await pair()
        let here = try #require(await open(n1, n2))
        try await eventually("it came") { taken.first != nil }
        close(here)
        let there = try #require(taken.first).descriptor
        try await eventually("the other end is told") { isAtEnd(there) }
    }

    @Test func `A reader that stands still stops the writer at a bound, and loses nothing`() async throws {
        let (n1, n2) = try await pair()
        let here = try #require(await open(n1, n2))
        defer { close(here) }
        try await eventually("it came") { taken.first != nil }
        let there = try #require(taken.first).descriptor
        let chunk = [UInt8](repeating: 5, count: 64 * 1024)
        var written = 0
        var stalls = 0
        while stalls < 100 {
            let count = write(here, chunk, chunk.count)
            if count > 0 {
                written += count
                stalls = 0
            } else {
                stalls += 1
                try await Task.sleep(for: .milliseconds(2))
            }
            try #require(written < 64 << 20, "nothing stops the writer")
        }
        #expect(written < 24 << 20, "\(written)")
        var read = 0
        var buffer = [UInt8](repeating: 0, count: 256 * 1024)
        try await eventually("all comes") {
            let count = recv(there, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count > 0 { read += count }
            return read == written
        }
    }

    @Test func `Streams to wrong ids, strangers and unserved groups come to nothing`() async throws {
        let (n1, n2) = try await pair()
        #expect(await open(n1, n2, id: 4711) == nil)
        #expect(await open(n1, n2, group: 9) == nil)
        let stranger = try fixture.node("n9@h")
        stranger.mesh.setPeers([n2.member])
        #expect(await open(stranger, n2) == nil)
        let nowhere: Int32? = await answer { n1.mesh.openStream(to: 1, name: "nobody@h", connected: $0) }
        #expect(nowhere == nil)
    }

    @Test func `Streams of a blocked or removed node are closed`() async throws {
        let (n1, n2) = try await pair()
        let first = try #require(await open(n1, n2))
        defer { close(first) }
        try await eventually("it came") { taken.first != nil }
        n1.mesh.block([n2.options.name])
        try await eventually("it ends") { isAtEnd(first) }
        #expect(await open(n1, n2) == nil)
        n1.mesh.unblock()
        let second = try #require(await open(n1, n2))
        defer { close(second) }
        n2.mesh.setPeers([], removed: [n1.options.nodeID])
        try await eventually("it ends") { isAtEnd(second) }
    }

    @Test func `Each group has its own streams`() async throws {
        let (n1, n2) = try await pair()
        let other = Taken()
        other.attach(n2, group: 3)
        let here = try #require(await open(n1, n2, group: 3))
        defer { close(here) }
        try await eventually("it came") { other.first != nil }
        #expect(taken.first == nil)
    }
}
