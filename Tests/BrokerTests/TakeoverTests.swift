import Broker
import Buffers
import MQTTCodec
import Testing

@Suite struct TakeoverTests {
    @Test(arguments: [(clean: true, expiry: UInt32(0)), (clean: false, expiry: 0), (clean: false, expiry: 3600)])
    func `of two connections with one client identifier at once, one stays [MQTT-3.1.4-3]`(
        _ start: (clean: Bool, expiry: UInt32)
    ) throws {
        try withBroker(shards: 4) { node, port in
            for round in 0..<100 {
                let pair = [try TestClient(port: port), try TestClient(port: port)]
                for client in pair { client.connect("twin", cleanStart: start.clean, expiry: start.expiry) }
                try pump(pair, "one of two ends, round \(round)") {
                    pair.contains { $0.isEnded } && pair.contains { !$0.isEnded && $0.connack != nil }
                }
                let winner = try #require(pair.first { !$0.isEnded })
                winner.send(.pingreq)
                try pump(pair, "the winner answers, round \(round)") { winner.pongs == 1 || winner.isEnded }
                #expect(winner.pongs == 1, "round \(round)")
                #expect(node.statistic("sessions.count") == 1)
                // Every other round the next pair finds a connection to take over.
                if round % 2 == 0 { winner.end() }
            }
            let last = try TestClient(port: port)
            last.connect("twin", cleanStart: true)
            try pump([last], "the last one is in") { last.connack != nil }
            #expect(last.connack?.sessionPresent == false)
            #expect(node.clients.map(\.clientID) == ["twin"])
            last.send(.disconnect(DisconnectPacket()))
            try pump([last], "nothing is left") {
                last.isEnded && node.statistic("sessions.count") == 0 && node.statistic("connections.count") == 0
            }
            #expect(node.clients.isEmpty)
            #expect(node.statistic("subscriptions.count") == 0)
        }
    }

    @Test func `identifiers are the same only byte for byte [MQTT-1.5.4-1]`() throws {
        try withBroker(shards: 2) { node, port in
            let composed = try TestClient(port: port)
            let decomposed = try TestClient(port: port)
            composed.connect("caf\u{E9}", cleanStart: true)
            decomposed.connect("cafe\u{301}", cleanStart: true)
            try pump([composed, decomposed], "both are in") { composed.connack != nil && decomposed.connack != nil }
            for filter in ["\u{E9}", "e\u{301}"] { composed.subscribe(filter, qos: .atMostOnce) }
            try pump([composed, decomposed], "both are subscribed") { composed.subacks == 2 }
            #expect(!composed.isEnded && !decomposed.isEnded)
            #expect(node.statistic("sessions.count") == 2)
            #expect(node.statistic("subscriptions.count") == 2)
        }
    }
}
