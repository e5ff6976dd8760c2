import Cluster
import Foundation
import Glibc
import Logging
import Testing

/// Nodes with real logs and real links, in one process.
@Suite("A cluster of real parts", .timeLimit(.minutes(2))) struct RealClusterTests {
    private final class Fixture {
        var nodes: [ClusterNode] = []
        var meshes: [Mesh] = []
        var folders: [String] = []

        func start(_ name: String, role: NodeRole = .core) throws -> (ClusterNode, Mesh, String) {
            var template = Array("/tmp/cluster-test-XXXXXX".utf8CString)
            let folder = try #require(mkdtemp(&template).map { String(cString: $0) })
            folders.append(folder)
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            let nodeName = NodeName(name)
            let storage = RaftStorage(dataDirectory: folder, logger: logger)
            let identity = try storage.identity().identity
            var options = MeshOptions(
                name: nodeName, listen: MeshAddress(host: "127.0.0.1", port: 0), cookie: try MeshCookie(testCookie),
                certificate: try .temporary(name: nodeName), nodeID: identity.id, version: "1")
            options.role = role
            let mesh = try Mesh(options, logger: logger)
            try mesh.start()
            meshes.append(mesh)
            let address = "127.0.0.1:\(mesh.boundPort ?? 0)"
            let node = ClusterNode(
                ClusterOptions(name: name, role: role, clusterName: "c", address: address, version: "1"),
                storage: storage, mesh: mesh, logger: logger)
            try node.start()
            nodes.append(node)
            return (node, mesh, address)
        }

        deinit {
            for node in nodes { node.stop() }
            for mesh in meshes { mesh.stop() }
            for folder in folders { try? FileManager.default.removeItem(atPath: folder) }
        }
    }

    private let fixture = Fixture()

    @Test func `Three cores and a replicant join over real links, and all get a rule`() async throws {
        let (first, firstMesh, address) = try fixture.start("n1@h")
        try await eventually("n1 founds its cluster") { first.store.state.isMember("n1@h") }
        for name in ["n2@h", "n3@h"] {
            let (node, _, _) = try fixture.start(name)
            try await eventually("it founds its own") { node.store.state.isMember(name) }
            _ = try node.join(address, discards: false)
        }
        let (replica, _, _) = try fixture.start("r1@h", role: .replicant)
        _ = try replica.join(address, discards: false)
        _ = try first.store.applyRules(
            owner: "", files: [RuleFileContent(path: "a.yaml", bytes: [1])],
            objects: [RuleObject(id: "rule:a", hash: 1, file: "a.yaml", line: 1)], offer: 1, time: 1, by: "test")
        try await eventually("all have it") { fixture.nodes.allSatisfy { $0.store.state.rules.objects.count == 1 } }
        try await eventually("all are linked") { fixture.meshes.allSatisfy { $0.peers.count == 3 } }
        // A partition: the leader alone.
        firstMesh.block(["n2@h", "n3@h", "r1@h"].map { NodeName($0) }, .silent)
        try await eventually("another leads", seconds: 15) {
            fixture.nodes[1...2].contains { $0.status().hasQuorum && $0.store.state.members.count == 4 }
                && fixture.meshes[1].peers.count == 2
        }
        firstMesh.unblock()
        try await eventually("all are linked again", seconds: 15) { fixture.meshes.allSatisfy { $0.peers.count == 3 } }
        try fixture.nodes[2].leave()
        try await eventually("it is gone", seconds: 15) {
            firstMesh.peers.count == 2 && first.store.state.members.count == 3
        }
    }
}
