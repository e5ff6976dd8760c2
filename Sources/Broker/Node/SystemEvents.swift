import Buffers
import MQTTCodec
import RuleEngine

/// Clients that come and go, on `$SYS/brokers/<node>/clients/<clientid>/…`, as JSON with EMQX's members. Built only while
/// somebody subscribes to `$SYS`. [EMQX: $SYS]
extension Connection {
    private typealias Members = [(name: String, value: StoredValue)]

    func tellConnected(_ packet: ConnectPacket, session: Session) {
        guard shard.settings.topics.events.connected, shard.hasSystemReaders else { return }
        tell(
            "connected", session,
            endpointMembers + [
                ("connected_at", .integer(Int(connectedAt))), ("keepalive", .integer(Int(packet.keepAlive))),
                ("clean_start", .boolean(packet.cleanStart)),
                ("expiry_interval", .integer(Int(session.expiryInterval))),
            ])
    }

    func tellDisconnected(_ session: Session, reason: String) {
        guard shard.settings.topics.events.disconnected, shard.hasSystemReaders else { return }
        tell(
            "disconnected", session,
            endpointMembers + [("reason", text(reason)), ("disconnected_at", .integer(Int(shard.wall)))])
    }

    func tellSubscribed(_ subscription: Subscription, session: Session) {
        guard shard.settings.topics.events.subscribed, shard.hasSystemReaders else { return }
        let options = subscription.options
        tell(
            "subscribed", session,
            [
                ("topic", text(subscription.filter)),
                (
                    "subopts",
                    object([
                        ("qos", .integer(Int(options.qos))), ("nl", .integer(options.noLocal ? 1 : 0)),
                        ("rap", .integer(options.retainAsPublished ? 1 : 0)),
                        ("rh", .integer(Int(options.retainHandling))),
                    ])
                ),
            ])
    }

    func tellUnsubscribed(_ subscription: Subscription, session: Session) {
        guard shard.settings.topics.events.unsubscribed, shard.hasSystemReaders else { return }
        tell("unsubscribed", session, [("topic", text(subscription.filter))])
    }

    private var endpointMembers: Members {
        let port = endpoints.localName.split(separator: ":").last.flatMap { Int($0) } ?? 0
        return [
            ("ipaddress", text(endpoints.peerHost)), ("sockport", .integer(port)),
            ("proto_name", text(version.protocolName)), ("proto_ver", .integer(Int(version.rawValue))),
        ]
    }

    private func tell(_ event: String, _ session: Session, _ members: Members) {
        // A client identifier that would be several levels, or a wildcard, has no topic of its own.
        guard TopicPlaceholders.isLiteral(session.clientID) else { return }
        let common: Members = [
            ("clientid", text(session.clientID)), ("username", text(session.username ?? "undefined")),
            ("protocol", text("mqtt")), ("ts", .integer(Int(shard.wall))),
        ]
        shard.publishSystem(
            "$SYS/brokers/\(shard.node.name)/clients/\(session.clientID)/\(event)", object(common + members))
    }

    private func object(_ members: Members) -> StoredValue {
        .object(
            members.map { StoredMember(key: Array($0.name.utf8), value: $0.value) }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) })
    }

    private func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }
}

extension Shard {
    /// Whether anybody, client or rule, can get `$SYS` messages.
    var hasSystemReaders: Bool { router.systemReaders.load(ordering: .relaxed) > 0 || !rules.ignoresSystemTopics }

    func publishSystem(_ topic: String, _ value: StoredValue) {
        let payload = OutputBuffer()
        do throws(EvaluationError) {
            let arena = rules.context.arena
            arena.reset()
            try JSON.append(value.value(in: arena), to: payload)
        } catch {
            logger.error("A system message is too large to be published.", metadata: ["mqtt.topic": "\(topic)"])
            return
        }
        withBytes(topic) { topic in
            // Follows what is being done now, as the messages of rules do.
            republished.append(
                Message.make(
                    copying: MessageView(
                        topic: topic, properties: Bytes(start: nil, count: 0), payload: payload.bytes,
                        traits: MessageTraits(receivedAt: wall, publisherID: 0, qos: 0, isRetained: false),
                        id: nextMessageID(), publisher: nil)))
        }
    }
}
