import Broker
import Buffers
import MQTTCodec
import Testing

@Suite struct BoundsTests {
    @Test(arguments: [ListenerOptions.Transport.epoll, .nio])
    func `packets that end a connection may come byte by byte`(_ transport: ListenerOptions.Transport) throws {
        try withBroker(shards: 1, transport: transport) { _, port in
            let endings: [[UInt8]] = [
                [0xE0, 0], [0xE0, 1, 4], [0x82, 2, 0, 1], [0xF0, 0], [0x10, 2, 0, 0], [0x30, 4, 0, 1, 0x23, 0],
            ]
            for ending in endings {
                let client = try TestClient(port: port)
                client.connect("dribbler", cleanStart: true)
                try pump([client], "the client is in") { client.connack != nil }
                let probe = try TestClient(port: port)
                probe.connect("probe", cleanStart: true)
                for (position, byte) in ending.enumerated() {
                    client.send(raw: [byte])
                    // The shard answers in the order of what it reads, so the byte has been read by then.
                    probe.send(.pingreq)
                    try pump([probe], "the broker is there") { probe.pongs == position + 1 }
                }
                try pump([client, probe], "the connection ends after \(ending)") { client.isEnded }
            }
        }
    }

    @Test func `a queue keeps to its bytes when large messages follow small ones`() throws {
        var zone = MQTTZone()
        zone.queueLimits = QueueLimits(messages: 1000, bytes: 20_000)
        try withBroker(shards: 2, zone: zone) { node, port in
            let sleeper = try TestClient(port: port)
            sleeper.connect("sleeper", cleanStart: true, expiry: 3600)
            sleeper.subscribe("q", qos: .atLeastOnce)
            try pump([sleeper], "the sleeper is in") { sleeper.subacks == 1 }
            sleeper.send(.disconnect(DisconnectPacket()))
            try pump([sleeper], "the sleeper is away") { sleeper.isEnded }
            let publisher = try TestClient(port: port)
            publisher.connect("publisher", cleanStart: true)
            for _ in 0..<50 { publisher.publish("q", "small", qos: .atLeastOnce) }
            for _ in 0..<10 { publisher.publish("q", String(repeating: "x", count: 6000), qos: .atLeastOnce) }
            try pump([publisher], "all are acknowledged") {
                publisher.connack != nil && publisher.unacknowledged.isEmpty
            }
            let status = try #require(node.clients.first { $0.clientID == "sleeper" })
            #expect(status.queued == 3)
            #expect(status.dropped == 57)
        }
    }

    @Test func `what waited for an absent client comes in its order, over all QoS [MQTT-4.6.0-6]`() throws {
        try withBroker(shards: 2) { _, port in
            let state = ClientState()
            let sleeper = try TestClient(port: port, state: state)
            sleeper.connect("sleeper", cleanStart: true, expiry: 3600)
            sleeper.subscribe("q", qos: .exactlyOnce)
            try pump([sleeper], "the sleeper is in") { sleeper.subacks == 1 }
            sleeper.send(.disconnect(DisconnectPacket()))
            try pump([sleeper], "the sleeper is away") { sleeper.isEnded }
            let publisher = try TestClient(port: port)
            publisher.connect("publisher", cleanStart: true)
            for number in 0..<90 {
                publisher.publish("q", "\(number)", qos: QoS(rawValue: UInt8(number * 7 % 5 % 3)) ?? .atMostOnce)
            }
            try pump([publisher], "all are acknowledged") {
                publisher.connack != nil && publisher.unacknowledged.isEmpty
            }
            let back = try TestClient(port: port, state: state)
            back.connect("sleeper", cleanStart: false, expiry: 3600)
            try pump([back], "all have come") { state.messages.count >= 90 }
            #expect(state.messages.map(\.payload) == (0..<90).map { "\($0)" })
        }
    }

    @Test(arguments: [ListenerOptions.Transport.epoll, .nio])
    func `shutting down ends all connections and threads`(_ transport: ListenerOptions.Transport) throws {
        var clients: [TestClient] = []
        try withBroker(shards: 3, transport: transport) { _, port in
            for number in 0..<20 {
                let client = try TestClient(port: port)
                client.connect("client-\(number)", cleanStart: true)
                clients.append(client)
            }
            try pump(clients, "all are in") { clients.allSatisfy { $0.connack != nil } }
        }
        try pump(clients, "all have ended") { clients.allSatisfy { $0.isEnded } }
    }
}
