/// What the peer did that the protocol forbids; ends its connection. [MQTT-4.13.1-1]
public struct ProtocolViolation: Error, Equatable, Sendable {
    /// What a 5.0 peer is told.
    package var reason: ReasonCode
    /// The statement that was broken: `MQTT-3.1.2-3`.
    package var clause: String
    package var message: String
    /// Set when a CONNECT cannot be accepted and a CONNACK in this version may say so.
    package var connackVersion: ProtocolVersion?

    @usableFromInline package init(
        _ reason: ReasonCode, clause: String, _ message: String, connackVersion: ProtocolVersion? = nil
    ) {
        self.reason = reason
        self.clause = clause
        self.message = message
        self.connackVersion = connackVersion
    }

    /// Bytes that are no packet.
    @inline(never)
    @usableFromInline package static func malformed(_ clause: String, _ message: String) -> ProtocolViolation {
        ProtocolViolation(.malformedPacket, clause: clause, message)
    }

    /// A packet that must not come, or not like this.
    @inline(never)
    @usableFromInline package static func error(_ clause: String, _ message: String) -> ProtocolViolation {
        ProtocolViolation(.protocolError, clause: clause, message)
    }
}
