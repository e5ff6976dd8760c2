import Broker
import Buffers
import Logging
import MQTTCodec
import Synchronization
import Testing

@Suite struct RetainedBoundsTests {
    private func retain(_ client: TestClient, _ topic: String, _ payload: String = "x", expiry: UInt32? = nil) {
        var packet = PublishPacket(topic: topic, payload: Array(payload.utf8), qos: .atMostOnce, packetIdentifier: 0)
        packet.isRetained = true
        packet.properties.messageExpiryInterval = expiry
        client.send(.publish(packet))
    }

    private func publisher(_ port: Int) throws -> TestClient {
        let publisher = try TestClient(port: port)
        publisher.connect("publisher", cleanStart: true)
        try pump([publisher], "the publisher is in") { publisher.connack != nil }
        return publisher
    }

    private func settle(_ client: TestClient) throws {
        let before = client.pongs
        client.send(.pingreq)
        try pump([client], "it has been read") { client.pongs > before }
    }

    @Test func `expired retained messages go without anybody asking for them`() throws {
        try withBroker(shards: 2) { node, port in
            let publisher = try publisher(port)
            for number in 0..<2000 { retain(publisher, "short/\(number)", expiry: 1) }
            for number in 0..<10 { retain(publisher, "long/\(number)", expiry: 3600) }
            for number in 0..<10 { retain(publisher, "ever/\(number)") }
            // Replaced in time: these stay.
            for number in 0..<5 { retain(publisher, "short/\(number)", "kept", expiry: 3600) }
            for number in 5..<10 { retain(publisher, "short/\(number)", "kept") }
            // Emptied in time: nothing is left to expire.
            for number in 10..<20 { retain(publisher, "short/\(number)", "") }
            try settle(publisher)
            #expect(node.statistic("retained.count") == 2010)
            try pump([publisher], "the short ones are gone") { node.statistic("retained.count") == 30 }
            try pump([publisher], "they are counted") { node.metric("messages.retained.expired") == 1980 }
            let reader = try TestClient(port: port)
            reader.connect("reader", cleanStart: true)
            reader.subscribe("#", qos: .atMostOnce)
            try pump([reader], "the others are there") { reader.state.messages.count == 30 }
        }
    }

    @Test func `messages leave in the order of their expiry, however they were replaced`() throws {
        var random = SystemRandomNumberGenerator()
        try withBroker(shards: 1) { node, port in
            let publisher = try publisher(port)
            var left = 0
            for topic in 0..<300 {
                // The last one counts: mostly an hour, sometimes a second, sometimes nothing.
                let last: UInt32? = [1, 3600, nil].randomElement(using: &random) ?? nil
                for _ in 0..<3 { retain(publisher, "t/\(topic)", expiry: UInt32.random(in: 1...5000, using: &random)) }
                retain(publisher, "t/\(topic)", expiry: last)
                if last != 1 { left += 1 }
            }
            try settle(publisher)
            try pump([publisher], "the expired are gone") { node.statistic("retained.count") == left }
        }
    }

    @Test func `at the bounds messages are delivered, not retained, counted, and one line says so`() throws {
        var zone = MQTTZone()
        zone.retainedLimit = 10
        zone.retainedPayloadLimit = 100
        zone.maxSubscriptions = 3
        let lines = LineCollector()
        try withBroker(shards: 2, zone: zone, lines: lines) { node, port in
            let reader = try TestClient(port: port)
            reader.connect("reader", cleanStart: true)
            reader.subscribe("#", qos: .atMostOnce)
            try pump([reader], "the reader is in") { reader.subacks == 1 }
            let publisher = try publisher(port)
            for number in 0..<50 { retain(publisher, "t/\(number)") }
            for number in 0..<20 { retain(publisher, "t/\(number)", String(repeating: "x", count: 101)) }
            retain(publisher, "t/3", "replaced")
            try pump([reader, publisher], "all were delivered") { reader.state.messages.count == 71 }
            #expect(node.statistic("retained.count") == 10)
            #expect(node.metric("messages.retained.refused.full") == 40)
            #expect(node.metric("messages.retained.refused.too_large") == 20)
            for number in 0..<8 { reader.subscribe("more/\(number)", qos: .atMostOnce) }
            try pump([reader], "the subscriptions are answered") { reader.subacks == 9 }
            #expect(
                reader.refusedSubscriptions == [
                    .quotaExceeded, .quotaExceeded, .quotaExceeded, .quotaExceeded,
                    .quotaExceeded, .quotaExceeded,
                ])
            // Again in place of the same filter is no further one.
            reader.subscribe("more/0", qos: .atLeastOnce)
            try pump([reader], "it is answered") { reader.subacks == 10 }
            #expect(reader.refusedSubscriptions.count == 6)
            #expect(node.metric("client.subscribe.quota_exceeded") == 6)
            for key in ["retainer.max_retained_messages", "retainer.max_payload_size", "mqtt.max_subscriptions"] {
                try pump([reader, publisher], "\(key) is said") { lines.containing(key).count >= 1 }
            }
            let later = node.uptimeMilliseconds
            for number in 0..<50 { retain(publisher, "t/\(number)") }
            // Two more ticks of the timer.
            try pump([reader, publisher], "some time has gone") { node.uptimeMilliseconds >= later + 2000 }
            for key in ["retainer.max_retained_messages", "retainer.max_payload_size", "mqtt.max_subscriptions"] {
                #expect(lines.containing(key).count == 1, "\(key)")
            }
        }
    }
}
