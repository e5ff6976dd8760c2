import Broker
import Buffers
import MQTTCodec
import Testing

/// What a member of a shared group leaves behind. [MQTT5 §4.8.2]
@Suite struct SharedRedispatchTests {
    enum Ending: String, CaseIterable { case disconnect, cut, expiry, kick, cleanStart }

    private func member(
        _ name: String, port: Int, expiry: UInt32 = 0, receiveMaximum: UInt16? = nil, qos: QoS = .exactlyOnce
    ) throws -> TestClient {
        let member = try TestClient(port: port)
        member.connect(name, cleanStart: true, expiry: expiry) { $0.receiveMaximum = receiveMaximum }
        member.subscribe("$share/g/s", qos: qos)
        try pump([member], "\(name) is in") { member.subacks == 1 }
        return member
    }

    private func publisher(port: Int) throws -> TestClient {
        let publisher = try TestClient(port: port)
        publisher.connect("publisher", cleanStart: true)
        try pump([publisher], "the publisher is in") { publisher.connack != nil }
        return publisher
    }

    private func end(_ client: TestClient, _ ending: Ending, node: BrokerNode, port: Int) throws {
        switch ending {
        case .disconnect: client.send(.disconnect(DisconnectPacket()))
        case .cut, .expiry: client.end()
        case .kick: #expect(node.kick("leaver"))
        case .cleanStart:
            let next = try TestClient(port: port)
            next.connect("leaver", cleanStart: true)
            try pump([next, client], "the next one is in") { next.connack != nil }
        }
    }

    @Test(arguments: Ending.allCases)
    func `what was in flight at QoS 1 or waited goes to another member, once and in order [MQTT-4.8.2-6]`(
        _ ending: Ending
    ) throws {
        try withBroker(shards: 2) { node, port in
            let leaver = try member("leaver", port: port, expiry: ending == .expiry ? 1 : 0, receiveMaximum: 5)
            leaver.acknowledges = false
            let publisher = try publisher(port: port)
            // Alone first, so that all are the leaver's.
            for number in 0..<50 { publisher.publish("s", "\(number)", qos: .atLeastOnce) }
            try pump([leaver, publisher], "five are in flight") {
                leaver.state.messages.count == 5 && publisher.unacknowledged.isEmpty
            }
            // On the other shard as well as on the same one.
            let heirs = try (0..<2).map { try member("heir-\($0)", port: port) }
            try end(leaver, ending, node: node, port: port)
            try pump(heirs, "all have come to the others") {
                heirs.reduce(0) { $0 + $1.state.messages.count } >= 50
            }
            for heir in heirs { heir.send(.pingreq) }
            try pump(heirs, "nothing more comes") { heirs.allSatisfy { $0.pongs == 1 } }
            let numbers = heirs.map { $0.state.messages.compactMap { Int($0.payload) } }
            #expect(numbers.flatMap { $0 }.sorted() == Array(0..<50))
            for part in numbers { #expect(part == part.sorted()) }
            #expect(heirs.allSatisfy { !$0.sawDuplicateFlag })
            #expect(node.metric("messages.redispatched") == 50)
        }
    }

    @Test func `QoS 2 under way is not sent to another member, what has not been sent is [MQTT-4.8.2-5]`() throws {
        try withBroker(shards: 2) { node, port in
            let leaver = try member("leaver", port: port, receiveMaximum: 5)
            leaver.acknowledges = false
            let publisher = try publisher(port: port)
            for number in 0..<12 { publisher.publish("s", "\(number)", qos: .exactlyOnce) }
            try pump([leaver, publisher], "five are in flight") {
                leaver.state.messages.count == 5 && publisher.unacknowledged.isEmpty
            }
            let heir = try member("heir", port: port)
            leaver.end()
            try pump([heir], "the rest has come") { heir.state.messages.count >= 7 }
            #expect(heir.state.messages.map(\.payload) == (5..<12).map { "\($0)" })
            #expect(heir.state.messages.allSatisfy { $0.qos == .exactlyOnce })
        }
    }

    @Test func `a session that stays keeps its messages; one of its own goes with it`() throws {
        try withBroker(shards: 2) { node, port in
            let sleeper = try member("sleeper", port: port, expiry: 3600, receiveMaximum: 5)
            sleeper.subscribe("own", qos: .atLeastOnce)
            try pump([sleeper], "the sleeper is in") { sleeper.subacks == 2 }
            sleeper.acknowledges = false
            let publisher = try publisher(port: port)
            for number in 0..<20 {
                publisher.publish("s", "\(number)", qos: .atLeastOnce)
                publisher.publish("own", "own \(number)", qos: .atLeastOnce)
            }
            try pump([sleeper, publisher], "all are there") {
                sleeper.state.messages.count == 5 && publisher.unacknowledged.isEmpty
            }
            let heir = try member("heir", port: port)
            let before = node.metric("client.disconnected")
            sleeper.end()
            try pump([heir], "the sleeper is away") { node.metric("client.disconnected") > before }
            publisher.publish("s", "new", qos: .atLeastOnce)
            try pump([heir, publisher], "the heir gets the new one") { !heir.state.messages.isEmpty }
            #expect(heir.state.messages.map(\.payload) == ["new"])
            #expect(node.kick("sleeper"))
            try pump([heir], "the sleeper's have come") { heir.state.messages.count >= 21 }
            heir.send(.pingreq)
            try pump([heir], "nothing more comes") { heir.pongs == 1 }
            #expect(heir.state.messages.dropFirst().map(\.payload) == (0..<20).map { "\($0)" })
        }
    }

    @Test func `without another member the messages are counted as dropped`() throws {
        try withBroker(shards: 2) { node, port in
            let leaver = try member("leaver", port: port, receiveMaximum: 5)
            leaver.acknowledges = false
            let publisher = try publisher(port: port)
            for number in 0..<9 { publisher.publish("s", "\(number)", qos: .atLeastOnce) }
            try pump([leaver, publisher], "five are in flight") {
                leaver.state.messages.count == 5 && publisher.unacknowledged.isEmpty
            }
            let before = node.metric("messages.dropped.no_subscribers")
            leaver.send(.disconnect(DisconnectPacket()))
            try pump([leaver], "they are counted") {
                node.metric("messages.dropped.no_subscribers") == before + 9
            }
            #expect(node.metric("messages.redispatched") == 0)
        }
    }

    @Test func `hash_clientid gives a client's messages to one member, over all of its sessions`() throws {
        var zone = MQTTZone()
        zone.sharedStrategy = .hashClientID
        try withBroker(shards: 3, zone: zone) { _, port in
            let members = try (0..<8).map { try member("member-\($0)", port: port) }
            for client in 0..<8 {
                for session in 0..<3 {
                    let publisher = try TestClient(port: port)
                    publisher.connect("client-\(client)", cleanStart: true)
                    publisher.publish("s", "\(client) \(session)", qos: .atLeastOnce)
                    try pump(members + [publisher], "it is acknowledged") {
                        publisher.connack != nil && publisher.unacknowledged.isEmpty
                    }
                    publisher.send(.disconnect(DisconnectPacket()))
                    try pump([publisher], "the session ends") { publisher.isEnded }
                }
            }
            try pump(members, "all have come") { members.reduce(0) { $0 + $1.state.messages.count } == 24 }
            for client in 0..<8 {
                let takers = members.filter { $0.state.messages.contains { $0.payload.hasPrefix("\(client) ") } }
                #expect(takers.count == 1, "client-\(client)")
            }
            #expect(members.filter { !$0.state.messages.isEmpty }.count > 1)
        }
    }
}
