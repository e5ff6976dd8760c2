import Broker
import MQTTCodec
import Testing

/// [MQTT5 §4.11]
@Suite struct RedirectTests {
    @Test func `who is connected is sent elsewhere, and its session stays`() throws {
        try withBroker(shards: 2) { node, port in
            let clients = try (0..<4).map { number in
                let client = try TestClient(port: port)
                client.connect("client-\(number)", cleanStart: true) { $0.sessionExpiryInterval = 60 }
                return client
            }
            try pump(clients, "all are in") { clients.allSatisfy { $0.connack?.reason == .success } }
            #expect(node.redirectClients(atMost: 3, Redirection(to: "other:1883")) == 3)
            try pump(clients, "three have gone") { clients.count { $0.isEnded } == 3 }
            for client in clients where client.isEnded {
                #expect(client.disconnect?.reason == .useAnotherServer)
                #expect(client.disconnect?.properties.serverReference == "other:1883")
            }
            #expect(node.statistic("sessions.count") == 4)
            let last = try #require(node.clients.first { $0.isConnected })
            #expect(node.redirect(last.clientID, Redirection(to: nil, isPermanent: true)))
            try pump(clients, "the last one has gone") { clients.allSatisfy(\.isEnded) }
            #expect(!node.redirect(last.clientID, Redirection(to: nil)))
            #expect(clients.count { $0.disconnect?.reason == .serverMoved } == 1)
        }
    }

    @Test func `who comes is sent elsewhere for as long as the node says so`() throws {
        try withBroker(shards: 1) { node, port in
            node.redirection = Redirection(to: "other:1883 third:1883", isPermanent: true)
            let refused = try TestClient(port: port)
            refused.connect("client", cleanStart: true)
            try pump([refused], "it is refused") { refused.isEnded }
            #expect(refused.connack?.reason == .serverMoved)
            #expect(refused.connack?.properties.serverReference == "other:1883 third:1883")
            node.redirection = nil
            let client = try TestClient(port: port)
            client.connect("client", cleanStart: true)
            try pump([client], "it is in") { client.connack?.reason == .success }
        }
    }

    @Test func `a reference that the client does not take is left out [MQTT-3.1.2-24]`() throws {
        try withBroker(shards: 1) { node, port in
            let client = try TestClient(port: port)
            client.connect("client", cleanStart: true) { $0.maximumPacketSize = 20 }
            try pump([client], "it is in") { client.connack != nil || client.isEnded }
            node.redirectClients(atMost: 1, Redirection(to: String(repeating: "x", count: 100)))
            try pump([client], "it has gone") { client.isEnded }
            #expect(client.disconnect?.reason == .useAnotherServer)
            #expect(client.disconnect?.properties.serverReference == nil)
        }
    }

    @Test func `packets are counted by their type, and the sums add up`() throws {
        try withBroker(shards: 1) { node, port in
            let client = try TestClient(port: port)
            client.connect("client", cleanStart: true)
            client.subscribe("a/#", qos: .atLeastOnce)
            try pump([client], "it has subscribed") { client.subacks == 1 }
            for _ in 0..<3 { client.publish("a/b", "x", qos: .atLeastOnce) }
            try pump([client], "all have come") { client.state.messages.count == 3 && client.unacknowledged.isEmpty }
            client.send(.pingreq)
            try pump([client], "the acknowledgements are there") { client.pongs == 1 }
            for (name, count) in [
                ("connect.received", 1), ("connack.sent", 1), ("subscribe.received", 1), ("suback.sent", 1),
                ("publish.received", 3), ("publish.sent", 3), ("puback.received", 3), ("puback.sent", 3),
                ("pingreq.received", 1), ("pingresp.sent", 1), ("received", 9), ("sent", 9),
            ] {
                #expect(node.metric("packets.\(name)") == count, "packets.\(name)")
            }
        }
    }
}
