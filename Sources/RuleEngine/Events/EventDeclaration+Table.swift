// One entry an event. [EMQX rule-sql: events and columns]
extension EventDeclaration {
    /// All events, in the order of the reference page.
    package static let all: [EventDeclaration] = messages + clients + access + sessions + alarms

    // MARK: Messages

    private static let identity = EventColumn("id", .text, "The message's identity: 32 hexadecimal digits.")
    private static let attributes = EventColumn("client_attrs", .object, "The client's attributes; always empty.")

    private static let content = [
        EventColumn("payload", .text, "The payload, as it came."),
        EventColumn("topic", .text, "The topic."),
        EventColumn("flags", .object, "`retain` and `dup`; `sys` with the broker's own messages on `$SYS/…`."),
        EventColumn(
            "pub_props", .object,
            "The PUBLISH's properties by their MQTT names, `User-Property` always among them."),
        EventColumn("publish_received_at", .integer, "When the broker got the message (ms)."),
    ]

    private static let published =
        [
            identity, EventColumn("clientid", .text, "Who published."),
            EventColumn("username", .text, optional: true, "The publisher's user name."),
            EventColumn("peerhost", .text, optional: true, "The publisher's address."),
            EventColumn("peername", .text, optional: true, "The publisher's address and port."),
            EventColumn("qos", .integer, "The QoS at which it was published."),
        ] + content

    private static let delivered =
        [
            identity, EventColumn("from_clientid", .text, optional: true, "Who published."),
            EventColumn("from_username", .text, optional: true, "The publisher's user name."),
            EventColumn("clientid", .text, "The receiver."),
            EventColumn("username", .text, optional: true, "The receiver's user name."),
            EventColumn("peerhost", .text, "The receiver's address."),
            EventColumn("peername", .text, "The receiver's address and port."),
            EventColumn("qos", .integer, "The QoS of the delivery."),
        ] + content

    private static let messages = [
        EventDeclaration(
            .messagePublish, [], "A message was published: by a client, as a will, or by a rule.",
            published + [attributes]),
        EventDeclaration(
            .messageDelivered, ["$events/message_delivered", "$events/message/delivered"],
            "A message was sent to a subscriber; once for each subscriber, and again when it is sent again.", delivered),
        EventDeclaration(
            .messageAcked, ["$events/message_acked", "$events/message/acked"],
            "A subscriber acknowledged a message: by PUBACK (QoS 1) or PUBREC (QoS 2).",
            delivered + [EventColumn("puback_props", .object, "The acknowledgement's properties.")]),
        EventDeclaration(
            .messageDropped, ["$events/message_dropped", "$events/message/dropped"],
            "A message that was published went to nobody.",
            words: [("reason", ["no_subscribers", "receive_maximum_exceeded"])],
            published + [EventColumn("reason", .word, "Why.")]),
        EventDeclaration(
            .deliveryDropped,
            ["$events/delivery_dropped", "$events/message/delivery_dropped", "$events/delivery/dropped"],
            "A message did not reach one of its subscribers.",
            words: [("reason", ["queue_full", "no_local", "expired", "qos0_msg", "too_large"])],
            delivered + [EventColumn("reason", .word, "Why.")]),
    ]

    // MARK: Clients

    private static let client = [
        EventColumn("clientid", .text, "The client."),
        EventColumn("username", .text, optional: true, "The client's user name."),
        EventColumn("peername", .text, "The client's address and port."),
    ]

    private static let connection =
        client + [
            EventColumn("sockname", .text, "The broker's address and port."),
            EventColumn("proto_name", .text, "`MQTT`, or `MQIsdp` with 3.1."),
            EventColumn("proto_ver", .integer, "3, 4 (MQTT 3.1.1) or 5."),
        ]

    private static let agreed = [
        EventColumn("keepalive", .integer, "The keep alive, in seconds."),
        EventColumn("clean_start", .boolean, "Clean Start; Clean Session before 5.0."),
        EventColumn("expiry_interval", .integer, "The session's expiry interval, in seconds."),
        EventColumn("conn_props", .object, "The CONNECT's properties."),
    ]

    private static let connectedAt = EventColumn("connected_at", .integer, "When the client connected (ms).")

    private static let clients = [
        EventDeclaration(
            .clientConnected, ["$events/client_connected", "$events/client/connected"], "A client has connected.",
            connection + agreed + [
                EventColumn("mountpoint", .text, optional: true, "The listener's topic prefix; never there."),
                EventColumn("receive_maximum", .integer, "How many messages may be in flight to the client."),
                EventColumn("is_bridge", .boolean, "Whether it is a bridge; always false."), connectedAt, attributes,
            ]),
        EventDeclaration(
            .clientDisconnected, ["$events/client_disconnected", "$events/client/disconnected"],
            "A client's connection has ended.",
            words: [
                (
                    "reason",
                    [
                        "normal", "disconnect_with_will_message", "kicked", "discarded", "takenover",
                        "keepalive_timeout", "tcp_closed", "server_shutdown", "protocol_error", "internal_error",
                    ]
                )
            ],
            connection + [
                EventColumn("reason", .word, "Why; for a malformed or too large packet `internal_error`."),
                EventColumn("disconn_props", .object, "The DISCONNECT's properties."),
                EventColumn("disconnected_at", .integer, "When the connection ended (ms)."), connectedAt, attributes,
            ]),
        EventDeclaration(
            .clientConnack, ["$events/client_connack", "$events/client/connack"],
            "The broker answered a CONNECT, be it with success or not.",
            words: [("reason_code", ["success", "client_identifier_not_valid", "bad_authentication_method"])],
            connection + agreed + [
                EventColumn("reason_code", .word, "The name of MQTT 5's reason code, also for older clients."),
                EventColumn("connected_at", .integer, "When the CONNECT came (ms)."),
            ]),
        EventDeclaration(
            .clientPing, ["$events/client/ping"], "A client sent a PINGREQ; one that publishes all the time may never.",
            connection + agreed),
    ]

    // MARK: Authentication and authorization

    private static let access = [
        EventDeclaration(
            .clientCheckAuthnComplete, ["$events/client_check_authn_complete", "$events/auth/check_authn_complete"],
            "It was decided who a client is. There is no authentication yet: every client is anonymous and let in.",
            words: [("reason_code", ["success"])],
            client + [
                EventColumn("reason_code", .text, "`success`, or why not."),
                EventColumn("is_anonymous", .boolean, "Whether nobody asked who it is."),
                EventColumn("is_superuser", .boolean, "Whether it may do everything."), attributes,
            ]),
        EventDeclaration(
            .clientCheckAuthzComplete, ["$events/client_check_authz_complete", "$events/auth/check_authz_complete"],
            "It was decided whether a client may publish or subscribe: for each PUBLISH and each topic filter of a "
                + "SUBSCRIBE. There is no authorization yet: everything is allowed.",
            words: [
                ("action", ["publish", "subscribe"]), ("result", ["allow", "deny"]), ("authz_source", ["default"]),
            ],
            client + [
                EventColumn("peerhost", .text, "The client's address."),
                EventColumn("topic", .text, "The topic, or the topic filter without `$share/…`."),
                EventColumn("action", .word, "What it wanted to do."),
                EventColumn("authz_source", .word, "Who decided; `default` where nobody had an opinion."),
                EventColumn("result", .word, "What was decided."), attributes,
            ]),
    ]

    // MARK: Sessions

    private static let subscription =
        client + [
            EventColumn("peerhost", .text, "The client's address."),
            EventColumn("topic", .text, "The topic filter, with `$share/…` where it is shared."),
            EventColumn("qos", .integer, "The QoS that was granted."), attributes,
        ]

    private static let sessions = [
        EventDeclaration(
            .sessionSubscribed, ["$events/session_subscribed", "$events/session/subscribed"],
            "A client subscribed to a topic filter.",
            subscription + [EventColumn("sub_props", .object, "The SUBSCRIBE's properties.")]),
        EventDeclaration(
            .sessionUnsubscribed, ["$events/session_unsubscribed", "$events/session/unsubscribed"],
            "A client unsubscribed from a topic filter.",
            subscription + [EventColumn("unsub_props", .object, "The UNSUBSCRIBE's properties.")]),
    ]

    // MARK: Alarms

    private static let alarm = [
        EventColumn("name", .text, "The alarm's name."),
        EventColumn("details", .object, "What belongs to the alarm."),
        EventColumn("message", .text, "One sentence for people."),
        EventColumn("activated_at", .integer, "When it was activated (ms)."),
    ]

    private static let alarms = [
        EventDeclaration(.alarmActivated, ["$events/sys/alarm_activated"], "An alarm was activated.", alarm),
        EventDeclaration(
            .alarmDeactivated, ["$events/sys/alarm_deactivated"], "An alarm is over.",
            alarm + [EventColumn("deactivated_at", .integer, "When it was deactivated (ms).")]),
    ]
}
