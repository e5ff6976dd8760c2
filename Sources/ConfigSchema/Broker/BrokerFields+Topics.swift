/// EMQX's topic extensions. [EMQX configuration: delayed, rewrite, auto_subscribe, sys_topics]
extension BrokerFields {
    static let delayed = Field(group: "delayed", Delayed.all, doc: "Messages on `$delayed/<seconds>/<topic>`.")
    static let rewrite = Field(
        "rewrite", .list(.object(Rewrite.all)), default: [],
        doc: "Other names for topics; the last rule that fits wins.")
    static let autoSubscribe = Field(
        group: "auto_subscribe", AutoSubscribe.all, doc: "Subscriptions that clients get with their connection.")

    enum Delayed {
        static let enable = Field("enable", .bool, default: true, doc: "Whether `$delayed/…` is more than a topic.")
        static let messages = Field(
            "max_delayed_messages", .intOrInfinity(zeroMeansInfinity: true), default: .at(100_000),
            doc: "Further ones are refused with 0x97; 0 is no bound.")
        static let bytes = Field(
            "max_delayed_bytes", .byteSizeOrInfinity(zeroMeansInfinity: true), default: .at(.megabytes(256)),
            doc: "Of all delayed messages together; 0 is no bound.")
        static let all = FieldSet("delayed", [enable, messages, bytes])
    }

    enum Rewrite {
        static let action = Field(
            "action", FieldType<RewriteSettings.Action>.choice, default: .all, doc: "Which packets' topics.")
        static let source = Field("source_topic", .nonEmptyString, .required, doc: "The filter of the topics.")
        static let expression = Field("re", .nonEmptyString, .required, doc: "The regular expression, PCRE2's.")
        static let destination = Field(
            "dest_topic", .nonEmptyString, .required,
            doc: "The new topic: with `$1` the expression's groups, `${clientid}` and `${username}`.")
        static let all = FieldSet("rewrite", [action, source, expression, destination])
    }

    enum AutoSubscribe {
        static let topics = Field("topics", .list(.object(Topic.all)), default: [], doc: "One entry a subscription.")
        static let all = FieldSet("auto_subscribe", [topics])

        enum Topic {
            static let topic = Field(
                "topic", .nonEmptyString, .required,
                doc: "The filter, with `${clientid}`, `${username}`, `${host}`, `${port}`.")
            static let qos = Field("qos", .int(0...2), default: 0, doc: "Maximum QoS.")
            static let retainHandling = Field("rh", .int(0...2), default: 0, doc: "Retain Handling.")
            static let retainAsPublished = Field("rap", .int(0...1), default: 0, doc: "Retain As Published.")
            static let noLocal = Field("nl", .int(0...1), default: 0, doc: "No Local.")
            static let all = FieldSet(
                "auto_subscribe.topics", [topic, qos, retainHandling, retainAsPublished, noLocal])
        }
    }

    enum SysEvents {
        static let connected = Field("client_connected", .bool, default: true, doc: "`…/connected`.")
        static let disconnected = Field("client_disconnected", .bool, default: true, doc: "`…/disconnected`.")
        static let subscribed = Field("client_subscribed", .bool, default: false, doc: "`…/subscribed`.")
        static let unsubscribed = Field("client_unsubscribed", .bool, default: false, doc: "`…/unsubscribed`.")
        static let all = FieldSet("sys_topics.sys_event_messages", [connected, disconnected, subscribed, unsubscribed])
    }
}
