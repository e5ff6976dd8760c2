/// The events that a rule can listen to. What each is and has stands in its ``EventDeclaration``.
/// [EMQX rule-sql: events and columns]
package enum EventName: String, Sendable, CaseIterable {
    case messagePublish = "message.publish"
    case messageDelivered = "message.delivered"
    case messageAcked = "message.acked"
    case messageDropped = "message.dropped"
    case deliveryDropped = "delivery.dropped"
    case clientConnected = "client.connected"
    case clientDisconnected = "client.disconnected"
    case clientConnack = "client.connack"
    case clientPing = "client.ping"
    case clientCheckAuthnComplete = "client.check_authn_complete"
    case clientCheckAuthzComplete = "client.check_authz_complete"
    case sessionSubscribed = "session.subscribed"
    case sessionUnsubscribed = "session.unsubscribed"
    case alarmActivated = "alarm.activated"
    case alarmDeactivated = "alarm.deactivated"
}

extension EventName {
    package var declaration: EventDeclaration { EventDeclaration.of(self) }

    /// What FROM writes for this event, the usual spelling first; none for a publish, which is any topic filter.
    package var topics: [String] { declaration.topics }

    /// The names of the event's columns, those that every event has at the front.
    package var columns: [String] { declaration.columnNames }

    package static func named(topic: String) -> EventName? { byTopic[topic] }

    static let byTopic: [String: EventName] = {
        var table: [String: EventName] = [:]
        for event in allCases {
            for topic in event.topics { table[topic] = event }
        }
        return table
    }()

    /// The events with a spelling that the filter takes.
    static func matching(filter: String) -> [EventName] {
        allCases.filter { $0.topics.contains { RuleTopic.matches(filter: filter, topic: $0) } }
    }
}

/// Events of EMQX that come from features which do not exist here: known by name, so that the answer says why.
enum AbsentEvent: CaseIterable {
    case schemaValidationFailed
    case messageTransformationFailed

    var topics: [String] {
        switch self {
        case .schemaValidationFailed:
            ["$events/schema_validation_failed", "$events/schema_validation/failed"]
        case .messageTransformationFailed:
            ["$events/message_transformation_failed", "$events/message_transformation/failed"]
        }
    }

    var feature: String {
        switch self {
        case .schemaValidationFailed: "schema validation"
        case .messageTransformationFailed: "message transformation"
        }
    }

    static func matching(filter: String) -> AbsentEvent? {
        allCases.first { $0.topics.contains { RuleTopic.matches(filter: filter, topic: $0) } }
    }
}
