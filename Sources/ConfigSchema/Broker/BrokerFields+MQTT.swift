extension BrokerFields {
    /// [EMQX configuration: mqtt]
    enum MQTT {
        static let idleTimeout = Field(
            "idle_timeout", .durationOrInfinity, default: .at(.seconds(10)), doc: "From the connection to its CONNECT.")
        static let packetSize = Field(
            "max_packet_size", .byteSize(ByteSize(bytes: 64)...(.megabytes(256))), default: .megabytes(1),
            doc: "Larger packets are refused from their header. [MQTT-3.2.2-15]")
        static let clientIDLength = Field(
            "max_clientid_len", .int(23...65535), default: 65535, doc: "In bytes. [MQTT-3.1.3-5]")
        static let topicLevels = Field(
            "max_topic_levels", .int(1...1024), default: 128, doc: "Levels of a topic name or filter.")
        static let topicAlias = Field(
            "max_topic_alias", .int(0...65535), default: 65535,
            doc: "Aliases a client may use; 0 also stops the broker from using them.")
        static let qos = Field("max_qos_allowed", .int(0...2), default: 2, doc: "Maximum QoS.")
        static let retain = Field("retain_available", .bool, default: true, doc: "Whether clients may retain.")
        static let wildcard = Field(
            "wildcard_subscription", .bool, default: true, doc: "Whether filters may have wildcards.")
        static let shared = Field("shared_subscription", .bool, default: true, doc: "Whether `$share` is there.")
        static let exclusive = Field(
            "exclusive_subscription", .bool, default: false, doc: "Whether `$exclusive` is there.")
        static let strategy = Field(
            "shared_subscription_strategy", FieldType<MQTTSettings.SharedStrategy>.choice, default: .roundRobin,
            doc: "Who of a group gets a message.")
        static let ignoreLoop = Field(
            "ignore_loop_deliver", .bool, default: false, doc: "No Local for 3.1.1 clients.")
        static let sessionExpiry = Field(
            "session_expiry_interval", .duration, default: .seconds(7200),
            doc: "For 3.1.1 clients with clean_session=0.")
        static let messageExpiry = Field(
            "message_expiry_interval", .durationOrInfinity, default: .infinity, doc: "For messages that bring none.")
        static let inflight = Field(
            "max_inflight", .int(1...65535), default: 128,
            doc: "QoS 1 and 2 messages under way to a client that lets so many be.")
        static let awaitingRel = Field(
            "max_awaiting_rel", .intOrInfinity(1...Int.max), default: .at(100),
            doc: "QoS 2 messages of a client that wait for PUBREL.")
        static let awaitRelTimeout = Field(
            "await_rel_timeout", .durationOrInfinity, default: .at(.seconds(300)),
            doc: "After it a QoS 2 message that waits for PUBREL is forgotten.")
        static let retryInterval = Field(
            "retry_interval", .durationOrInfinity, default: .infinity,
            doc: "Sends unacknowledged messages again, to 3.1 and 3.1.1 clients. [MQTT-4.4.0-1]")
        static let queueLength = Field(
            "max_mqueue_len", .intOrInfinity(zeroMeansInfinity: true), default: .at(10_000),
            doc: "Messages queued for a client; 0 is no bound.")
        static let queueBytes = Field(
            "max_mqueue_bytes", .byteSize, default: .megabytes(64),
            doc: "Bytes queued for a client, whatever their number.")
        static let queueQoS0 = Field(
            "mqueue_store_qos0", .bool, default: true, doc: "Whether QoS 0 is queued for absent clients.")
        static let subscriptions = Field(
            "max_subscriptions", .intOrInfinity(1...Int.max), default: .at(100_000),
            doc: "Of a client; more are refused with 0x97.")
        static let upgradeQoS = Field(
            "upgrade_qos", .bool, default: false, doc: "Whether the subscription's QoS wins when it is higher.")
        static let serverKeepAlive = Field(
            "server_keepalive",
            FieldType<Limit<Int>>.scalar(
                "disabled or seconds from 1 to 65535", show: { $0.finite.map { "\($0)" } ?? "disabled" }
            ) {
                text, scalar in
                if text == "disabled" { return .infinity }
                guard case .int(let seconds) = scalar, (1...65535).contains(seconds) else { return nil }
                return .at(Int(seconds))
            }, default: .infinity, doc: "Seconds; overrides what the client asks for.")
        static let keepAliveMultiplier = Field(
            "keepalive_multiplier", .number(1...100), default: 1.5, aliases: ["keepalive_backoff"],
            doc: "Keep alives until a silent client is closed. [MQTT-3.1.2-22]")
        static let responseInformation = Field(
            "response_information", .string, default: "", doc: "What CONNACK says when asked.")
        static let strictMode = Field(
            "strict_mode", .bool, default: false, noEffect: "packets are always checked strictly",
            doc: "Read for EMQX's files.")
        static let usernameAsClientID = Field(
            "use_username_as_clientid", .bool, default: false, doc: "Whether the user name replaces the client id.")
        static let certificateAsUsername = Field(
            "peer_cert_as_username", FieldType<MQTTSettings.CertificateName>.choice, default: .disabled,
            doc: "What of the client's certificate replaces the user name; a client without it is refused.")
        static let certificateAsClientID = Field(
            "peer_cert_as_clientid", FieldType<MQTTSettings.CertificateName>.choice, default: .disabled,
            doc: "What of the client's certificate replaces the client id; a client without it is refused.")

        static let all = FieldSet(
            "mqtt",
            [
                idleTimeout, packetSize, clientIDLength, topicLevels, topicAlias, qos, retain, wildcard, shared,
                strategy,
                ignoreLoop, sessionExpiry, messageExpiry, inflight, awaitingRel, queueLength, queueBytes, queueQoS0,
                subscriptions, upgradeQoS, serverKeepAlive, keepAliveMultiplier, responseInformation, strictMode,
                usernameAsClientID, certificateAsUsername, certificateAsClientID,
                awaitRelTimeout, retryInterval,
                exclusive,
                UnsupportedField("mqueue_priorities", accepts: "disabled"),
                UnsupportedField("mqueue_default_priority", accepts: "lowest"),
                UnsupportedField("keepalive_check_interval", accepts: "30s"), UnsupportedField("client_attrs_init"),
                UnsupportedField("clientid_override", accepts: "disabled"),
                UnsupportedField("shared_dispatch_ack_enabled", accepts: "false"),
            ])
    }
}
