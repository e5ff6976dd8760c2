import Broker
import Buffers
import MQTTCodec
import Testing

@Suite struct SharedGroupTests {
    @Test(arguments: SharedStrategy.allCases)
    func `members on several shards get each message exactly once [MQTT-4.8.2-4]`(_ strategy: SharedStrategy) throws {
        var zone = MQTTZone()
        zone.sharedStrategy = strategy
        try withBroker(shards: 4, zone: zone) { node, port in
            let members = try (0..<8).map { number in
                let member = try TestClient(port: port)
                member.connect("member-\(number)", cleanStart: true)
                member.subscribe("$share/g/s/+", qos: .exactlyOnce)
                return member
            }
            let publishers = try (0..<4).map { number in
                let publisher = try TestClient(port: port)
                publisher.connect("publisher-\(number)", cleanStart: true)
                return publisher
            }
            try pump(members + publishers, "all are in") {
                members.allSatisfy { $0.subacks == 1 } && publishers.allSatisfy { $0.connack != nil }
            }
            var expected: [String] = []
            for number in 0..<200 {
                for (index, publisher) in publishers.enumerated() {
                    let payload = "\(index) \(number)"
                    expected.append(payload)
                    publisher.publish("s/\(number % 7)", payload, qos: QoS(rawValue: UInt8(index % 3)) ?? .atMostOnce)
                }
                try pump(members + publishers, "the window has room") {
                    publishers.allSatisfy { $0.unacknowledged.count < 40 }
                }
            }
            try pump(members + publishers, "each message has come") {
                members.reduce(0) { $0 + $1.state.messages.count } >= expected.count
                    && publishers.allSatisfy { $0.unacknowledged.isEmpty }
            }
            // What would be too much would have been sent before the answers to these.
            for member in members { member.send(.pingreq) }
            try pump(members, "the members answer") { members.allSatisfy { $0.pongs == 1 } }
            #expect(node.statistic("subscriptions.shared.count") == 8)
            #expect(members.flatMap { $0.state.messages.map(\.payload) }.sorted() == expected.sorted())
            for member in members {
                for index in 0..<publishers.count {
                    for topic in 0..<7 {
                        let numbers = member.state.messages
                            .filter { $0.payload.hasPrefix("\(index) ") && $0.topic == "s/\(topic)" }
                            .compactMap { Int($0.payload.split(separator: " ")[1]) }
                        #expect(numbers == numbers.sorted())
                    }
                }
            }
        }
    }
}
