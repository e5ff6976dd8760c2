import Access
import Buffers
import MQTTCodec
import RuleEngine

/// The events of clients, sessions and access control, with the columns that their declarations name. Nothing is built
/// unless a rule listens. [EMQX rule-sql: events and columns]
extension RuleStage {
    private typealias Columns = [(name: String, value: StoredValue)]

    /// Runs the rules that listen to an event of a client or of the node; its columns are made only for them.
    func run(_ kind: EventName, clientID: String, _ columns: () -> [(name: String, value: StoredValue)]) {
        guard let set = eventSets[kind] else { return }
        evaluateBacklog()
        let common: [(name: String, value: StoredValue)] = [
            ("event", .atom(Array(kind.rawValue.utf8))),
            ("timestamp", .integer(Int(context.nowNanoseconds / 1_000_000))),
            ("node", .string(Array(context.node.utf8))),
        ]
        let event = DictionaryEvent(common + columns())
        withBytes(clientID) { clientID in
            run(set, event: event, message: nil, clientID: clientID, topic: Bytes(start: nil, count: 0))
        }
    }

    // MARK: Clients

    func clientConnected(_ connection: Connection, packet: ConnectPacket, session: Session) {
        run(.clientConnected, clientID: session.clientID) {
            client(connection, session.clientID, session.username) + protocolColumns(connection)
                + agreed(packet, keepAlive: packet.keepAlive, expiryInterval: session.expiryInterval) + [
                    ("mountpoint", .undefined), ("receive_maximum", .integer(connection.receiveMaximum)),
                    ("is_bridge", .boolean(false)), connectedAt(connection), noAttributes,
                ]
        }
    }

    func clientDisconnected(_ connection: Connection, session: Session, reason: String) {
        run(.clientDisconnected, clientID: session.clientID) {
            client(connection, session.clientID, session.username) + protocolColumns(connection) + [
                ("reason", word(Self.eventReason(reason))), ("disconn_props", stored(connection.disconnectProperties)),
                ("disconnected_at", .integer(Int(context.nowNanoseconds / 1_000_000))), connectedAt(connection),
                noAttributes,
            ]
        }
    }

    /// What cannot be parsed has no name of its own in EMQX's events.
    private static func eventReason(_ reason: String) -> String {
        reason == ReasonCode.malformedPacket.eventName || reason == ReasonCode.packetTooLarge.eventName
            ? "internal_error" : reason
    }

    /// - Parameter expiryInterval: in seconds; a refused client has no session to ask.
    func clientConnack(_ connection: Connection, packet: ConnectPacket, expiryInterval: UInt32, reason: ReasonCode) {
        run(.clientConnack, clientID: packet.clientID) {
            client(connection, packet.clientID, packet.username) + protocolColumns(connection)
                + agreed(packet, keepAlive: packet.keepAlive, expiryInterval: expiryInterval) + [
                    ("reason_code", word(reason.eventName)), connectedAt(connection),
                ]
        }
    }

    func clientPing(_ connection: Connection, packet: ConnectPacket, session: Session) {
        run(.clientPing, clientID: session.clientID) {
            let keepAlive = connection.shard.settings.serverKeepAlive ?? packet.keepAlive
            return client(connection, session.clientID, session.username) + protocolColumns(connection)
                + agreed(packet, keepAlive: keepAlive, expiryInterval: session.expiryInterval)
        }
    }

    // MARK: Access control

    func authenticationChecked(_ connection: Connection, packet: ConnectPacket, result: AuthenticationResult) {
        run(.clientCheckAuthnComplete, clientID: packet.clientID) {
            client(connection, packet.clientID, packet.username) + [
                ("reason_code", text(result.reason.eventName)), ("is_anonymous", .boolean(result.isAnonymous)),
                ("is_superuser", .boolean(result.isSuperuser)), noAttributes,
            ]
        }
    }

    @inline(never)
    func authorizationChecked(
        _ connection: Connection, session: Session, action: AccessAction, topic: Bytes, result: AccessDecision
    ) {
        run(.clientCheckAuthzComplete, clientID: session.clientID) {
            client(connection, session.clientID, session.username) + [
                ("peerhost", text(connection.endpoints.peerHost)), ("topic", .string(Array(topic))),
                ("action", word(action.rawValue)), ("authz_source", word(result.source.rawValue)),
                ("result", word("\(result.text)")), noAttributes,
            ]
        }
    }

    // MARK: Sessions

    func sessionSubscribed(
        _ connection: Connection, session: Session, subscription: Subscription, properties: Properties
    ) {
        run(.sessionSubscribed, clientID: session.clientID) {
            subscribed(connection, session, subscription) + [("sub_props", stored(properties))]
        }
    }

    func sessionUnsubscribed(
        _ connection: Connection, session: Session, subscription: Subscription, properties: Properties
    ) {
        run(.sessionUnsubscribed, clientID: session.clientID) {
            subscribed(connection, session, subscription) + [("unsub_props", stored(properties))]
        }
    }

    // MARK: Columns that several have

    private func client(_ connection: Connection, _ clientID: String, _ username: String?) -> Columns {
        [
            ("clientid", text(clientID)), ("username", username.map { text($0) } ?? .undefined),
            ("peername", text(connection.endpoints.peerName)),
        ]
    }

    private func protocolColumns(_ connection: Connection) -> Columns {
        [
            ("sockname", text(connection.endpoints.localName)), ("proto_name", text(connection.version.protocolName)),
            ("proto_ver", .integer(Int(connection.version.rawValue))),
        ]
    }

    private func agreed(_ packet: ConnectPacket, keepAlive: UInt16, expiryInterval: UInt32) -> Columns {
        [
            ("keepalive", .integer(Int(keepAlive))), ("clean_start", .boolean(packet.cleanStart)),
            ("expiry_interval", .integer(Int(expiryInterval))), ("conn_props", stored(packet.properties)),
        ]
    }

    private func subscribed(_ connection: Connection, _ session: Session, _ subscription: Subscription) -> Columns {
        client(connection, session.clientID, session.username) + [
            ("peerhost", text(connection.endpoints.peerHost)), ("topic", text(subscription.filter)),
            ("qos", .integer(Int(subscription.options.qos))), noAttributes,
        ]
    }

    private func connectedAt(_ connection: Connection) -> (name: String, value: StoredValue) {
        ("connected_at", .integer(Int(connection.connectedAt)))
    }

    private var noAttributes: (name: String, value: StoredValue) { ("client_attrs", .object([])) }

    private func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }
    private func word(_ text: String) -> StoredValue { .atom(Array(text.utf8)) }

    private func stored(_ properties: Properties) -> StoredValue {
        // Built in the arena, which the evaluation that follows resets.
        do throws(EvaluationError) {
            return StoredValue(try MessageProperties.value(of: properties, in: context.arena))
        } catch {
            return .object([])
        }
    }
}
