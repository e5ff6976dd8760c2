import MQTTCodec

// Random packets that are valid: every field and property comes and goes.
extension SeededGenerator {
    mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &self) < percent }

    mutating func text() -> String {
        let letters = ["a", "Z", " ", "é", "日", "🙂", "\u{FEFF}", "$", "/", "\u{1}"]
        return (0..<Int.random(in: 0...9, using: &self)).map { _ in letters.randomElement(using: &self) ?? "" }.joined()
    }

    mutating func name() -> String { text() + "n" }

    mutating func data() -> [UInt8] {
        let length = chance(5) ? Int.random(in: 100...40_000, using: &self) : Int.random(in: 0...20, using: &self)
        return (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &self) }
    }

    mutating func number<T: FixedWidthInteger>(from least: T) -> T { T.random(in: least...T.max, using: &self) }

    mutating func qos() -> QoS { QoS.allCases.randomElement(using: &self) ?? .atMostOnce }

    private mutating func maybe<T>(_ value: (inout Self) -> T) -> T? { chance(30) ? value(&self) : nil }

    mutating func properties(_ set: PropertySet, from peer: Peer) -> Properties {
        var properties = Properties()
        for identifier in PropertyIdentifier.allCases where set.mask >> UInt64(identifier.rawValue) & 1 == 1 {
            if chance(30) { give(identifier, &properties) }
        }
        if set == .publish, peer == .client { properties.subscriptionIdentifiers = [] }
        if set == .disconnect, peer == .client { properties.serverReference = nil }
        if set == .disconnect, peer == .server { properties.sessionExpiryInterval = nil }
        if properties.authenticationMethod == nil { properties.authenticationData = nil }
        return properties
    }

    private mutating func give(_ identifier: PropertyIdentifier, _ properties: inout Properties) {
        switch identifier {
        case .payloadFormatIndicator: properties.payloadFormatIndicator = chance(50) ? 1 : 0
        case .messageExpiryInterval: properties.messageExpiryInterval = number(from: 0)
        case .contentType: properties.contentType = text()
        case .responseTopic: properties.responseTopic = name()
        case .correlationData: properties.correlationData = data()
        case .subscriptionIdentifier:
            properties.subscriptionIdentifiers = [UInt32.random(in: 1...268_435_455, using: &self)]
        case .sessionExpiryInterval: properties.sessionExpiryInterval = number(from: 0)
        case .assignedClientIdentifier: properties.assignedClientIdentifier = text()
        case .serverKeepAlive: properties.serverKeepAlive = number(from: 0)
        case .authenticationMethod: properties.authenticationMethod = text()
        case .authenticationData: properties.authenticationData = data()
        case .requestProblemInformation: properties.requestProblemInformation = chance(50)
        case .willDelayInterval: properties.willDelayInterval = number(from: 0)
        case .requestResponseInformation: properties.requestResponseInformation = chance(50)
        case .responseInformation: properties.responseInformation = text()
        case .serverReference: properties.serverReference = text()
        case .reasonString: properties.reasonString = text()
        case .receiveMaximum: properties.receiveMaximum = number(from: 1)
        case .topicAliasMaximum: properties.topicAliasMaximum = number(from: 0)
        case .topicAlias: properties.topicAlias = number(from: 1)
        case .maximumQoS: properties.maximumQoS = chance(50) ? 1 : 0
        case .retainAvailable: properties.retainAvailable = chance(50)
        case .userProperty:
            properties.userProperties = (0...Int.random(in: 0...3, using: &self)).map { _ in
                user(text(), text())
            }
        case .maximumPacketSize: properties.maximumPacketSize = number(from: 1)
        case .wildcardSubscriptionAvailable: properties.wildcardSubscriptionAvailable = chance(50)
        case .subscriptionIdentifiersAvailable: properties.subscriptionIdentifiersAvailable = chance(50)
        case .sharedSubscriptionAvailable: properties.sharedSubscriptionAvailable = chance(50)
        }
    }

    mutating func publish(from peer: Peer) -> PublishPacket {
        let qos = qos()
        var packet = PublishPacket(
            topic: name(), payload: data(), qos: qos, isDuplicate: qos != .atMostOnce && chance(50),
            isRetained: chance(50), packetIdentifier: qos == .atMostOnce ? 0 : number(from: 1),
            properties: properties(.publish, from: peer))
        if packet.properties.topicAlias != nil, chance(50) { packet.topic = "" }
        return packet
    }

    private mutating func will() -> WillMessage {
        var will = WillMessage(
            topic: name(), payload: data(), qos: qos(), retain: chance(50), properties: properties(.will, from: .client)
        )
        if will.properties.payloadFormatIndicator == 1 { will.payload = Array(text().utf8) }
        return will
    }

    private mutating func connect() -> ConnectPacket {
        ConnectPacket(
            version: .v5, clientID: text(), cleanStart: chance(50), keepAlive: number(from: 0),
            username: maybe { $0.text() }, password: maybe { $0.data() }, will: maybe { $0.will() },
            properties: properties(.connect, from: .client))
    }

    private mutating func ack(_ type: PacketType) -> AckPacket {
        AckPacket(
            packetIdentifier: number(from: 1), reason: code(type, .client),
            properties: properties(.acknowledgement, from: .client))
    }

    private mutating func code(_ type: PacketType, _ peer: Peer) -> ReasonCode {
        ReasonCode.codes(of: type, from: peer).randomElement(using: &self) ?? .success
    }

    private mutating func filter() -> String {
        ["a/+", "#", "$share/g/x/#", "é", "/"].randomElement(using: &self) ?? "a"
    }

    private mutating func request() -> SubscribePacket.Entry {
        let filter = filter()
        return entry(
            filter,
            SubscriptionOptions(
                qos: qos(), noLocal: !filter.hasPrefix("$share/") && chance(50), retainAsPublished: chance(50),
                retainHandling: RetainHandling(rawValue: UInt8.random(in: 0...2, using: &self)) ?? .never))
    }

    /// A valid 5.0 packet, and who sends it.
    mutating func packet() -> (Packet, Peer) {
        let type = PacketType.allCases.randomElement(using: &self) ?? .publish
        let peer = type.senders.randomElement(using: &self) ?? .client
        return (packet(type, peer), peer)
    }

    private mutating func packet(_ type: PacketType, _ peer: Peer) -> Packet {
        let count = Int.random(in: 1...4, using: &self)
        switch type {
        case .connect: return .connect(connect())
        case .connack:
            let code = code(.connack, .server)
            return .connack(
                ConnackPacket(
                    sessionPresent: code == .success && chance(50), reason: code,
                    properties: properties(.connack, from: .server)))
        case .publish: return .publish(publish(from: peer))
        case .puback: return .puback(ack(type))
        case .pubrec: return .pubrec(ack(type))
        case .pubrel: return .pubrel(ack(type))
        case .pubcomp: return .pubcomp(ack(type))
        case .subscribe:
            return .subscribe(
                SubscribePacket(
                    packetIdentifier: number(from: 1), subscriptions: (0..<count).map { _ in request() },
                    properties: properties(.subscribe, from: .client)))
        case .suback:
            return .suback(
                SubackPacket(
                    packetIdentifier: number(from: 1), reasons: (0..<count).map { _ in code(.suback, .server) },
                    properties: properties(.suback, from: .server)))
        case .unsubscribe:
            return .unsubscribe(
                UnsubscribePacket(
                    packetIdentifier: number(from: 1), filters: (0..<count).map { _ in filter() },
                    properties: properties(.unsubscribe, from: .client)))
        case .unsuback:
            return .unsuback(
                UnsubackPacket(
                    packetIdentifier: number(from: 1), reasons: (0..<count).map { _ in code(.unsuback, .server) },
                    properties: properties(.unsuback, from: .server)))
        case .pingreq: return .pingreq
        case .pingresp: return .pingresp
        case .disconnect:
            return .disconnect(
                DisconnectPacket(reason: code(.disconnect, peer), properties: properties(.disconnect, from: peer)))
        case .auth:
            var properties = properties(.auth, from: peer)
            properties.authenticationMethod = properties.authenticationMethod ?? "m"
            return .auth(AuthPacket(reason: code(.auth, peer), properties: properties))
        }
    }
}
