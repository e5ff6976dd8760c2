import Broker
import Cluster
import MQTTCodec
import Testing

/// Retained messages on nodes that are linked, cut off and linked again.
@Suite struct NodeRetainedTests {
    private func retain(_ client: TestClient, _ topic: String, _ payload: String, expiry: UInt32? = nil) {
        var packet = PublishPacket(topic: topic, payload: Array(payload.utf8), qos: .atMostOnce, packetIdentifier: 0)
        packet.isRetained = true
        if let expiry { packet.properties.messageExpiryInterval = expiry }
        client.send(.publish(packet))
        client.send(.pingreq)
    }

    /// What a new subscriber of that node gets.
    private func retained(_ cluster: TestCluster, _ node: Int, _ name: String) throws -> [String: String] {
        let reader = try cluster.client(node, name)
        reader.subscribe("#", qos: .atMostOnce)
        reader.send(.pingreq)
        try pump([reader], "what is retained") { reader.pongs == 1 }
        var found: [String: String] = [:]
        for message in reader.state.messages { found[message.topic] = message.payload }
        return found
    }

    private func awaitRetained(_ cluster: TestCluster, _ expected: [String: String]) throws {
        var round = 0
        let deadline = ContinuousClock.now + .seconds(20)
        while true {
            round += 1
            let found = try cluster.nodes.indices.map { try retained(cluster, $0, "reader-\($0)-\(round)") }
            if found.allSatisfy({ $0 == expected }) { return }
            guard ContinuousClock.now < deadline else { throw TestFailure("\(found) is not \(expected)") }
        }
    }

    @Test func `a retained message and its deletion reach every node`() throws {
        try withCluster(3) { cluster in
            let publisher = try cluster.client(0, "publisher")
            retain(publisher, "a/b", "1")
            retain(publisher, "c", "2", expiry: 1000)
            try pump([publisher], "both are taken") { publisher.pongs == 2 }
            try awaitRetained(cluster, ["a/b": "1", "c": "2"])
            let other = try cluster.client(2, "other")
            retain(other, "a/b", "")
            try pump([other], "it is taken") { other.pongs == 1 }
            try awaitRetained(cluster, ["c": "2"])
        }
    }

    @Test func `nodes that were cut off agree on the last writer of each topic, deletions included`() throws {
        try withCluster(3) { cluster in
            let clients = try (0..<3).map { try cluster.client($0, "publisher-\($0)") }
            retain(clients[0], "kept", "old")
            retain(clients[0], "deleted", "old")
            retain(clients[0], "changed", "old")
            try pump(clients, "taken") { clients[0].pongs == 3 }
            try awaitRetained(cluster, ["kept": "old", "deleted": "old", "changed": "old"])
            cluster.isolate(2)
            retain(clients[0], "deleted", "")
            retain(clients[0], "changed", "first")
            retain(clients[0], "here", "1")
            try pump(clients, "taken on one side") { clients[0].pongs == 6 }
            // Later by the clock, which counts milliseconds.
            let later = ContinuousClock.now + .milliseconds(20)
            try pump(clients, "time passes") { ContinuousClock.now > later }
            retain(clients[2], "changed", "second")
            retain(clients[2], "there", "2")
            try pump(clients, "taken on the other") { clients[2].pongs == 2 }
            cluster.network.connectAll()
            try awaitRetained(cluster, ["kept": "old", "changed": "second", "here": "1", "there": "2"])
        }
    }

    @Test func `a node that comes later gets all that is retained`() throws {
        try withCluster(2) { cluster in
            cluster.isolate(1)
            let publisher = try cluster.client(0, "publisher")
            var expected: [String: String] = [:]
            for number in 0..<3000 {
                expected["t/\(number)"] = "\(number)"
                retain(publisher, "t/\(number)", "\(number)")
            }
            try pump([publisher], "all are taken") { publisher.pongs == 3000 }
            cluster.network.connectAll()
            try awaitRetained(cluster, expected)
        }
    }
}
