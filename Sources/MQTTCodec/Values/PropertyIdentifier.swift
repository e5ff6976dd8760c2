/// The properties of MQTT 5.0 by their identifiers. [MQTT5 §2.2.2.2]
package enum PropertyIdentifier: UInt8, CaseIterable {
    case payloadFormatIndicator = 0x01
    case messageExpiryInterval = 0x02
    case contentType = 0x03
    case responseTopic = 0x08
    case correlationData = 0x09
    case subscriptionIdentifier = 0x0B
    case sessionExpiryInterval = 0x11
    case assignedClientIdentifier = 0x12
    case serverKeepAlive = 0x13
    case authenticationMethod = 0x15
    case authenticationData = 0x16
    case requestProblemInformation = 0x17
    case willDelayInterval = 0x18
    case requestResponseInformation = 0x19
    case responseInformation = 0x1A
    case serverReference = 0x1C
    case reasonString = 0x1F
    case receiveMaximum = 0x21
    case topicAliasMaximum = 0x22
    case topicAlias = 0x23
    case maximumQoS = 0x24
    case retainAvailable = 0x25
    case userProperty = 0x26
    case maximumPacketSize = 0x27
    case wildcardSubscriptionAvailable = 0x28
    case subscriptionIdentifiersAvailable = 0x29
    case sharedSubscriptionAvailable = 0x2A
}

/// Which set of properties is read: that of a packet type, or of the will inside CONNECT.
package enum PropertySet: Sendable, CaseIterable {
    case connect, will, connack, publish, acknowledgement, subscribe, suback, unsubscribe, unsuback, disconnect, auth

    var allowed: Set<PropertyIdentifier> {
        switch self {
        case .connect:
            [
                .sessionExpiryInterval, .receiveMaximum, .maximumPacketSize, .topicAliasMaximum,
                .requestResponseInformation, .requestProblemInformation, .userProperty, .authenticationMethod,
                .authenticationData,
            ]
        case .will:
            [
                .willDelayInterval, .payloadFormatIndicator, .messageExpiryInterval, .contentType, .responseTopic,
                .correlationData, .userProperty,
            ]
        case .connack:
            [
                .sessionExpiryInterval, .receiveMaximum, .maximumQoS, .retainAvailable, .maximumPacketSize,
                .assignedClientIdentifier, .topicAliasMaximum, .reasonString, .userProperty,
                .wildcardSubscriptionAvailable, .subscriptionIdentifiersAvailable, .sharedSubscriptionAvailable,
                .serverKeepAlive, .responseInformation, .serverReference, .authenticationMethod, .authenticationData,
            ]
        case .publish:
            [
                .payloadFormatIndicator, .messageExpiryInterval, .topicAlias, .responseTopic, .correlationData,
                .userProperty, .subscriptionIdentifier, .contentType,
            ]
        case .acknowledgement, .suback, .unsuback: [.reasonString, .userProperty]
        case .subscribe: [.subscriptionIdentifier, .userProperty]
        case .unsubscribe: [.userProperty]
        case .disconnect: [.sessionExpiryInterval, .reasonString, .userProperty, .serverReference]
        case .auth: [.authenticationMethod, .authenticationData, .reasonString, .userProperty]
        }
    }

    /// A bit for each allowed identifier.
    package var mask: UInt64 { Self.masks[self] ?? 0 }

    private static let masks: [PropertySet: UInt64] = Dictionary(
        uniqueKeysWithValues: allCases.map { set in
            (set, set.allowed.reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue) })
        })
}
