import Broker
import Buffers
import MQTTCodec
import Storage
import Testing

@Suite struct SessionMoveTests {
    /// Connections are dealt out to the shards in turn, so each new one of the subscriber is on another shard. The old one
    /// is taken over in the middle of its traffic.
    @Test(arguments: [ListenerOptions.Transport.epoll, .nio], [nil, Durability.process, .fsync])
    func `a session that hops between shards gets each message in order, QoS 2 once [MQTT-4.6.0-6]`(
        _ transport: ListenerOptions.Transport, _ durability: Durability?
    ) throws {
        try withBroker(shards: 4, transport: transport, durability: durability) { node, port in
            let state = ClientState()
            var hopper = try TestClient(port: port, state: state)
            hopper.connect("hopper", cleanStart: true, expiry: 3600)
            // One topic in the exact index, one below a wildcard.
            hopper.subscribe("m/#", qos: .exactlyOnce)
            hopper.subscribe("exact", qos: .exactlyOnce)
            try pump([hopper], "the subscriber is in") { hopper.subacks == 2 }
            let topics = ["m/0", "exact", "m/2", "m/3"]
            // Others with the same interests: every shard gets each message, whether the session is there or not.
            let bystanders = try (0..<4).map { number in
                let bystander = try TestClient(port: port)
                bystander.connect("bystander-\(number)", cleanStart: true)
                for filter in ["m/#", "exact"] { bystander.subscribe(filter, qos: .atMostOnce) }
                return bystander
            }
            try pump(bystanders, "the bystanders are in") { bystanders.allSatisfy { $0.subacks == 2 } }
            let publishers = try topics.enumerated().map { number, _ in
                let publisher = try TestClient(port: port)
                publisher.connect("publisher-\(number)", cleanStart: true)
                return publisher
            }
            try pump(publishers, "the publishers are in") { publishers.allSatisfy { $0.connack != nil } }

            var sent = 0
            func burst() {
                for _ in 0..<3 {
                    sent += 1
                    for (number, publisher) in publishers.enumerated() {
                        publisher.publish(
                            topics[number], "\(number) \(sent)", qos: number < 2 ? .atLeastOnce : .exactlyOnce)
                    }
                }
            }
            for _ in 0..<200 {
                burst()
                let next = try TestClient(port: port, state: state)
                next.connect("hopper", cleanStart: false, expiry: 3600)
                burst()
                // What the old connection still brings comes first.
                try pump([hopper] + publishers + bystanders, "the old connection ends") { hopper.isEnded }
                hopper = next
                try pump([hopper] + publishers + bystanders, "the session has arrived") {
                    next.connack != nil && publishers.allSatisfy { $0.unacknowledged.count < 40 }
                }
                #expect(hopper.connack?.sessionPresent == true)
            }
            try pump([hopper] + publishers + bystanders, "all has come: \(sent) each") {
                publishers.allSatisfy { $0.unacknowledged.isEmpty }
                    && bystanders.allSatisfy { $0.state.messages.count == 4 * sent }
                    && (0..<4).allSatisfy { number in
                        state.messages.last { $0.payload.hasPrefix("\(number) ") }?.payload == "\(number) \(sent)"
                    }
            }
            for number in 0..<4 {
                let numbers = state.messages.filter { $0.payload.hasPrefix("\(number) ") }
                    .compactMap { Int($0.payload.split(separator: " ")[1]) }
                if number < 2 {
                    // QoS 1 may come again, never late: each number comes first right behind the one before.
                    var highest = 0
                    for value in numbers where value > highest {
                        #expect(value == highest + 1, "publisher \(number)")
                        highest = value
                    }
                    #expect(highest == sent)
                } else {
                    #expect(numbers == Array(1...sent), "publisher \(number)")
                }
            }
            #expect(node.clients.filter { $0.clientID == "hopper" }.count == 1)
        }
    }

    /// The publisher's exchange waits for other shards while its session is taken away; then it sends the message again.
    @Test(arguments: [Durability.process, .fsync])
    func `a QoS 2 message that is repeated after a takeover is taken once [MQTT-4.3.3-10]`(_ durability: Durability)
        throws
    {
        try withBroker(shards: 4, durability: durability) { node, port in
            let subscribers = try (0..<4).map { number in
                let subscriber = try TestClient(port: port)
                subscriber.connect("subscriber-\(number)", cleanStart: true, expiry: 3600)
                subscriber.subscribe("once", qos: .exactlyOnce)
                return subscriber
            }
            try pump(subscribers, "the subscribers are in") { subscribers.allSatisfy { $0.subacks == 1 } }
            var publisher = try TestClient(port: port)
            publisher.connect("publisher", cleanStart: true, expiry: 3600)
            try pump([publisher], "the publisher is in") { publisher.connack != nil }
            let count = 150
            for number in 1...count {
                publisher.publishAgain("once", "\(number)", identifier: UInt16(number))
                let next = try TestClient(port: port)
                next.connect("publisher", cleanStart: false, expiry: 3600)
                try pump([next], "the session has arrived") { next.connack != nil }
                publisher.end()
                publisher = next
                publisher.publishAgain("once", "\(number)", identifier: UInt16(number))
                try pump([publisher] + subscribers, "the message is taken") { publisher.unacknowledged.isEmpty }
            }
            publisher.publish("once", "last", qos: .exactlyOnce)
            try pump([publisher] + subscribers, "all has come") {
                publisher.unacknowledged.isEmpty
                    && subscribers.allSatisfy { $0.state.messages.last?.payload == "last" }
            }
            for subscriber in subscribers {
                #expect(subscriber.state.messages.map(\.payload) == (1...count).map { "\($0)" } + ["last"])
            }
            #expect(node.clients.first { $0.clientID == "publisher" }?.awaitingRelease == 0)
        }
    }
}
