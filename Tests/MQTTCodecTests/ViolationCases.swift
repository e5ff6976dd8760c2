import MQTTCodec
import Testing

/// Bytes that break a rule, and which.
struct ViolationCase: Sendable, CustomTestStringConvertible {
    var name: String
    var version: ProtocolVersion
    var peer: Peer
    var bytes: [UInt8]
    /// Reason code and clause.
    var expected: String

    init(_ name: String, _ version: ProtocolVersion, _ bytes: [UInt8], _ expected: String, from peer: Peer = .client) {
        self.name = name
        self.version = version
        self.peer = peer
        self.bytes = bytes
        self.expected = expected
    }

    var testDescription: String { "\(version) \(name)" }

    static let all = headers + connects + publishes + acknowledgements + subscribes + others

    static let headers: [ViolationCase] = [
        ViolationCase("type 0", .v5, [0x00, 0], "malformed_packet MQTT5 §2.1.2"),
        ViolationCase("type 0 before its length", .v311, [0x0F], "malformed_packet MQTT5 §2.1.2"),
        ViolationCase("type 15 in 3.1.1", .v311, [0xF0, 0], "malformed_packet MQTT3-2.2.1"),
        ViolationCase("five length bytes", .v5, [0x30, 0x80, 0x80, 0x80, 0x80], "malformed_packet MQTT-1.5.5-1"),
        ViolationCase("length 0 in two bytes", .v5, [0xC0, 0x80, 0], "malformed_packet MQTT-1.5.5-1"),
        ViolationCase("PINGREQ flags", .v311, [0xC1, 0], "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("PINGREQ with a body", .v5, [0xC0, 1, 0], "malformed_packet MQTT5 §3.12"),
        ViolationCase(
            "CONNECT flags", .v5, frame(0x14, text("MQTT"), [5, 2], u16(0), [0], text("c")),
            "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("CONNACK from a client", .v5, [0x20, 3, 0, 0, 0], "protocol_error MQTT-4.13.1-1"),
        ViolationCase("PINGRESP from a client", .v311, [0xD0, 0], "protocol_error MQTT-4.13.1-1"),
        ViolationCase("PINGREQ from a server", .v311, [0xC0, 0], "protocol_error MQTT-4.13.1-1", from: .server),
        ViolationCase("DISCONNECT from a 3.1.1 server", .v311, [0xE0, 0], "protocol_error MQTT3-3.14", from: .server),
    ]

    private static func connect(
        _ level: UInt8, _ flags: UInt8, _ rest: [UInt8], name: String = "MQTT"
    ) -> [UInt8] {
        frame(0x10, text(name), [level, flags], u16(60), rest)
    }

    private static let unsupported = "unsupported_protocol_version MQTT-3.1.2-2"
    private static let unnamed = "unsupported_protocol_version MQTT-3.1.2-1"

    static let connects: [ViolationCase] = [
        ViolationCase("wrong name", .v311, connect(4, 2, text("c"), name: "mqtt"), unnamed),
        ViolationCase("empty name", .v5, connect(5, 2, text("c"), name: ""), unnamed),
        ViolationCase("3.1's name with level 4", .v311, connect(4, 2, text("c"), name: "MQIsdp"), unsupported),
        ViolationCase("level 6", .v5, connect(6, 2, [0] + text("c")), unsupported),
        ViolationCase("level 255", .v5, connect(255, 2, [0] + text("c")), unsupported),
        ViolationCase("a bridge's level", .v311, connect(0x84, 2, text("c")), unsupported),
        ViolationCase("reserved flag", .v5, connect(5, 3, [0] + text("c")), "malformed_packet MQTT-3.1.2-3"),
        ViolationCase(
            "will QoS without will", .v5, connect(5, 0x0A, [0] + text("c")), "malformed_packet MQTT-3.1.2-11"),
        ViolationCase("will retain without will", .v311, connect(4, 0x22, text("c")), "malformed_packet MQTT-3.1.2-11"),
        ViolationCase(
            "will QoS 3", .v5, connect(5, 0x1E, [0] + text("c") + [0] + text("w") + text("m")),
            "malformed_packet MQTT-3.1.2-12"),
        ViolationCase("will missing", .v311, connect(4, 0x06, text("c")), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "will topic with a wildcard", .v311, connect(4, 0x06, text("c") + text("a/#") + text("m")),
            "topic_name_invalid MQTT-3.1.3-11"),
        ViolationCase(
            "will topic empty", .v311, connect(4, 0x06, text("c") + text("") + text("m")),
            "malformed_packet MQTT-4.7.3-1"),
        ViolationCase(
            "will topic ill-formed", .v311, connect(4, 0x06, text("c") + data([0x61, 0xFF]) + text("m")),
            "malformed_packet MQTT-3.1.3-11"),
        ViolationCase(
            "password without name", .v311, connect(4, 0x42, text("c") + text("p")), "malformed_packet MQTT3-3.1.2-22"),
        ViolationCase("name missing", .v311, connect(4, 0x82, text("c")), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "password without its flag", .v5, connect(5, 0x82, [0] + text("c") + text("u") + text("p")),
            "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "identifier with U+0000", .v311, connect(4, 2, data([0x61, 0])), "malformed_packet MQTT-1.5.4-1"),
        ViolationCase(
            "name with a surrogate", .v311, connect(4, 0x82, text("c") + data([0xED, 0xA0, 0x80])),
            "malformed_packet MQTT-1.5.4-1"),
        ViolationCase(
            "Receive Maximum 0", .v5, connect(5, 2, block([0x21], u16(0)) + text("c")),
            "protocol_error MQTT5 §3.1.2.11"),
        ViolationCase(
            "Authentication Data alone", .v5, connect(5, 2, block([0x16], data([1])) + text("c")),
            "protocol_error MQTT5 §3.1.2.11.10"),
        ViolationCase(
            "property length beyond the packet", .v5, connect(5, 2, [0x7F] + text("c")),
            "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "property cut by its block", .v5, connect(5, 2, [3, 0x11, 0, 0] + text("c")),
            "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "property length in five bytes", .v5, connect(5, 2, [0x80, 0x80, 0x80, 0x80, 0] + text("c")),
            "malformed_packet MQTT-1.5.5-1"),
        ViolationCase(
            "property length padded", .v5, connect(5, 2, [0x80, 0] + text("c")), "malformed_packet MQTT-1.5.5-1"),
        ViolationCase(
            "trailing bytes", .v311, connect(4, 2, text("c") + [0]), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "CONNACK reserved flags", .v5, [0x20, 3, 2, 0, 0], "malformed_packet MQTT-3.2.2-1", from: .server),
        ViolationCase(
            "CONNACK refusal with a session", .v5, [0x20, 3, 1, 0x87, 0], "protocol_error MQTT-3.2.2-6", from: .server),
        ViolationCase(
            "CONNACK refusal with a session", .v311, [0x20, 2, 1, 5], "protocol_error MQTT-3.2.2-6", from: .server),
        ViolationCase("CONNACK code 6", .v311, [0x20, 2, 0, 6], "protocol_error MQTT3-3.2.2-6", from: .server),
        ViolationCase("CONNACK code 1 in 5.0", .v5, [0x20, 3, 0, 1, 0], "protocol_error MQTT-3.2.2-8", from: .server),
    ]

    static let publishes: [ViolationCase] = [
        ViolationCase("QoS 3", .v311, frame(0x36, text("a"), u16(1)), "malformed_packet MQTT-3.3.1-4"),
        ViolationCase("DUP at QoS 0", .v5, frame(0x38, text("a"), [0]), "malformed_packet MQTT-3.3.1-2"),
        ViolationCase("packet identifier 0", .v311, frame(0x32, text("a"), u16(0)), "protocol_error MQTT-2.2.1-3"),
        ViolationCase("no packet identifier", .v311, frame(0x32, text("a")), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase("no topic", .v311, [0x30, 0], "malformed_packet MQTT-4.13.1-1"),
        ViolationCase("no properties", .v5, frame(0x30, text("a")), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase("empty topic", .v311, frame(0x30, text(""), [1]), "malformed_packet MQTT3-3.3.2-1"),
        ViolationCase("empty topic without alias", .v5, frame(0x30, text(""), [0]), "protocol_error MQTT5 §3.3.2.1"),
        ViolationCase("+ in the topic", .v5, frame(0x30, text("a/+"), [0]), "topic_name_invalid MQTT-3.3.2-2"),
        ViolationCase("# in the topic", .v311, frame(0x30, text("a#b")), "topic_name_invalid MQTT-3.3.2-2"),
        ViolationCase("ill-formed topic", .v311, frame(0x30, data([0xC0, 0xAF])), "malformed_packet MQTT-3.3.2-1"),
        ViolationCase("U+0000 in the topic", .v311, frame(0x30, data([0x61, 0])), "malformed_packet MQTT-3.3.2-1"),
        ViolationCase(
            "alias 0", .v5, frame(0x30, text("a"), block([0x23, 0, 0])), "topic_alias_invalid MQTT-3.3.2-8"),
        ViolationCase(
            "Subscription Identifier", .v5, frame(0x30, text("a"), block([0x0B, 1])), "protocol_error MQTT-3.3.4-6"),
        ViolationCase(
            "Subscription Identifier 0", .v5, frame(0x30, text("a"), block([0x0B, 0])),
            "protocol_error MQTT5 §3.8.2.1.2", from: .server),
        ViolationCase(
            "Payload Format 2", .v5, frame(0x30, text("a"), block([0x01, 2])), "protocol_error MQTT5 §2.2.2.2"),
        ViolationCase(
            "Response Topic with a wildcard", .v5, frame(0x30, text("a"), block([0x08], text("r/+"))),
            "protocol_error MQTT-3.3.2-14"),
        ViolationCase(
            "Response Topic ill-formed", .v5, frame(0x30, text("a"), block([0x08], data([0xFF]))),
            "malformed_packet MQTT-3.3.2-13"),
        ViolationCase(
            "unknown property", .v5, frame(0x30, text("a"), block([0x7F, 0])), "malformed_packet MQTT5 §2.2.2.2"),
        ViolationCase(
            "property of another packet", .v5, frame(0x30, text("a"), block([0x11], u32(1))),
            "malformed_packet MQTT5 §2.2.2.2"),
    ]

    static let acknowledgements: [ViolationCase] = [
        ViolationCase("PUBACK flags", .v5, [0x42, 2, 0, 1], "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("PUBREL flags", .v311, [0x60, 2, 0, 1], "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("PUBREL with DUP", .v311, [0x6A, 2, 0, 1], "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("PUBACK identifier 0", .v311, [0x40, 2, 0, 0], "protocol_error MQTT-2.2.1-3"),
        ViolationCase("PUBACK cut", .v311, [0x40, 1, 0], "malformed_packet MQTT-4.13.1-1"),
        ViolationCase("PUBACK with a reason", .v311, [0x40, 3, 0, 1, 0], "malformed_packet MQTT3-3.4.2"),
        ViolationCase("PUBACK unknown code", .v5, [0x40, 3, 0, 1, 0x55], "protocol_error MQTT5 §2.4"),
        ViolationCase("PUBREC code", .v5, [0x50, 3, 0, 1, 0x01], "protocol_error MQTT5 §2.4"),
        ViolationCase("PUBREL code", .v5, [0x62, 3, 0, 1, 0x80], "protocol_error MQTT5 §2.4"),
        ViolationCase("PUBCOMP code", .v5, [0x70, 3, 0, 1, 0x10], "protocol_error MQTT5 §2.4"),
        ViolationCase(
            "PUBCOMP property", .v5, frame(0x70, u16(1), [0], block([0x23], u16(1))), "malformed_packet MQTT5 §2.2.2.2"),
        ViolationCase("PUBACK trailing byte", .v5, [0x40, 5, 0, 1, 0, 0, 0], "malformed_packet MQTT-4.13.1-1"),
    ]

    private static func subscribe(_ filter: String, _ options: UInt8) -> [UInt8] {
        frame(0x82, u16(1), [0], text(filter), [options])
    }

    private static let badShare = "topic_filter_invalid MQTT-4.8.2-1"
    private static let badShareName = "topic_filter_invalid MQTT-4.8.2-2"

    static let subscribes: [ViolationCase] = [
        ViolationCase("flags", .v5, frame(0x80, u16(1), [0], text("a"), [0]), "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("flags with DUP", .v311, frame(0x8A, u16(1), text("a"), [0]), "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("identifier 0", .v311, frame(0x82, u16(0), text("a"), [0]), "protocol_error MQTT-2.2.1-3"),
        ViolationCase("no filter", .v311, frame(0x82, u16(1)), "protocol_error MQTT-3.8.3-2"),
        ViolationCase("no filter", .v5, frame(0x82, u16(1), [0]), "protocol_error MQTT-3.8.3-2"),
        ViolationCase("no options", .v5, frame(0x82, u16(1), [0], text("a")), "malformed_packet MQTT-4.13.1-1"),
        ViolationCase("QoS 3", .v5, subscribe("a", 3), "protocol_error MQTT5 §3.8.3.1"),
        ViolationCase("QoS 3", .v311, frame(0x82, u16(1), text("a"), [3]), "malformed_packet MQTT3-3.8.3-4"),
        ViolationCase("reserved bits", .v5, subscribe("a", 0x40), "malformed_packet MQTT-3.8.3-5"),
        ViolationCase("Retain Handling 3", .v5, subscribe("a", 0x30), "protocol_error MQTT5 §3.8.3.1"),
        ViolationCase(
            "No Local in 3.1.1", .v311, frame(0x82, u16(1), text("a"), [4]), "malformed_packet MQTT3-3.8.3-4"),
        ViolationCase("No Local, shared", .v5, subscribe("$share/g/a", 4), "protocol_error MQTT-3.8.3-4"),
        ViolationCase("empty filter", .v5, subscribe("", 0), "topic_filter_invalid MQTT-4.7.1-1"),
        ViolationCase("a#", .v5, subscribe("a#", 0), "topic_filter_invalid MQTT-4.7.1-1"),
        ViolationCase("$share//a", .v5, subscribe("$share//a", 0), badShare),
        ViolationCase("$share/", .v5, subscribe("$share/", 0), badShare),
        ViolationCase("$share/g", .v5, subscribe("$share/g", 0), badShare),
        ViolationCase("$share/g/", .v5, subscribe("$share/g/", 0), badShare),
        ViolationCase("$share/+/a", .v5, subscribe("$share/+/a", 0), badShareName),
        ViolationCase("$share/a+b/c", .v5, subscribe("$share/a+b/c", 0), badShareName),
        ViolationCase("$share/#", .v5, subscribe("$share/#", 0), badShare),
        ViolationCase("$share/g/a+", .v5, subscribe("$share/g/a+", 0), "topic_filter_invalid MQTT-4.7.1-1"),
        ViolationCase(
            "ill-formed filter", .v311, frame(0x82, u16(1), data([0xED, 0xA0, 0x80]), [0]),
            "malformed_packet MQTT-1.5.4-1"),
        ViolationCase(
            "two Subscription Identifiers", .v5, frame(0x82, u16(1), block([0x0B, 1, 0x0B, 2]), text("a"), [0]),
            "protocol_error MQTT5 §2.2.2.2"),
        ViolationCase(
            "Subscription Identifier in five bytes", .v5,
            frame(0x82, u16(1), block([0x0B, 0x80, 0x80, 0x80, 0x80, 1]), text("a"), [0]),
            "malformed_packet MQTT-1.5.5-1"),
        ViolationCase("SUBACK without codes", .v311, [0x90, 2, 0, 1], "malformed_packet MQTT-3.9.3-1", from: .server),
        ViolationCase(
            "SUBACK without codes", .v5, [0x90, 3, 0, 1, 0], "malformed_packet MQTT-3.9.3-1", from: .server),
        ViolationCase(
            "UNSUBACK without codes", .v5, [0xB0, 3, 0, 1, 0], "malformed_packet MQTT-3.11.3-1", from: .server),
        ViolationCase(
            "SUBACK code of 5.0", .v311, [0x90, 3, 0, 1, 0x87], "malformed_packet MQTT-3.9.3-2", from: .server),
        ViolationCase("SUBACK code", .v5, [0x90, 4, 0, 1, 0, 0x11], "malformed_packet MQTT-3.9.3-2", from: .server),
        ViolationCase("UNSUBACK code", .v5, [0xB0, 4, 0, 1, 0, 1], "malformed_packet MQTT-3.11.3-2", from: .server),
        ViolationCase(
            "UNSUBACK with codes", .v311, [0xB0, 3, 0, 1, 0], "malformed_packet MQTT-4.13.1-1", from: .server),
        ViolationCase(
            "UNSUBSCRIBE flags", .v311, frame(0xA0, u16(1), text("a")), "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("UNSUBSCRIBE without filter", .v5, frame(0xA2, u16(1), [0]), "protocol_error MQTT-3.10.3-2"),
        ViolationCase(
            "UNSUBSCRIBE identifier 0", .v311, frame(0xA2, u16(0), text("a")), "protocol_error MQTT-2.2.1-3"),
    ]

    static let others: [ViolationCase] = [
        ViolationCase("DISCONNECT flags", .v311, [0xE1, 0], "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("DISCONNECT with a body", .v311, [0xE0, 1, 0], "malformed_packet MQTT3-3.14.1-1"),
        ViolationCase("DISCONNECT with a server's code", .v5, [0xE0, 1, 0x8E], "protocol_error MQTT-3.14.2-1"),
        ViolationCase(
            "DISCONNECT with a client's code", .v5, [0xE0, 1, 0x04], "protocol_error MQTT-3.14.2-1", from: .server),
        ViolationCase(
            "DISCONNECT with a session expiry", .v5, frame(0xE0, [0], block([0x11], u32(1))),
            "protocol_error MQTT-3.14.2-2", from: .server),
        ViolationCase(
            "DISCONNECT with a server reference", .v5, frame(0xE0, [0], block([0x1C], text("x"))),
            "protocol_error MQTT5 §3.14.2.2.5"),
        ViolationCase(
            "AUTH flags", .v5, frame(0xF1, [0x18], block([0x15], text("m"))), "malformed_packet MQTT-2.1.3-1"),
        ViolationCase("AUTH success from a client", .v5, [0xF0, 0], "protocol_error MQTT-3.15.2-1"),
        ViolationCase(
            "AUTH re-authentication from a server", .v5, frame(0xF0, [0x19], block([0x15], text("m"))),
            "protocol_error MQTT-3.15.2-1", from: .server),
        ViolationCase(
            "AUTH success from a client, spelt out", .v5, frame(0xF0, [0], block([0x15], text("m"))),
            "protocol_error MQTT-3.15.2-1"),
        ViolationCase("AUTH without properties", .v5, [0xF0, 1, 0x18], "malformed_packet MQTT-4.13.1-1"),
        ViolationCase(
            "AUTH success without a method", .v5, [0xF0, 2, 0, 0], "protocol_error MQTT5 §3.15.2.2.2", from: .server),
        ViolationCase("AUTH without a method", .v5, [0xF0, 2, 0x18, 0], "protocol_error MQTT5 §3.15.2.2.2"),
    ]
}
