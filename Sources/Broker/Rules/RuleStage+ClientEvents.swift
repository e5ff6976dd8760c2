import MQTTCodec
import RuleEngine

/// The events of clients and sessions, with the columns that rules know. Cold: nothing is built unless a rule listens.
/// [EMQX rule-sql: events and columns]
extension RuleStage {
    private typealias Columns = [(name: String, value: StoredValue)]

    func clientConnected(_ connection: Connection, packet: ConnectPacket, session: Session) {
        run(.clientConnected, clientID: session.clientID) {
            client(connection, session) + protocolColumns(connection) + [
                ("keepalive", .integer(Int(packet.keepAlive))), ("clean_start", .boolean(packet.cleanStart)),
                ("receive_maximum", .integer(connection.receiveMaximum)),
                ("expiry_interval", .integer(Int(session.expiryInterval))), ("is_bridge", .boolean(false)),
                ("conn_props", stored(packet.properties)), ("connected_at", .integer(Int(connection.connectedAt))),
                ("client_attrs", .object([])),
            ]
        }
    }

    func clientDisconnected(_ connection: Connection, session: Session, reason: String) {
        run(.clientDisconnected, clientID: session.clientID) {
            client(connection, session) + protocolColumns(connection) + [
                ("reason", .atom(Array(reason.utf8))), ("disconn_props", stored(connection.disconnectProperties)),
                ("disconnected_at", .integer(Int(context.nowNanoseconds / 1_000_000))),
                ("connected_at", .integer(Int(connection.connectedAt))), ("client_attrs", .object([])),
            ]
        }
    }

    func sessionSubscribed(
        _ connection: Connection, session: Session, subscription: Subscription, properties: Properties
    ) {
        run(.sessionSubscribed, clientID: session.clientID) {
            client(connection, session) + subscribed(connection, subscription) + [("sub_props", stored(properties))]
        }
    }

    func sessionUnsubscribed(
        _ connection: Connection, session: Session, subscription: Subscription, properties: Properties
    ) {
        run(.sessionUnsubscribed, clientID: session.clientID) {
            client(connection, session) + subscribed(connection, subscription) + [("unsub_props", stored(properties))]
        }
    }

    private func client(_ connection: Connection, _ session: Session) -> Columns {
        var columns: Columns = [
            ("clientid", text(session.clientID)), ("peername", text(connection.endpoints.peerName)),
        ]
        if let username = session.username { columns.append(("username", text(username))) }
        return columns
    }

    private func protocolColumns(_ connection: Connection) -> Columns {
        [
            ("sockname", text(connection.endpoints.localName)), ("proto_name", text(connection.version.protocolName)),
            ("proto_ver", .integer(Int(connection.version.rawValue))),
        ]
    }

    private func subscribed(_ connection: Connection, _ subscription: Subscription) -> Columns {
        [
            ("peerhost", text(connection.endpoints.peerHost)), ("topic", text(subscription.filter)),
            ("qos", .integer(Int(subscription.options.qos))), ("client_attrs", .object([])),
        ]
    }

    private func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }

    private func stored(_ properties: Properties) -> StoredValue {
        // Built in the arena, which the evaluation that follows resets.
        do throws(EvaluationError) {
            return StoredValue(try MessageProperties.value(of: properties, in: context.arena))
        } catch {
            return .object([])
        }
    }
}
