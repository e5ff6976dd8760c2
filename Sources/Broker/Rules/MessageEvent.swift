import Buffers
import MQTTCodec
import RuleEngine

/// The columns of the message events, read from the message in place. One object for each shard, filled for each event.
/// [EMQX rule-sql: events and columns]
final class MessageEvent: EventColumns {
    var kind = EventName.messagePublish
    var message: MessageView
    /// Delivered, acknowledged, not delivered: to whom, and as what.
    var receiver: Publisher?
    var delivery = DeliveryTraits(qos: 0, isRetained: false)
    var reason: StaticString = ""
    /// Of the acknowledgement, encoded.
    var acknowledgement = Bytes(start: nil, count: 0)

    init() {
        let none = Bytes(start: nil, count: 0)
        message = MessageView(
            topic: none, properties: none, payload: none,
            traits: MessageTraits(receivedAt: 0, publisherID: 0, qos: 0, isRetained: false),
            id: MessageID(high: 0, low: 0),
            publisher: nil)
    }

    private static let columns: [EventName: [Column]] = Dictionary(
        uniqueKeysWithValues: EventName.allCases.map { ($0, $0.columns.map { Column($0) } + [.metadata]) })
    private static let publishColumns = EventName.messagePublish.columns.map { Column($0) }

    var present: [Column] {
        kind == .messagePublish ? Self.publishColumns : Self.columns[kind] ?? Self.publishColumns
    }

    func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        switch column {
        case .payload: return .string(message.payload)
        case .topic: return .string(message.topic)
        case .clientid: return client?.clientIDValue ?? .undefined
        case .qos:
            return .integer(Int(receiver == nil ? message.traits.qos : delivery.qos))
        case .username: return client?.usernameValue ?? .undefined
        case .timestamp: return .integer(Int(context.nowNanoseconds / 1_000_000))
        case .publishReceivedAt: return .integer(Int(message.traits.receivedAt))
        case .event: return eventName
        case .node: return try context.arena.string(context.node)
        case .id: return try message.id.value(in: context.arena)
        case .peerhost: return client?.peerHostValue ?? .undefined
        case .peername: return client?.peerNameValue ?? .undefined
        case .flags: return try flags(context.arena)
        case .pubProps: return try publishProperties(context)
        case .clientAttrs: return kind == .messagePublish ? .emptyObject : .undefined
        default: return try otherValue(of: column, context.arena)
        }
    }

    private func otherValue(of column: Column, _ arena: Arena) throws(EvaluationError) -> Value {
        switch column {
        case Self.fromClientID: receiver == nil ? .undefined : message.publisher?.clientIDValue ?? .undefined
        case Self.fromUsername: receiver == nil ? .undefined : message.publisher?.usernameValue ?? .undefined
        case Self.reasonColumn: kind == .messageDropped || kind == .deliveryDropped ? .atom(reason) : .undefined
        case Self.pubackProps:
            kind == .messageAcked
                ? try MessageProperties.value(of: acknowledgement, set: .acknowledgement, from: .client, in: arena)
                : .undefined
        default: .undefined
        }
    }

    private static let fromClientID = Column("from_clientid")
    private static let fromUsername = Column("from_username")
    private static let reasonColumn = Column("reason")
    private static let pubackProps = Column("puback_props")

    /// Whom `clientid` names: the receiver where there is one, the publisher otherwise.
    private var client: Publisher? { receiver ?? message.publisher }

    private var eventName: Value {
        switch kind {
        case .messageDelivered: .atom("message.delivered")
        case .messageAcked: .atom("message.acked")
        case .messageDropped: .atom("message.dropped")
        case .deliveryDropped: .atom("delivery.dropped")
        default: .atom("message.publish")
        }
    }

    private func flags(_ arena: Arena) throws(EvaluationError) -> Value {
        let isRetained = receiver == nil ? message.traits.isRetained : delivery.isRetained
        let isSystem = message.publisher == nil && message.topic.starts(with: "$SYS/".utf8)
        let members = try arena.allocate(Member.self, count: isSystem ? 3 : 2)
        members[0] = Member(key: Value.string("dup").bytes, value: .boolean(message.traits.isDuplicate))
        members[1] = Member(key: Value.string("retain").bytes, value: .boolean(isRetained))
        if isSystem { members[2] = Member(key: Value.string("sys").bytes, value: .true) }
        return .object(UnsafeBufferPointer(members))
    }

    /// As published, the expiry interval included; what is delivered shows what is left of it and its subscription.
    private func publishProperties(_ context: EvaluationContext) throws(EvaluationError) -> Value {
        let traits = message.traits
        let identifier = receiver == nil ? 0 : delivery.identifier
        guard message.properties.count > 0 || traits.hasExpiry || identifier != 0 else { return MessageProperties.none }
        var properties = try MessageProperties.decode(message.properties, set: .publish, from: .server)
        if traits.hasExpiry {
            properties.messageExpiryInterval =
                kind == .messageDelivered
                ? traits.remainingExpiry(now: context.nowNanoseconds / 1_000_000)
                : UInt32(clamping: max(0, (traits.expiresAt - traits.receivedAt) / 1000))
        }
        if identifier != 0 { properties.subscriptionIdentifiers = [identifier] }
        return try MessageProperties.value(of: properties, in: context.arena)
    }
}

/// How a message goes to one of its receivers.
struct DeliveryTraits {
    var qos: UInt8
    var isRetained: Bool
    /// Of the subscription; 0 for none.
    var identifier: UInt32 = 0
}

extension MessageID {
    /// 32 upper-case hex digits.
    func value(in arena: Arena) throws(EvaluationError) -> Value {
        let text = try arena.allocate(byteCount: 32, alignment: 8)
        HexText.store(high, at: text)
        HexText.store(low, at: text + 16)
        return .string(Bytes(start: text, count: 32))
    }
}

/// MQTT 5 properties as rules see them: by their MQTT names, `User-Property` always there. [EMQX rule-sql: *_props]
enum MessageProperties {
    /// No property at all: `{"User-Property": {}}`.
    static let none: Value = {
        let member = UnsafeMutablePointer<Member>.allocate(capacity: 1)  // one for the process
        member.initialize(to: Member(key: Value.string("User-Property").bytes, value: .emptyObject))
        return .object(UnsafeBufferPointer(start: member, count: 1))
    }()

    static func value(
        of encoded: Bytes, set: PropertySet, from peer: Peer, in arena: Arena
    ) throws(EvaluationError) -> Value {
        guard encoded.count > 0 else { return none }
        return try value(of: decode(encoded, set: set, from: peer), in: arena)
    }

    /// - Throws: when they are damaged, which the codec's acceptance rules out; the rule's evaluation fails then, counted.
    static func decode(_ encoded: Bytes, set: PropertySet, from peer: Peer) throws(EvaluationError) -> Properties {
        guard encoded.count > 0 else { return Properties() }
        do throws(ProtocolViolation) { return try Properties.decode(encoded, set: set, from: peer) } catch {
            throw .badArgument(function: "properties", reason: "the packet's properties are damaged: \(error.message)")
        }
    }

    static func value(of properties: Properties, in arena: Arena) throws(EvaluationError) -> Value {
        var members: [Member] = []
        if let value = properties.payloadFormatIndicator {
            members.append(try member("Payload-Format-Indicator", .integer(Int(value)), arena))
        }
        if let value = properties.messageExpiryInterval {
            members.append(try member("Message-Expiry-Interval", .integer(Int(value)), arena))
        }
        if let value = properties.contentType { members.append(try member("Content-Type", arena.string(value), arena)) }
        if let value = properties.responseTopic {
            members.append(try member("Response-Topic", arena.string(value), arena))
        }
        if let value = properties.correlationData {
            let copy = try arena.bytes(count: value.count)
            copy.copyBytes(from: value)
            members.append(try member("Correlation-Data", .string(Bytes(copy)), arena))
        }
        if let value = properties.sessionExpiryInterval {
            members.append(try member("Session-Expiry-Interval", .integer(Int(value)), arena))
        }
        if let value = properties.receiveMaximum {
            members.append(try member("Receive-Maximum", .integer(Int(value)), arena))
        }
        if let value = properties.maximumPacketSize {
            members.append(try member("Maximum-Packet-Size", .integer(Int(value)), arena))
        }
        if let value = properties.topicAliasMaximum {
            members.append(try member("Topic-Alias-Maximum", .integer(Int(value)), arena))
        }
        if let value = properties.subscriptionIdentifiers.first {
            members.append(try member("Subscription-Identifier", .integer(Int(value)), arena))
        }
        if let value = properties.reasonString {
            members.append(try member("Reason-String", arena.string(value), arena))
        }
        if let value = properties.requestResponseInformation {
            members.append(try member("Request-Response-Information", .integer(value ? 1 : 0), arena))
        }
        if let value = properties.requestProblemInformation {
            members.append(try member("Request-Problem-Information", .integer(value ? 1 : 0), arena))
        }
        if let value = properties.authenticationMethod {
            members.append(try member("Authentication-Method", arena.string(value), arena))
        }
        try appendUserProperties(properties, to: &members, arena)
        return try arena.object(members)
    }

    private static func appendUserProperties(
        _ properties: Properties, to members: inout [Member], _ arena: Arena
    ) throws(EvaluationError) {
        var map: [Member] = []
        var pairs: [Value] = []
        for property in properties.userProperties {
            let name = try arena.string(property.name)
            let value = try arena.string(property.value)
            map.append(Member(key: name.bytes, value: value))
            pairs.append(try arena.object([try member("key", name, arena), try member("value", value, arena)]))
        }
        members.append(try member("User-Property", arena.object(map), arena))
        if !pairs.isEmpty { members.append(try member("User-Property-Pairs", arena.array(pairs), arena)) }
    }

    private static func member(_ key: StaticString, _ value: Value, _ arena: Arena) throws(EvaluationError) -> Member {
        Member(key: Value.string(key).bytes, value: value)
    }
}
