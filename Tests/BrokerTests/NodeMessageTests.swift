import Broker
import Buffers
import Cluster
import MQTTCodec
import Testing

/// Messages between nodes that are linked in one process.
@Suite struct NodeMessageTests {
    @Test func `messages reach subscribers on other nodes with every QoS, in the order of each publisher`() throws {
        try withCluster(3) { cluster in
            let subscribers = try (0..<3).map { node in
                let client = try cluster.client(node, "subscriber-\(node)")
                client.subscribe("a/+/#", qos: .exactlyOnce)
                return client
            }
            let publishers = try (0..<3).map { try cluster.client($0, "publisher-\($0)") }
            let all = subscribers + publishers
            try pump(all, "all are in") {
                subscribers.allSatisfy { $0.subacks == 1 } && publishers.allSatisfy { $0.connack != nil }
            }
            try awaitRoutes(cluster, probe: "a/probe/0", publishers, subscribers)
            for client in subscribers { client.state.messages = [] }
            var expected: [String] = []
            for number in 0..<200 {
                for (index, publisher) in publishers.enumerated() {
                    let payload = "\(index) \(number)"
                    expected.append(payload)
                    publisher.publish("a/\(number % 3)/b", payload, qos: QoS(rawValue: UInt8(index)) ?? .atMostOnce)
                }
                try pump(all, "the window has room") { publishers.allSatisfy { $0.unacknowledged.count < 40 } }
            }
            try pump(all, "every subscriber has every message") {
                subscribers.allSatisfy { $0.state.messages.count >= expected.count }
                    && publishers.allSatisfy { $0.unacknowledged.isEmpty }
            }
            for subscriber in subscribers {
                let payloads = subscriber.state.messages.map(\.payload)
                #expect(payloads.sorted() == expected.sorted())
                for index in 0..<3 {
                    let mine = payloads.filter { $0.hasPrefix("\(index) ") }.compactMap {
                        Int($0.split(separator: " ")[1])
                    }
                    #expect(mine == Array(0..<200))
                    #expect(
                        subscriber.state.messages.filter { $0.payload.hasPrefix("\(index) ") }
                            .allSatisfy { $0.qos.rawValue == UInt8(index) })
                }
            }
            #expect(cluster.metric("messages.forward.out") == cluster.metric("messages.forward.in"))
            #expect(cluster.nodes[0].metric("messages.forward.out") >= 400)
        }
    }

    @Test func `a message crosses once, however many subscribers the other node has`() throws {
        try withCluster(2, shards: 3) { cluster in
            let subscribers = try (0..<12).map { number in
                let client = try cluster.client(1, "subscriber-\(number)")
                client.subscribe(number % 2 == 0 ? "t" : "+", qos: .atLeastOnce)
                return client
            }
            let publisher = try cluster.client(0, "publisher")
            try pump(subscribers + [publisher], "all are in") {
                subscribers.allSatisfy { $0.subacks == 1 } && publisher.connack != nil
            }
            try awaitRoutes(cluster, probe: "t", [publisher], subscribers)
            let before = cluster.nodes[0].metric("messages.forward.out")
            for client in subscribers { client.state.messages = [] }
            for number in 0..<50 { publisher.publish("t", "\(number)", qos: .atLeastOnce) }
            try pump(subscribers + [publisher], "all have all") {
                subscribers.allSatisfy { $0.state.messages.count >= 50 }
            }
            #expect(cluster.nodes[0].metric("messages.forward.out") - before == 50)
            for subscriber in subscribers {
                #expect(subscriber.state.messages.map(\.payload) == (0..<50).map { "\($0)" })
            }
        }
    }

    @Test func `a node that is cut off is no subscriber any more, and is one again when it is back`() throws {
        try withCluster(2) { cluster in
            let subscriber = try cluster.client(1, "subscriber")
            subscriber.subscribe("t/#", qos: .atLeastOnce)
            let publisher = try cluster.client(0, "publisher")
            let all = [subscriber, publisher]
            try pump(all, "both are in") { subscriber.subacks == 1 && publisher.connack != nil }
            try awaitRoutes(cluster, probe: "t/1", [publisher], [subscriber])
            cluster.isolate(1)
            publisher.publish("t/2", "lost", qos: .atLeastOnce)
            try pump(all, "the publisher is answered") { publisher.unacknowledged.isEmpty }
            #expect(publisher.lastAcknowledgement == .noMatchingSubscribers)
            cluster.network.connectAll()
            subscriber.state.messages = []
            try awaitRoutes(cluster, probe: "t/3", [publisher], [subscriber])
            #expect(!subscriber.state.messages.contains { $0.payload == "lost" })
        }
    }

    @Test func `an unsubscribed filter ends forwarding`() throws {
        try withCluster(2) { cluster in
            let subscriber = try cluster.client(1, "subscriber")
            subscriber.subscribe("t", qos: .atMostOnce)
            let publisher = try cluster.client(0, "publisher")
            let all = [subscriber, publisher]
            try pump(all, "both are in") { subscriber.subacks == 1 && publisher.connack != nil }
            try awaitRoutes(cluster, probe: "t", [publisher], [subscriber])
            subscriber.send(.unsubscribe(UnsubscribePacket(packetIdentifier: 9, filters: ["t"])))
            try pump(all, "nobody subscribes") {
                if publisher.unacknowledged.isEmpty { publisher.publish("t", "x", qos: .atLeastOnce) }
                return publisher.lastAcknowledgement == .noMatchingSubscribers
            }
        }
    }

    @Test func `publishers wait while the link is stuck, and nothing is lost`() throws {
        try withCluster(2, highWaterMark: 64 * 1024) { cluster in
            let subscriber = try cluster.client(1, "subscriber")
            subscriber.subscribe("t", qos: .atLeastOnce)
            let publisher = try cluster.client(0, "publisher")
            let all = [subscriber, publisher]
            try pump(all, "both are in") { subscriber.subacks == 1 && publisher.connack != nil }
            try awaitRoutes(cluster, probe: "t", [publisher], [subscriber])
            subscriber.state.messages = []
            cluster.meshes[1].hold()
            let text = String(repeating: "x", count: 1000)
            var sent = 0
            // A publisher that is not read from fills the socket: at some time nothing more is acknowledged.
            let deadline = ContinuousClock.now + .seconds(20)
            var answered = -1
            while ContinuousClock.now < deadline {
                for _ in 0..<50 where publisher.unacknowledged.count < 400 {
                    publisher.publish("t", "\(sent) \(text)", qos: .atLeastOnce)
                    sent += 1
                }
                let before = sent - publisher.unacknowledged.count
                let pause = ContinuousClock.now + .milliseconds(100)
                try pump(all, "a while") { ContinuousClock.now > pause || publisher.unacknowledged.count < 400 }
                answered = sent - publisher.unacknowledged.count
                if answered == before, publisher.unacknowledged.count >= 400 { break }
            }
            #expect(publisher.unacknowledged.count >= 400, "the publisher is held after \(answered) messages")
            #expect(cluster.meshes[0].backlog(of: 1) < 2 * 1024 * 1024)
            cluster.meshes[1].release()
            try pump(all, "all have come") {
                subscriber.state.messages.count >= sent && publisher.unacknowledged.isEmpty
            }
            #expect(
                subscriber.state.messages.compactMap { Int($0.payload.split(separator: " ")[0]) } == Array(0..<sent))
        }
    }
}

/// Publishes until each subscriber has heard of each publisher, and then has had all of it.
func awaitRoutes(
    _ cluster: TestCluster, probe: String, _ publishers: [TestClient], _ subscribers: [TestClient]
) throws {
    var round = 0
    let all = publishers + subscribers
    func has(_ subscriber: TestClient, _ payload: String) -> Bool {
        subscriber.state.messages.contains { $0.payload == payload }
    }
    while true {
        round += 1
        for (index, publisher) in publishers.enumerated() {
            publisher.publish(probe, "probe \(index) \(round)", qos: .atLeastOnce)
        }
        let until = ContinuousClock.now + .milliseconds(round < 50 ? 50 : 1000)
        func heardAll() -> Bool {
            publishers.indices.allSatisfy { index in subscribers.allSatisfy { has($0, "probe \(index) \(round)") } }
        }
        try pump(all, "probes") { heardAll() || ContinuousClock.now > until }
        if heardAll() { return }
        if round > 60 { throw TestFailure("routes did not come: \(probe)") }
    }
}
