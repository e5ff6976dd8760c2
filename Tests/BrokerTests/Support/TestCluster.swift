import Broker
import Cluster
import Logging

/// Some nodes in this process, each with a port of its own, linked by a ``LocalNetwork``.
final class TestCluster {
    let network = LocalNetwork()
    private(set) var meshes: [LocalMesh] = []
    private(set) var nodes: [BrokerNode] = []
    private(set) var ports: [Int] = []

    func client(
        _ node: Int, _ clientID: String, cleanStart: Bool = true, expiry: UInt32 = 0, state: ClientState = ClientState()
    ) throws -> TestClient {
        let client = try TestClient(port: ports[node], state: state)
        client.connect(clientID, cleanStart: cleanStart, expiry: expiry)
        return client
    }

    fileprivate func start(
        _ count: Int, shards: Int, zone: MQTTZone, highWaterMark: Int?, comparisonInterval: Int64
    ) throws {
        for index in 0..<count {
            var options = NodeOptions(version: "test", shards: shards)
            options.name = "n\(index + 1)@127.0.0.1"
            options.listeners = [ListenerOptions(kind: .tcp, name: "test", host: "127.0.0.1", port: 0)]
            options.mqtt = zone
            options.heartbeatInterval = 0
            options.systemMessageInterval = 0
            var logger = Logger(label: options.name)
            logger.logLevel = .error
            let node = BrokerNode(options, logger: logger)
            let mesh = network.makeMesh(options.name)
            node.attach(mesh: mesh, highWaterMark: highWaterMark, comparisonInterval: comparisonInterval)
            try node.start(options)
            nodes.append(node)
            meshes.append(mesh)
            guard let port = node.listeners.first?.address.split(separator: ":").last.flatMap({ Int($0) }) else {
                throw TestFailure("the listener has no port")
            }
            ports.append(port)
        }
        network.connectAll()
    }

    fileprivate func stop() {
        for mesh in meshes { network.cutAll(of: mesh) }
        for mesh in meshes { mesh.settle() }
        for node in nodes { node.stop() }
        for mesh in meshes { mesh.settle() }
    }

    /// Takes a node out of the network as if it had died.
    func isolate(_ node: Int) {
        network.cutAll(of: meshes[node])
        for mesh in meshes { mesh.settle() }
    }

    func metric(_ name: String) -> Int { nodes.reduce(0) { $0 + $1.metric(name) } }
}

func withCluster(
    _ count: Int, shards: Int = 2, zone: MQTTZone = MQTTZone(), highWaterMark: Int? = nil,
    comparisonInterval: Int64 = 30_000, _ body: (TestCluster) throws -> Void
) throws {
    let cluster = TestCluster()
    defer { cluster.stop() }
    try cluster.start(
        count, shards: shards, zone: zone, highWaterMark: highWaterMark, comparisonInterval: comparisonInterval)
    try body(cluster)
}
