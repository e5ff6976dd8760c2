import Buffers
import Cluster
import Glibc
import Logging
import Synchronization
import Testing

let testCookie = "a-cookie-of-tests-0123456789-abcdefgh"

/// What a lane's owner was told, in order.
final class RecordingOwner: MeshLaneOwner {
    enum Event: Equatable {
        case up(MeshPeer)
        case received([UInt8], from: NodeName)
        case down(NodeName)
    }

    struct Record {
        var events: [Event] = []
        var acknowledged: UInt64 = 0
        var bytes = 0
    }

    let record = Mutex(Record())
    /// Large runs keep counts alone.
    private let keepsBytes: Bool

    init(keepsBytes: Bool = true) { self.keepsBytes = keepsBytes }

    var events: [Event] { record.withLock { $0.events } }
    var received: [[UInt8]] {
        events.compactMap { if case .received(let bytes, _) = $0 { bytes } else { nil } }
    }
    var ups: Int { events.count { if case .up = $0 { true } else { false } } }
    var downs: Int { events.count { if case .down = $0 { true } else { false } } }
    var acknowledged: UInt64 { record.withLock { $0.acknowledged } }
    var bytes: Int { record.withLock { $0.bytes } }

    func up(_ peer: MeshPeer) { record.withLock { $0.events.append(.up(peer)) } }
    func received(_ bytes: Bytes, from peer: MeshPeer) {
        record.withLock { record in
            record.bytes += bytes.count
            if keepsBytes { record.events.append(.received([UInt8](bytes), from: peer.name)) }
        }
    }
    func acknowledged(upTo number: UInt64, by peer: MeshPeer) { record.withLock { $0.acknowledged = number } }
    func down(_ peer: MeshPeer) { record.withLock { $0.events.append(.down(peer.name)) } }
}

/// Nodes of one process on loopback, ended with the test.
final class MeshFixture {
    struct Node {
        let mesh: Mesh
        let owner: RecordingOwner
        let options: MeshOptions

        var address: String { "127.0.0.1:\(mesh.boundPort ?? 0)" }
        var member: MeshMember {
            MeshMember(
                name: options.name, nodeID: options.nodeID, role: options.role,
                address: MeshAddress(host: "127.0.0.1", port: mesh.boundPort ?? 0))
        }

        func isUp(_ other: Node) -> Bool { mesh.peers.contains { $0.name == other.options.name } }
        func slot(of other: Node) -> Int { mesh.peers.first { $0.name == other.options.name }?.slot ?? -1 }

        @discardableResult
        func post(_ bytes: [UInt8], to slot: Int, lane: MeshLane = .messages) -> UInt64 {
            let buffer = mesh.takeBuffer()
            buffer.append(bytes)
            return mesh.post(buffer, to: slot, lane: lane)
        }
    }

    private var meshes: [Mesh] = []
    private var lastID: UInt64 = 0

    func node(
        _ name: String, cookie: String = testCookie, keepsBytes: Bool = true,
        _ change: (inout MeshOptions) -> Void = { _ in }
    ) throws -> Node {
        lastID += 1
        let name = NodeName(name)
        var options = MeshOptions(
            name: name, listen: MeshAddress(host: "127.0.0.1", port: 0), cookie: try MeshCookie(cookie),
            certificate: try .temporary(name: name), nodeID: lastID, version: "1.0.0")
        options.clusterID = 7
        options.epoch = 1
        change(&options)
        var logger = Logger(label: "mesh-test")
        logger.logLevel = .critical
        let mesh = try Mesh(options, logger: logger)
        meshes.append(mesh)
        let owner = RecordingOwner(keepsBytes: keepsBytes)
        mesh.own(.messages, owner)
        try mesh.start()
        return Node(mesh: mesh, owner: owner, options: options)
    }

    /// Makes them members of one cluster, and waits until all are up everywhere.
    func join(_ nodes: Node...) async throws {
        for node in nodes { node.mesh.setPeers(nodes.filter { $0.options.name != node.options.name }.map(\.member)) }
        try await eventually("all are up") {
            nodes.allSatisfy { node in
                nodes.allSatisfy { $0.options.name == node.options.name || node.isUp($0) }
            }
        }
    }

    func stop(_ node: Node) { node.mesh.stop() }

    deinit { for mesh in meshes { mesh.stop() } }
}

/// Waits until it holds.
func eventually(
    _ what: Comment, seconds: Double = 10, location: SourceLocation = #_sourceLocation, _ condition: () -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !condition() {
        if ContinuousClock.now > deadline {
            Issue.record(what, sourceLocation: location)
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// An answer that a callback brings.
func answer<T: Sendable>(_ body: (@escaping @Sendable (T) -> Void) -> Void) async -> T {
    await withCheckedContinuation { continuation in body { continuation.resume(returning: $0) } }
}

func call(
    _ node: MeshFixture.Node, _ other: NodeName, _ method: MeshMethod = .ping, _ body: [UInt8] = [],
    milliseconds: Int = 5_000
) async -> Result<[UInt8], MeshError> {
    await answer {
        node.mesh.call(other, method: method, body: body, timeoutMilliseconds: milliseconds, completion: $0)
    }
}
