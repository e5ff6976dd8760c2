import Broker
import Buffers
import MQTTCodec
import Testing

extension TestClient {
    /// Of all messages but the last one published, which may overtake those of QoS 1.
    fileprivate var topics: [String] { state.messages.filter { $0.payload != "end" }.map(\.topic).sorted() }
}

@Suite struct OutboundAliasTests {
    private func exchange(
        _ allowed: UInt16?, zone: MQTTZone = MQTTZone(), topics: [String], maximumPacketSize: UInt32? = nil,
        payload: (Int) -> String = { "\($0)" }
    ) throws -> TestClient {
        var result: TestClient?
        try withBroker(shards: 2, zone: zone) { _, port in
            let subscriber = try TestClient(port: port)
            subscriber.connect("subscriber", cleanStart: true) {
                $0.topicAliasMaximum = allowed
                $0.maximumPacketSize = maximumPacketSize
            }
            subscriber.subscribe("#", qos: .exactlyOnce)
            // One that wants no aliases, on the other shard or behind it.
            let bystander = try TestClient(port: port)
            bystander.connect("bystander", cleanStart: true)
            bystander.subscribe("#", qos: .atMostOnce)
            try pump([subscriber, bystander], "both are in") { subscriber.subacks == 1 && bystander.subacks == 1 }
            let publisher = try TestClient(port: port)
            publisher.connect("publisher", cleanStart: true)
            for (number, topic) in topics.enumerated() {
                publisher.publish(topic, payload(number), qos: number % 2 == 0 ? .atMostOnce : .atLeastOnce)
            }
            publisher.publish("the/end", "end", qos: .atMostOnce)
            try pump([subscriber, bystander, publisher], "all have come") {
                publisher.unacknowledged.isEmpty
                    && [subscriber, bystander].allSatisfy { client in
                        client.state.messages.contains { $0.payload == "end" }
                            && client.state.messages.count + (maximumPacketSize == nil ? 0 : 1) >= topics.count + 1
                    }
            }
            #expect(bystander.aliasUses.allSatisfy { $0.alias == nil })
            result = subscriber
        }
        return try #require(result)
    }

    @Test func `a topic is sent once, then its alias stands for it [MQTT-3.3.2-10]`() throws {
        let topics = (0..<30).map { "sensors/\($0 % 3)/temperature" }
        let client = try exchange(10, topics: topics)
        #expect(client.topics == topics.sorted())
        let sent = client.aliasUses.filter { !$0.sentTopic.isEmpty }
        #expect(sent.map(\.sentTopic).sorted() == (Set(topics).sorted() + ["the/end"]))
        #expect(Set(sent.compactMap(\.alias)) == [1, 2, 3, 4])
        #expect(client.aliasUses.allSatisfy { $0.alias != nil })
    }

    @Test func `no more aliases than the client allows; other topics come in full [MQTT-3.1.2-26]`() throws {
        let topics = (0..<40).map { "room/\($0 % 4)" }
        let client = try exchange(2, topics: topics)
        #expect(client.topics == topics.sorted())
        #expect(client.aliasUses.compactMap(\.alias).max() == 2)
        #expect(client.aliasUses.filter { $0.alias == nil }.allSatisfy { !$0.sentTopic.isEmpty })
    }

    @Test(arguments: [nil, 0] as [UInt16?])
    func `a client that allows none gets none [MQTT-3.1.2-27]`(_ allowed: UInt16?) throws {
        let client = try exchange(allowed, topics: Array(repeating: "some/topic", count: 5))
        #expect(client.aliasUses.allSatisfy { $0.alias == nil })
    }

    @Test func `none where the configuration allows none, none for topics that are no longer than an alias`() throws {
        var zone = MQTTZone()
        zone.maxTopicAlias = 0
        let client = try exchange(10, zone: zone, topics: Array(repeating: "some/topic", count: 5))
        #expect(client.aliasUses.allSatisfy { $0.alias == nil })
        let short = try exchange(10, topics: Array(repeating: "a/b", count: 5))
        #expect(short.aliasUses.dropLast().allSatisfy { $0 == AliasUse(sentTopic: "a/b", alias: nil) })
    }

    @Test func `aliases are bounded, whatever the client allows`() throws {
        let topics = (0..<1000).map { "device/\($0 % 500)" }
        let client = try exchange(65_535, topics: topics)
        #expect(client.topics == topics.sorted())
        #expect(client.aliasUses.compactMap(\.alias).max() == 64)
    }

    @Test func `a message too large for the client sets no alias [MQTT-3.1.2-24]`() throws {
        let client = try exchange(10, topics: ["some/topic", "some/topic", "some/topic"], maximumPacketSize: 100) {
            $0 == 0 ? String(repeating: "x", count: 200) : "\($0)"
        }
        #expect(client.state.messages.map(\.topic) == ["some/topic", "some/topic", "the/end"])
    }

    @Test func `a new connection begins without aliases [MQTT-3.3.2-7]`() throws {
        try withBroker(shards: 2) { _, port in
            let state = ClientState()
            let publisher = try TestClient(port: port)
            publisher.connect("publisher", cleanStart: true)
            for round in 1...3 {
                let client = try TestClient(port: port, state: state)
                client.connect("subscriber", cleanStart: round == 1, expiry: 3600) { $0.topicAliasMaximum = 5 }
                if round == 1 { client.subscribe("some/topic", qos: .atLeastOnce) }
                try pump([client, publisher], "the client is in") {
                    client.connack != nil && (round > 1 || client.subacks == 1)
                }
                for _ in 0..<3 { publisher.publish("some/topic", "m", qos: .atLeastOnce) }
                try pump([client, publisher], "its messages have come") { state.messages.count == 3 * round }
                #expect(client.aliasUses.first == AliasUse(sentTopic: "some/topic", alias: 1))
                #expect(client.aliasUses.dropFirst().allSatisfy { $0 == AliasUse(sentTopic: "", alias: 1) })
                client.end()
            }
            #expect(state.messages.allSatisfy { $0.topic == "some/topic" })
        }
    }
}
