import Buffers
import MQTTCodec
import RuleEngine

/// Events of messages other than their publishing.
extension RuleStage {
    func messageDropped(_ message: MessageView, reason: StaticString) {
        guard let set = eventSets[.messageDropped], !isIgnored(message) else { return }
        evaluateBacklog()
        event.reason = reason
        event.kind = .messageDropped
        event.message = message
        event.receiver = nil
        run(message, set)
    }

    func messageDelivered(_ message: MessageView, as delivery: DeliveryTraits, session: Session) {
        guard let set = eventSets[.messageDelivered], !isIgnored(message) else { return }
        run(set, kind: .messageDelivered, message, delivery, session)
    }

    /// - Parameter properties: the acknowledgement's, encoded.
    func messageAcked(_ message: Message, as delivery: DeliveryTraits, properties: Bytes, session: Session) {
        withExtendedLifetime(message) {
            let view = message.view
            guard let set = eventSets[.messageAcked], !isIgnored(view) else { return }
            event.acknowledgement = properties
            run(set, kind: .messageAcked, view, delivery, session)
        }
    }

    func deliveryDropped(_ message: MessageView, as delivery: DeliveryTraits, session: Session, reason: DropReason) {
        guard let set = eventSets[.deliveryDropped], !isIgnored(message) else { return }
        event.reason = reason.text
        run(set, kind: .deliveryDropped, message, delivery, session)
    }

    private func isIgnored(_ message: MessageView) -> Bool {
        ignoresSystemTopics && message.topic.starts(with: "$SYS/".utf8)
    }

    private func run(
        _ set: RuleSetRunner, kind: EventName, _ message: MessageView, _ delivery: DeliveryTraits, _ session: Session
    ) {
        evaluateBacklog()
        event.kind = kind
        event.message = message
        event.receiver = session.publisher
        event.delivery = delivery
        run(message, set)
    }

    @inline(__always)
    func run(_ message: MessageView, _ set: RuleSetRunner) {
        let client = event.receiver ?? message.publisher
        run(
            set, event: event, message: message, clientID: client?.clientIDValue.bytes ?? Bytes(start: nil, count: 0),
            topic: message.topic)
    }
}
