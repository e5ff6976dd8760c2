import Broker
import Buffers
import MQTTCodec
import Testing

@Suite struct TopicExtensionTests {
    private func enter(_ port: Int, _ clientID: String, expiry: UInt32 = 0) throws -> TestClient {
        let client = try TestClient(port: port)
        client.connect(clientID, cleanStart: true, expiry: expiry)
        try pump([client], "\(clientID) is in") { client.connack != nil }
        return client
    }

    private func subscribe(_ client: TestClient, _ filter: String, qos: QoS = .atLeastOnce) throws {
        let before = client.subacks
        client.subscribe(filter, qos: qos)
        try pump([client], "SUBACK") { client.subacks == before + 1 }
    }

    private func publish(_ client: TestClient, _ topic: String, _ payload: String = "x") throws -> ReasonCode? {
        client.publish(topic, payload, qos: .atLeastOnce)
        try pump([client], "PUBACK") { client.unacknowledged.isEmpty }
        return client.lastAcknowledgement
    }

    private func zone(_ change: (inout TopicOptions) -> Void) -> MQTTZone {
        var zone = MQTTZone()
        change(&zone.topics)
        return zone
    }

    // MARK: Delayed

    @Test func `a delayed message comes after its time, by its own topic, at its QoS, and is retained then`() throws {
        try withBroker(shards: 2) { node, port in
            let reader = try enter(port, "reader")
            try subscribe(reader, "t/#", qos: .exactlyOnce)
            let publisher = try enter(port, "publisher")
            var packet = PublishPacket(
                topic: "$delayed/1/t/a", payload: Array("late".utf8), qos: .exactlyOnce, packetIdentifier: 9)
            packet.isRetained = true
            let start = ContinuousClock.now
            publisher.send(.publish(packet))
            try pump([publisher], "it waits") { node.statistic("delayed.count") == 1 }
            #expect(try publish(publisher, "t/b", "at once") == .success)
            #expect(node.statistic("retained.count") == 0)
            try pump([reader, publisher], "both came") { reader.state.messages.count == 2 }
            #expect(ContinuousClock.now - start >= .milliseconds(990))
            #expect(reader.state.messages.map(\.topic) == ["t/b", "t/a"])
            #expect(reader.state.messages.last?.qos == .exactlyOnce)
            #expect(node.statistic("delayed.count") == 0)
            #expect(node.statistic("delayed.max") == 1)
            #expect(node.statistic("retained.count") == 1)
            #expect(node.metric("messages.delayed") == 1)
        }
    }

    @Test func `beyond the bounds delayed messages are refused, counted and said`() throws {
        let lines = LineCollector()
        try withBroker(shards: 1, zone: zone { $0.delayedLimit = 2 }, lines: lines) { node, port in
            let publisher = try enter(port, "publisher")
            #expect(try publish(publisher, "$delayed/600/a") == .success)
            #expect(try publish(publisher, "$delayed/600/a") == .success)
            #expect(try publish(publisher, "$delayed/600/b") == .quotaExceeded)
            #expect(node.metric("messages.delayed.refused") == 1)
            try pump([publisher], "it is said") { lines.containing("delayed.max_delayed_messages").count == 1 }
            #expect(node.deleteDelayed(node.delayedMessages[0].id) == 1)
            #expect(try publish(publisher, "$delayed/600/b") == .success)
            #expect(node.deleteDelayed("b") == 1)
            #expect(node.deleteDelayed("nothing") == 0)
            #expect(node.delayedMessages.map(\.topic) == ["a"])
        }
        try withBroker(shards: 1, zone: zone { $0.delayedByteLimit = 1000 }) { _, port in
            let publisher = try enter(port, "publisher")
            #expect(try publish(publisher, "$delayed/600/a", String(repeating: "x", count: 800)) == .success)
            #expect(try publish(publisher, "$delayed/600/a", String(repeating: "x", count: 800)) == .quotaExceeded)
        }
    }

    @Test(arguments: ["$delayed/x/t", "$delayed/5/", "$delayed/999999999999/t"])
    func `a delay that is none is refused to who waits for an answer`(_ topic: String) throws {
        try withBroker(shards: 1) { node, port in
            let publisher = try enter(port, "publisher")
            #expect(try publish(publisher, topic) == .topicNameInvalid)
            #expect(node.metric("messages.dropped.topic_refused") == 1)
        }
    }

    @Test func `switched off, $delayed is a topic like others`() throws {
        try withBroker(shards: 1, zone: zone { $0.delayedEnabled = false }) { _, port in
            let client = try enter(port, "client")
            try subscribe(client, "$delayed/#")
            _ = try publish(client, "$delayed/5/t")
            try pump([client], "it came") { client.state.messages.map(\.topic) == ["$delayed/5/t"] }
        }
    }

    @Test func `a will can be delayed too`() throws {
        try withBroker(shards: 1) { node, port in
            let dying = try TestClient(port: port)
            var packet = ConnectPacket(version: .v5, clientID: "dying", cleanStart: true)
            packet.will = WillMessage(topic: "$delayed/600/wills", payload: [1], qos: .atLeastOnce, retain: false)
            dying.send(.connect(packet))
            try pump([dying], "it is in") { dying.connack != nil }
            dying.end()
            let other = try enter(port, "other")
            try pump([other], "the will waits") { node.delayedMessages.map(\.topic) == ["wills"] }
        }
    }

    // MARK: Exclusive

    @Test func `an exclusive filter has one subscriber until that one leaves it`() throws {
        try withBroker(shards: 2, zone: zone { $0.exclusiveSubscription = true }) { node, port in
            let first = try enter(port, "first")
            let second = try enter(port, "second")
            try subscribe(first, "$exclusive/a/b")
            try subscribe(first, "$exclusive/a/b")
            #expect(first.refusedSubscriptions.isEmpty)
            try subscribe(second, "$exclusive/a/b")
            #expect(second.refusedSubscriptions == [.quotaExceeded])
            try subscribe(second, "a/b")
            #expect(second.refusedSubscriptions.count == 1)
            _ = try publish(second, "a/b")
            try pump([first, second], "both have it") {
                first.state.messages.count == 1 && second.state.messages.count == 1
            }
            #expect(first.state.messages[0].topic == "a/b")
            #expect(node.exclusiveSubscriptions.map(\.clientID) == ["first"])
            first.send(.unsubscribe(UnsubscribePacket(packetIdentifier: 7, filters: ["$exclusive/a/b"])))
            try pump([first, second], "it is free") { node.exclusiveSubscriptions.isEmpty }
            try subscribe(second, "$exclusive/a/b")
            #expect(second.refusedSubscriptions.count == 1)
            second.end()
            try pump([first], "the end of a session frees it") { node.exclusiveSubscriptions.isEmpty }
        }
    }

    @Test func `without mqtt.exclusive_subscription the filter is invalid`() throws {
        try withBroker(shards: 1) { _, port in
            let client = try enter(port, "client")
            try subscribe(client, "$exclusive/a")
            #expect(client.refusedSubscriptions == [.topicFilterInvalid])
        }
    }

    // MARK: Rewrite

    private static let rewrites = [
        RewriteOptions(action: .all, sourceTopic: "y/+/z/#", expression: "^y/(.+)/z/(.+)$", destination: "y/z/$2"),
        RewriteOptions(action: .all, sourceTopic: "x/#", expression: "^x/y/(.+)$", destination: "z/y/x/$1"),
        RewriteOptions(action: .all, sourceTopic: "x/y/+", expression: "^x/y/(\\d+)$", destination: "z/y/$1"),
        RewriteOptions(
            action: .publish, sourceTopic: "me/#", expression: "^me/(.+)$", destination: "of/${clientid}/$1"),
    ]

    @Test(arguments: [
        ("y/a/z/b", "y/z/b"), ("y/def", "y/def"), ("x/1/2", "x/1/2"), ("x/y/2", "z/y/2"), ("x/y/z", "x/y/z"),
        ("me/a/b", "of/publisher/a/b"),
    ])
    func `the last rule whose filter fits gives a topic its name`(_ topic: String, _ expected: String) throws {
        try withBroker(shards: 1, zone: zone { $0.rewrites = Self.rewrites }) { _, port in
            let publisher = try enter(port, "publisher")
            try subscribe(publisher, "#")
            _ = try publish(publisher, topic)
            try pump([publisher], "it came") { publisher.state.messages.map(\.topic) == [expected] }
        }
    }

    @Test func `filters are rewritten for SUBSCRIBE and UNSUBSCRIBE, behind the prefix of a shared one`() throws {
        try withBroker(shards: 1, zone: zone { $0.rewrites = Self.rewrites }) { node, port in
            let client = try enter(port, "client")
            try subscribe(client, "x/y/1")
            try subscribe(client, "$share/g/x/y/1")
            #expect(node.clients[0].subscriptions.map(\.filter) == ["$share/g/z/y/1", "z/y/1"])
            client.send(.unsubscribe(UnsubscribePacket(packetIdentifier: 7, filters: ["x/y/1", "$share/g/x/y/1"])))
            try pump([client], "both are gone") { node.statistic("subscriptions.count") == 0 }
        }
    }

    @Test(arguments: ["a/b", "#", "+"])
    func `a client identifier that would be more than one level is not put into a topic`(_ clientID: String) throws {
        try withBroker(shards: 1, zone: zone { $0.rewrites = Self.rewrites }) { _, port in
            let publisher = try enter(port, clientID)
            #expect(try publish(publisher, "me/a") == .topicNameInvalid)
        }
    }

    @Test func `an expression that is none stops the start, by its rule's number`() {
        let bad = RewriteOptions(action: .all, sourceTopic: "#", expression: "(", destination: "x")
        #expect(throws: RewriteError.self) { try withBroker(shards: 1, zone: zone { $0.rewrites = [bad] }) { _, _ in } }
    }

    // MARK: Automatic subscriptions

    @Test func `clients get the subscriptions of auto_subscribe, their names as literals`() throws {
        let wanted = [
            AutoSubscription(topic: "inbox/${clientid}", qos: 1), AutoSubscription(topic: "at/${host}/x"),
            AutoSubscription(topic: "of/${username}"),
        ]
        try withBroker(shards: 1, zone: zone { $0.autoSubscriptions = wanted }) { node, port in
            let client = try enter(port, "client")
            // Without a user name there is no filter to be made of it.
            try pump([client], "it has them") {
                node.clients.first?.subscriptions.map(\.filter) == ["at/127.0.0.1/x", "inbox/client"]
            }
            _ = try publish(client, "inbox/client", "for you")
            try pump([client], "it came") { client.state.messages.map(\.payload) == ["for you"] }
            let sly = try enter(port, "#")
            try pump([sly], "no wildcard by name") {
                node.clients.first { $0.clientID == "#" }?.subscriptions.map(\.filter) == ["at/127.0.0.1/x"]
            }
        }
    }

    // MARK: $SYS

    @Test func `clients that come, subscribe and go are told on $SYS`() throws {
        let everything = zone {
            $0.events.subscribed = true
            $0.events.unsubscribed = true
        }
        try withBroker(shards: 2, zone: everything) { _, port in
            let watcher = try enter(port, "watcher")
            try subscribe(watcher, "$SYS/brokers/+/clients/#")
            let guest = try enter(port, "guest")
            try subscribe(guest, "a/+", qos: .exactlyOnce)
            guest.send(.unsubscribe(UnsubscribePacket(packetIdentifier: 7, filters: ["a/+"])))
            guest.send(.disconnect(DisconnectPacket(reason: .normalDisconnection)))
            let prefix = "$SYS/brokers/sluice@127.0.0.1/clients/guest/"
            try pump([watcher, guest], "all four are told") {
                watcher.state.messages.filter { $0.topic.hasPrefix(prefix) }.count == 4
            }
            let told = watcher.state.messages.filter { $0.topic.hasPrefix(prefix) }
            #expect(
                told.map { String($0.topic.dropFirst(prefix.count)) }
                    == ["connected", "subscribed", "unsubscribed", "disconnected"])
            for member in [
                "\"clientid\":\"guest\"", "\"username\":\"undefined\"", "\"ipaddress\":\"127.0.0.1\"",
                "\"proto_ver\":5",
                "\"clean_start\":true", "\"sockport\":\(port)",
            ] {
                #expect(told[0].payload.contains(member), "\(member) in \(told[0].payload)")
            }
            #expect(told[1].payload.contains("\"subopts\":{\"nl\":0,\"qos\":2,\"rap\":0,\"rh\":0}"))
            #expect(told[3].payload.contains("\"reason\":\"normal\""))
        }
    }
}
