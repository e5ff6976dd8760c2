/// The outcome that an acknowledgement or DISCONNECT carries. [MQTT5 §2.4]
public struct ReasonCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    @inlinable public var isError: Bool { rawValue >= 0x80 }
}

extension ReasonCode {
    @inlinable public static var success: ReasonCode { ReasonCode(rawValue: 0x00) }
    @inlinable public static var normalDisconnection: ReasonCode { ReasonCode(rawValue: 0x00) }
    @inlinable public static var disconnectWithWill: ReasonCode { ReasonCode(rawValue: 0x04) }
    @inlinable public static var noMatchingSubscribers: ReasonCode { ReasonCode(rawValue: 0x10) }
    @inlinable public static var noSubscriptionExisted: ReasonCode { ReasonCode(rawValue: 0x11) }
    @inlinable public static var continueAuthentication: ReasonCode { ReasonCode(rawValue: 0x18) }
    @inlinable public static var reAuthenticate: ReasonCode { ReasonCode(rawValue: 0x19) }
    @inlinable public static var unspecifiedError: ReasonCode { ReasonCode(rawValue: 0x80) }
    @inlinable public static var malformedPacket: ReasonCode { ReasonCode(rawValue: 0x81) }
    @inlinable public static var protocolError: ReasonCode { ReasonCode(rawValue: 0x82) }
    @inlinable public static var implementationSpecificError: ReasonCode { ReasonCode(rawValue: 0x83) }
    @inlinable public static var unsupportedProtocolVersion: ReasonCode { ReasonCode(rawValue: 0x84) }
    @inlinable public static var clientIdentifierNotValid: ReasonCode { ReasonCode(rawValue: 0x85) }
    @inlinable public static var badUserNameOrPassword: ReasonCode { ReasonCode(rawValue: 0x86) }
    @inlinable public static var notAuthorized: ReasonCode { ReasonCode(rawValue: 0x87) }
    @inlinable public static var serverUnavailable: ReasonCode { ReasonCode(rawValue: 0x88) }
    @inlinable public static var serverBusy: ReasonCode { ReasonCode(rawValue: 0x89) }
    @inlinable public static var banned: ReasonCode { ReasonCode(rawValue: 0x8A) }
    @inlinable public static var serverShuttingDown: ReasonCode { ReasonCode(rawValue: 0x8B) }
    @inlinable public static var badAuthenticationMethod: ReasonCode { ReasonCode(rawValue: 0x8C) }
    @inlinable public static var keepAliveTimeout: ReasonCode { ReasonCode(rawValue: 0x8D) }
    @inlinable public static var sessionTakenOver: ReasonCode { ReasonCode(rawValue: 0x8E) }
    @inlinable public static var topicFilterInvalid: ReasonCode { ReasonCode(rawValue: 0x8F) }
    @inlinable public static var topicNameInvalid: ReasonCode { ReasonCode(rawValue: 0x90) }
    @inlinable public static var packetIdentifierInUse: ReasonCode { ReasonCode(rawValue: 0x91) }
    @inlinable public static var packetIdentifierNotFound: ReasonCode { ReasonCode(rawValue: 0x92) }
    @inlinable public static var receiveMaximumExceeded: ReasonCode { ReasonCode(rawValue: 0x93) }
    @inlinable public static var topicAliasInvalid: ReasonCode { ReasonCode(rawValue: 0x94) }
    @inlinable public static var packetTooLarge: ReasonCode { ReasonCode(rawValue: 0x95) }
    @inlinable public static var messageRateTooHigh: ReasonCode { ReasonCode(rawValue: 0x96) }
    @inlinable public static var quotaExceeded: ReasonCode { ReasonCode(rawValue: 0x97) }
    @inlinable public static var administrativeAction: ReasonCode { ReasonCode(rawValue: 0x98) }
    @inlinable public static var payloadFormatInvalid: ReasonCode { ReasonCode(rawValue: 0x99) }
    @inlinable public static var retainNotSupported: ReasonCode { ReasonCode(rawValue: 0x9A) }
    @inlinable public static var qosNotSupported: ReasonCode { ReasonCode(rawValue: 0x9B) }
    @inlinable public static var useAnotherServer: ReasonCode { ReasonCode(rawValue: 0x9C) }
    @inlinable public static var serverMoved: ReasonCode { ReasonCode(rawValue: 0x9D) }
    @inlinable public static var sharedSubscriptionsNotSupported: ReasonCode { ReasonCode(rawValue: 0x9E) }
    @inlinable public static var connectionRateExceeded: ReasonCode { ReasonCode(rawValue: 0x9F) }
    @inlinable public static var maximumConnectTime: ReasonCode { ReasonCode(rawValue: 0xA0) }
    @inlinable public static var subscriptionIdentifiersNotSupported: ReasonCode { ReasonCode(rawValue: 0xA1) }
    @inlinable public static var wildcardSubscriptionsNotSupported: ReasonCode { ReasonCode(rawValue: 0xA2) }

    /// SUBACK's answer to a subscription that was granted.
    package static func granted(_ qos: UInt8) -> ReasonCode { ReasonCode(rawValue: qos) }

    private static let names: [UInt8: String] = [
        0x00: "success", 0x04: "disconnect_with_will_message", 0x10: "no_matching_subscribers",
        0x11: "no_subscription_existed", 0x18: "continue_authentication", 0x19: "re_authenticate",
        0x80: "unspecified_error", 0x81: "malformed_packet", 0x82: "protocol_error",
        0x83: "implementation_specific_error", 0x84: "unsupported_protocol_version",
        0x85: "client_identifier_not_valid", 0x86: "bad_username_or_password", 0x87: "not_authorized",
        0x88: "server_unavailable", 0x89: "server_busy", 0x8A: "banned", 0x8B: "server_shutting_down",
        0x8C: "bad_authentication_method", 0x8D: "keepalive_timeout", 0x8E: "session_taken_over",
        0x8F: "topic_filter_invalid", 0x90: "topic_name_invalid", 0x91: "packet_identifier_inuse",
        0x92: "packet_identifier_not_found", 0x93: "receive_maximum_exceeded", 0x94: "topic_alias_invalid",
        0x95: "packet_too_large", 0x96: "message_rate_too_high", 0x97: "quota_exceeded",
        0x98: "administrative_action", 0x99: "payload_format_invalid", 0x9A: "retain_not_supported",
        0x9B: "qos_not_supported", 0x9C: "use_another_server", 0x9D: "server_moved",
        0x9E: "shared_subscriptions_not_supported", 0x9F: "connection_rate_exceeded", 0xA0: "maximum_connect_time",
        0xA1: "subscription_identifiers_not_supported", 0xA2: "wildcard_subscriptions_not_supported",
    ]

    /// As EMQX's events and logs name it.
    package var eventName: String { Self.names[rawValue] ?? "reason_\(rawValue)" }

    /// CONNACK's return code before 5.0, which has six. [MQTT3-3.2.2.3]
    package var connectReturnCode: UInt8 {
        switch self {
        case .success: 0
        case .unsupportedProtocolVersion: 1
        case .clientIdentifierNotValid: 2
        case .badUserNameOrPassword, .badAuthenticationMethod: 4
        case .notAuthorized, .banned: 5
        default: 3
        }
    }

    /// What a CONNACK says: a reason code in 5.0, one of six return codes before. [MQTT-3.2.2-8] [MQTT3-3.2.2.3]
    /// - Returns: nil for a byte that is none of them.
    init?(connackCode byte: UInt8, version: ProtocolVersion) {
        let known: ReasonCode? =
            version == .v5
            ? ReasonCode(rawValue: byte)
            : Self.connectReturnCodes.indices.contains(Int(byte)) ? Self.connectReturnCodes[Int(byte)] : nil
        guard let known, known.isValid(for: .connack) else { return nil }
        self = known
    }

    private static let connectReturnCodes: [ReasonCode] = [
        .success, .unsupportedProtocolVersion, .clientIdentifierNotValid, .serverUnavailable, .badUserNameOrPassword,
        .notAuthorized,
    ]

    /// Codes that a packet of this type may carry. [MQTT5 §2.4]
    package func isValid(for type: PacketType) -> Bool {
        switch type {
        case .connack:
            [
                0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
                0x9A, 0x9B,
                0x9C, 0x9D, 0x9F,
            ].contains(rawValue)
        case .puback, .pubrec: [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99].contains(rawValue)
        case .pubrel, .pubcomp: [0x00, 0x92].contains(rawValue)
        case .suback: [0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2].contains(rawValue)
        case .unsuback: [0x00, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91].contains(rawValue)
        case .disconnect:
            rawValue == 0x00 || rawValue == 0x04
                || (0x80...0xA2).contains(rawValue) && ![0x84, 0x85, 0x86, 0x88, 0x8A, 0x91, 0x92].contains(rawValue)
        case .auth: [0x00, 0x18, 0x19].contains(rawValue)
        default: false
        }
    }

    /// Of DISCONNECT's codes, those that a client may send.
    package var isValidFromClient: Bool {
        [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99].contains(rawValue)
    }
}
