/// The events that a rule can listen to. [EMQX rule-sql: events and columns]
package enum EventName: String, Sendable, CaseIterable {
    case messagePublish = "message.publish"
    case messageDelivered = "message.delivered"
    case messageAcked = "message.acked"
    case messageDropped = "message.dropped"
    case deliveryDropped = "delivery.dropped"
    case clientConnected = "client.connected"
    case clientDisconnected = "client.disconnected"
    case clientConnack = "client.connack"
    case clientCheckAuthzComplete = "client.check_authz_complete"
    case clientCheckAuthnComplete = "client.check_authn_complete"
    case sessionSubscribed = "session.subscribed"
    case sessionUnsubscribed = "session.unsubscribed"
    case alarmActivated = "alarm.activated"
    case alarmDeactivated = "alarm.deactivated"
    case schemaValidationFailed = "schema.validation_failed"
    case messageTransformationFailed = "message.transformation_failed"
}

extension EventName {
    /// What FROM writes for this event, the usual spelling first; none for a publish, which is any topic filter.
    package var topics: [String] {
        switch self {
        case .messagePublish: []
        case .messageDelivered: ["$events/message_delivered", "$events/message/delivered"]
        case .messageAcked: ["$events/message_acked", "$events/message/acked"]
        case .messageDropped: ["$events/message_dropped", "$events/message/dropped"]
        case .deliveryDropped:
            ["$events/delivery_dropped", "$events/message/delivery_dropped", "$events/delivery/dropped"]
        case .clientConnected: ["$events/client_connected", "$events/client/connected"]
        case .clientDisconnected: ["$events/client_disconnected", "$events/client/disconnected"]
        case .clientConnack: ["$events/client_connack", "$events/client/connack"]
        case .clientCheckAuthzComplete:
            ["$events/client_check_authz_complete", "$events/auth/check_authz_complete"]
        case .clientCheckAuthnComplete:
            ["$events/client_check_authn_complete", "$events/auth/check_authn_complete"]
        case .sessionSubscribed: ["$events/session_subscribed", "$events/session/subscribed"]
        case .sessionUnsubscribed: ["$events/session_unsubscribed", "$events/session/unsubscribed"]
        case .alarmActivated: ["$events/sys/alarm_activated"]
        case .alarmDeactivated: ["$events/sys/alarm_deactivated"]
        case .schemaValidationFailed: ["$events/schema_validation_failed", "$events/schema/validation_failed"]
        case .messageTransformationFailed:
            ["$events/message_transformation_failed", "$events/message/transformation_failed"]
        }
    }

    package static func named(topic: String) -> EventName? { byTopic[topic] }

    static let byTopic: [String: EventName] = {
        var table: [String: EventName] = [:]
        for event in allCases {
            for topic in event.topics { table[topic] = event }
        }
        return table
    }()

    /// The event's columns, those that every event has at the front.
    package var columns: [String] { ["event", "timestamp", "node"] + ownColumns }

    private var ownColumns: [String] {
        let message = [
            "id", "clientid", "username", "payload", "peerhost", "peername", "topic", "qos", "flags", "pub_props",
        ]
        let published = message + ["publish_received_at"]
        let delivered = ["from_clientid", "from_username"] + published
        let client = ["clientid", "username", "peername", "sockname", "proto_name", "proto_ver"]
        let session = ["clientid", "username", "peerhost", "peername", "topic", "qos", "client_attrs"]
        let alarm = ["name", "details", "message", "activated_at"]
        return switch self {
        case .messagePublish: published + ["client_attrs"]
        case .messageDelivered: delivered
        case .messageAcked: delivered + ["puback_props"]
        case .messageDropped: published + ["reason"]
        case .deliveryDropped: delivered + ["reason"]
        case .clientConnected:
            client + [
                "mountpoint", "keepalive", "clean_start", "receive_maximum", "expiry_interval", "is_bridge",
                "conn_props", "connected_at", "client_attrs",
            ]
        case .clientDisconnected:
            client + ["reason", "disconn_props", "disconnected_at", "connected_at", "client_attrs"]
        case .clientConnack:
            client + ["reason_code", "clean_start", "keepalive", "expiry_interval", "conn_props", "connected_at"]
        case .clientCheckAuthzComplete:
            [
                "clientid", "username", "peername", "peerhost", "topic", "action", "authz_source", "result",
                "client_attrs",
            ]
        case .clientCheckAuthnComplete:
            ["clientid", "username", "peername", "reason_code", "is_anonymous", "is_superuser", "client_attrs"]
        case .sessionSubscribed: session + ["sub_props"]
        case .sessionUnsubscribed: session + ["unsub_props"]
        case .alarmActivated: alarm
        case .alarmDeactivated: alarm + ["deactivated_at"]
        case .schemaValidationFailed: published + ["client_attrs", "validation"]
        case .messageTransformationFailed: published + ["client_attrs", "transformation"]
        }
    }
}
