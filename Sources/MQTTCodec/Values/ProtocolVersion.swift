/// The protocol versions by their level in CONNECT.
@frozen public enum ProtocolVersion: UInt8, Sendable, CaseIterable {
    case v31 = 3
    case v311 = 4
    case v5 = 5

    /// As CONNECT spells it. [MQTT-3.1.2-1]
    package var protocolName: String { self == .v31 ? "MQIsdp" : "MQTT" }
}

@frozen public enum QoS: UInt8, Sendable, Comparable, CaseIterable {
    case atMostOnce = 0
    case atLeastOnce = 1
    case exactlyOnce = 2

    @inlinable public static func < (a: QoS, b: QoS) -> Bool { a.rawValue < b.rawValue }
}

/// What a subscription gets of the retained messages. [MQTT-3.8.3.1]
package enum RetainHandling: UInt8, Sendable {
    case always = 0
    case ifNew = 1
    case never = 2
}

@frozen public enum PacketType: UInt8, Sendable, CaseIterable {
    case connect = 1
    case connack, publish, puback, pubrec, pubrel, pubcomp, subscribe, suback, unsubscribe, unsuback, pingreq, pingresp
    case disconnect, auth
}

/// Who sent a packet: some fields are for one side only.
@frozen public enum Peer: Sendable {
    case client
    case server
}
