import MQTTCodec
import Testing

/// A packet that is valid, and its bytes.
struct PacketCase: Sendable, CustomTestStringConvertible {
    var name: String
    var version: ProtocolVersion
    var peer: Peer
    var bytes: [UInt8]
    var packet: Packet
    /// Whether the packet is written as these bytes; a shorter form may exist.
    var isCanonical: Bool

    init(
        _ name: String, _ version: ProtocolVersion, _ peer: Peer, _ bytes: [UInt8], _ packet: Packet,
        isCanonical: Bool = true
    ) {
        self.name = name
        self.version = version
        self.peer = peer
        self.bytes = bytes
        self.packet = packet
        self.isCanonical = isCanonical
    }

    var testDescription: String { "\(version) \(name)" }

    static let all = connect + connack + publish + acknowledgements + subscribe + others

    static let connect: [PacketCase] = [
        PacketCase(
            "CONNECT", .v311, .client, frame(0x10, text("MQTT"), [4, 0x02], u16(60), text("c")),
            .connect(ConnectPacket(version: .v311, clientID: "c"))),
        PacketCase(
            "CONNECT", .v31, .client, frame(0x10, text("MQIsdp"), [3, 0x00], u16(10), text("old")),
            .connect(ConnectPacket(version: .v31, clientID: "old", cleanStart: false, keepAlive: 10))),
        PacketCase(
            "CONNECT with flags for what the length leaves out", .v31, .client,
            frame(0x10, text("MQIsdp"), [3, 0xC2], u16(10), text("old")),
            .connect(ConnectPacket(version: .v31, clientID: "old", keepAlive: 10)), isCanonical: false),
        PacketCase(
            "CONNECT with will, name and password", .v311, .client,
            frame(
                0x10, text("MQTT"), [4, 0xEC], u16(1), text("ü"), text("will/t"), data([0, 255]), text("u"),
                data([0xFF, 0])),
            .connect(
                ConnectPacket(
                    version: .v311, clientID: "ü", cleanStart: false, keepAlive: 1, username: "u", password: [0xFF, 0],
                    will: WillMessage(topic: "will/t", payload: [0, 255], qos: .atLeastOnce, retain: true)))),
        PacketCase(
            "CONNECT without an identifier", .v5, .client,
            frame(0x10, text("MQTT"), [5, 0x00], u16(0), [0], text("")),
            .connect(ConnectPacket(version: .v5, clientID: "", cleanStart: false, keepAlive: 0))),
        PacketCase(
            "CONNECT with a password alone", .v5, .client,
            frame(0x10, text("MQTT"), [5, 0x42], u16(60), [0], text("c"), text("token")),
            .connect(ConnectPacket(version: .v5, clientID: "c", password: Array("token".utf8)))),
        PacketCase(
            "CONNECT with every property", .v5, .client,
            frame(
                0x10, text("MQTT"), [5, 0x16], u16(60),
                block(
                    [0x11], u32(.max), [0x15], text("m"), [0x16], data([1]), [0x17, 0, 0x19, 1, 0x21], u16(5), [0x22],
                    u16(0), [0x26], text("k"), text("v"), [0x26], text("k"), text("v"), [0x27], u32(100)),
                text("c"),
                block(
                    [0x01, 1, 0x02], u32(9), [0x03], text("t/p"), [0x08], text("re/ply"), [0x09], data([0]), [0x18],
                    u32(7), [0x26], text(""), text("")),
                text("w"), data([])),
            .connect(
                ConnectPacket(
                    version: .v5, clientID: "c",
                    will: WillMessage(
                        topic: "w", payload: [], qos: .exactlyOnce,
                        properties: properties {
                            $0.payloadFormatIndicator = 1
                            $0.messageExpiryInterval = 9
                            $0.contentType = "t/p"
                            $0.responseTopic = "re/ply"
                            $0.correlationData = [0]
                            $0.willDelayInterval = 7
                            $0.userProperties = [user("", "")]
                        }),
                    properties: properties {
                        $0.sessionExpiryInterval = .max
                        $0.authenticationMethod = "m"
                        $0.authenticationData = [1]
                        $0.requestProblemInformation = false
                        $0.requestResponseInformation = true
                        $0.receiveMaximum = 5
                        $0.topicAliasMaximum = 0
                        $0.maximumPacketSize = 100
                        $0.userProperties = [user("k", "v"), user("k", "v")]
                    }))),
    ]

    private static let accepted = ConnackPacket(sessionPresent: false, reason: .success)

    static let connack: [PacketCase] = [
        PacketCase("CONNACK", .v31, .server, [0x20, 2, 0, 0], .connack(accepted)),
        PacketCase(
            "CONNACK", .v311, .server, [0x20, 2, 1, 0], .connack(ConnackPacket(sessionPresent: true, reason: .success))),
        PacketCase(
            "CONNACK refusal", .v311, .server, [0x20, 2, 0, 5],
            .connack(ConnackPacket(sessionPresent: false, reason: .notAuthorized))),
        PacketCase("CONNACK", .v5, .server, [0x20, 3, 0, 0, 0], .connack(accepted)),
        PacketCase(
            "CONNACK refusal", .v5, .server, [0x20, 3, 0, 0x9F, 0],
            .connack(ConnackPacket(sessionPresent: false, reason: .connectionRateExceeded))),
        PacketCase(
            "CONNACK with every property", .v5, .server,
            frame(
                0x20, [0, 0],
                block(
                    [0x11], u32(3), [0x12], text("id"), [0x13], u16(30), [0x15], text("m"), [0x16], data([2]), [0x1A],
                    text("info"), [0x1C], text("ref"), [0x1F], text("why"), [0x21], u16(1), [0x22], u16(10),
                    [0x24, 1, 0x25, 0, 0x26], text("k"), text("ö"), [0x27], u32(65536), [0x28, 1, 0x29, 0, 0x2A, 1])),
            .connack(
                ConnackPacket(
                    sessionPresent: false, reason: .success,
                    properties: properties {
                        $0.sessionExpiryInterval = 3
                        $0.assignedClientIdentifier = "id"
                        $0.serverKeepAlive = 30
                        $0.authenticationMethod = "m"
                        $0.authenticationData = [2]
                        $0.responseInformation = "info"
                        $0.serverReference = "ref"
                        $0.reasonString = "why"
                        $0.receiveMaximum = 1
                        $0.topicAliasMaximum = 10
                        $0.maximumQoS = 1
                        $0.retainAvailable = false
                        $0.maximumPacketSize = 65536
                        $0.wildcardSubscriptionAvailable = true
                        $0.subscriptionIdentifiersAvailable = false
                        $0.sharedSubscriptionAvailable = true
                        $0.userProperties = [user("k", "ö")]
                    }))),
    ]

    static let publish: [PacketCase] = [
        PacketCase("PUBLISH", .v31, .client, frame(0x30, text("a")), .publish(PublishPacket(topic: "a", payload: []))),
        PacketCase(
            "PUBLISH at QoS 1", .v311, .client, frame(0x33, text("a/b"), u16(7), [1, 2]),
            .publish(
                PublishPacket(
                    topic: "a/b", payload: [1, 2], qos: .atLeastOnce, isRetained: true, packetIdentifier: 7))),
        PacketCase(
            "PUBLISH at QoS 2 again", .v5, .server, frame(0x3C, text("日本/🙂"), u16(65535), [0], [9]),
            .publish(
                PublishPacket(
                    topic: "日本/🙂", payload: [9], qos: .exactlyOnce, isDuplicate: true, packetIdentifier: 65535))),
        PacketCase(
            "PUBLISH of 130 bytes", .v311, .client, frame(0x30, text("a"), Array(repeating: 5, count: 127)),
            .publish(PublishPacket(topic: "a", payload: Array(repeating: 5, count: 127)))),
        PacketCase(
            "PUBLISH by alias", .v5, .client, frame(0x30, text(""), block([0x23], u16(3)), [1]),
            .publish(PublishPacket(topic: "", payload: [1], properties: properties { $0.topicAlias = 3 }))),
        PacketCase(
            "PUBLISH with every property", .v5, .server,
            frame(
                0x32, text("t"), u16(1),
                block(
                    [0x01, 0, 0x02], u32(0), [0x03], text("c"), [0x08], text("r"), [0x09], data([]),
                    [0x0B, 1, 0x0B, 0xFF, 0xFF, 0xFF, 0x7F], [0x23], u16(1), [0x26], text("a"), text("1"), [0x26],
                    text("b"), text("2"),
                    [0x26], text("a"), text("1"))),
            .publish(
                PublishPacket(
                    topic: "t", payload: [], qos: .atLeastOnce, packetIdentifier: 1,
                    properties: properties {
                        $0.payloadFormatIndicator = 0
                        $0.messageExpiryInterval = 0
                        $0.topicAlias = 1
                        $0.contentType = "c"
                        $0.responseTopic = "r"
                        $0.correlationData = []
                        $0.subscriptionIdentifiers = [1, 268_435_455]
                        $0.userProperties = [user("a", "1"), user("b", "2"), user("a", "1")]
                    }))),
    ]

    static let acknowledgements: [PacketCase] = [
        PacketCase("PUBACK", .v311, .client, [0x40, 2, 0, 1], .puback(AckPacket(packetIdentifier: 1))),
        PacketCase("PUBREC", .v5, .server, [0x50, 2, 1, 0], .pubrec(AckPacket(packetIdentifier: 256))),
        PacketCase("PUBREL", .v5, .client, [0x62, 2, 0, 1], .pubrel(AckPacket(packetIdentifier: 1))),
        PacketCase(
            "PUBREL with DUP", .v31, .client, [0x6A, 2, 0, 1], .pubrel(AckPacket(packetIdentifier: 1)),
            isCanonical: false),
        PacketCase("PUBCOMP", .v31, .server, [0x70, 2, 0, 1], .pubcomp(AckPacket(packetIdentifier: 1))),
        PacketCase(
            "PUBACK with success", .v5, .client, [0x40, 3, 0, 1, 0], .puback(AckPacket(packetIdentifier: 1)),
            isCanonical: false),
        PacketCase(
            "PUBACK with no properties", .v5, .client, [0x40, 4, 0, 1, 0x10, 0],
            .puback(AckPacket(packetIdentifier: 1, reason: .noMatchingSubscribers)), isCanonical: false),
        PacketCase(
            "PUBCOMP with a reason", .v5, .server, [0x70, 3, 0, 1, 0x92],
            .pubcomp(AckPacket(packetIdentifier: 1, reason: .packetIdentifierNotFound))),
        PacketCase(
            "PUBREC with properties", .v5, .client,
            frame(0x50, u16(9), [0x97], block([0x1F], text("full"), [0x26], text("a"), text("b"))),
            .pubrec(
                AckPacket(
                    packetIdentifier: 9, reason: .quotaExceeded,
                    properties: properties {
                        $0.reasonString = "full"
                        $0.userProperties = [user("a", "b")]
                    }))),
    ]

    static let subscribe: [PacketCase] = [
        PacketCase(
            "SUBSCRIBE", .v311, .client, frame(0x82, u16(1), text("a/+"), [0], text("$share/g/#"), [2]),
            .subscribe(
                SubscribePacket(
                    packetIdentifier: 1,
                    subscriptions: [
                        entry("a/+", SubscriptionOptions(qos: .atMostOnce)),
                        entry("$share/g/#", SubscriptionOptions(qos: .exactlyOnce)),
                    ]))),
        PacketCase(
            "SUBSCRIBE with DUP", .v31, .client, frame(0x8A, u16(1), text("a"), [1]),
            .subscribe(
                SubscribePacket(
                    packetIdentifier: 1,
                    subscriptions: [entry("a", SubscriptionOptions(qos: .atLeastOnce))])),
            isCanonical: false),
        PacketCase(
            "SUBSCRIBE", .v5, .client,
            frame(0x82, u16(1), block([0x0B, 0x80, 1], [0x26], text("a"), text("b")), text("#"), [0x2D]),
            .subscribe(
                SubscribePacket(
                    packetIdentifier: 1,
                    subscriptions: [
                        entry(
                            "#",
                            SubscriptionOptions(
                                qos: .atLeastOnce, noLocal: true, retainAsPublished: true,
                                retainHandling: .never))
                    ],
                    properties: properties {
                        $0.subscriptionIdentifiers = [128]
                        $0.userProperties = [user("a", "b")]
                    }))),
        PacketCase(
            "SUBACK", .v311, .server, [0x90, 6, 0, 1, 0, 1, 2, 0x80],
            .suback(
                SubackPacket(
                    packetIdentifier: 1, reasons: [.granted(0), .granted(1), .granted(2), .unspecifiedError]))),
        PacketCase(
            "SUBACK", .v5, .server, frame(0x90, u16(1), block([0x1F], text("no")), [0x87, 0xA2]),
            .suback(
                SubackPacket(
                    packetIdentifier: 1, reasons: [.notAuthorized, .wildcardSubscriptionsNotSupported],
                    properties: properties { $0.reasonString = "no" }))),
        PacketCase(
            "UNSUBSCRIBE", .v311, .client, frame(0xA2, u16(2), text("a"), text("b/#")),
            .unsubscribe(UnsubscribePacket(packetIdentifier: 2, filters: ["a", "b/#"]))),
        PacketCase(
            "UNSUBSCRIBE", .v5, .client, frame(0xA2, u16(2), block([0x26], text("a"), text("b")), text("a")),
            .unsubscribe(
                UnsubscribePacket(
                    packetIdentifier: 2, filters: ["a"],
                    properties: properties { $0.userProperties = [user("a", "b")] }))),
        PacketCase(
            "UNSUBACK", .v311, .server, [0xB0, 2, 0, 2],
            .unsuback(UnsubackPacket(packetIdentifier: 2, reasons: []))),
        PacketCase(
            "UNSUBACK", .v5, .server, [0xB0, 5, 0, 2, 0, 0, 0x11],
            .unsuback(UnsubackPacket(packetIdentifier: 2, reasons: [.success, .noSubscriptionExisted]))),
    ]

    static let others: [PacketCase] = [
        PacketCase("PINGREQ", .v31, .client, [0xC0, 0], .pingreq),
        PacketCase("PINGRESP", .v5, .server, [0xD0, 0], .pingresp),
        PacketCase("DISCONNECT", .v311, .client, [0xE0, 0], .disconnect(DisconnectPacket())),
        PacketCase("DISCONNECT", .v5, .client, [0xE0, 0], .disconnect(DisconnectPacket())),
        PacketCase(
            "DISCONNECT with a reason", .v5, .client, [0xE0, 1, 4],
            .disconnect(DisconnectPacket(reason: .disconnectWithWill))),
        PacketCase(
            "DISCONNECT with no properties", .v5, .server, [0xE0, 2, 0x8E, 0],
            .disconnect(DisconnectPacket(reason: .sessionTakenOver)), isCanonical: false),
        PacketCase(
            "DISCONNECT with properties", .v5, .client, frame(0xE0, [0], block([0x11], u32(60), [0x1F], text("bye"))),
            .disconnect(
                DisconnectPacket(
                    properties: properties {
                        $0.sessionExpiryInterval = 60
                        $0.reasonString = "bye"
                    }))),
        PacketCase(
            "DISCONNECT to another server", .v5, .server, frame(0xE0, [0x9D], block([0x1C], text("other:1883"))),
            .disconnect(
                DisconnectPacket(reason: .serverMoved, properties: properties { $0.serverReference = "other:1883" })
            )),
        PacketCase(
            "AUTH that begins again", .v5, .client, frame(0xF0, [0x19], block([0x15], text("m"))),
            .auth(AuthPacket(reason: .reAuthenticate, properties: properties { $0.authenticationMethod = "m" }))),
        PacketCase("AUTH", .v5, .server, [0xF0, 0], .auth(AuthPacket(reason: .success))),
        PacketCase(
            "AUTH with data", .v5, .client, frame(0xF0, [0x18], block([0x15], text("m"), [0x16], data([1, 2]))),
            .auth(
                AuthPacket(
                    reason: .continueAuthentication,
                    properties: properties {
                        $0.authenticationMethod = "m"
                        $0.authenticationData = [1, 2]
                    }))),
    ]
}
