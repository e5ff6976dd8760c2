internal import ConfigSchema
internal import RuleEngine

/// The keys of `actions.http.<id>`. [EMQX rule-sql: http action]
enum HTTPActionFields {
    enum Parameters {
        static let method = Field("method", FieldType<HTTPMethod>.choice, default: .post, doc: "get and delete send no body")
        static let path = Field(
            "path", .string, default: "", doc: "appended to the connector's URL, `?…` too; values are percent-encoded")
        static let headers = Field("headers", .map(.string), default: [], doc: "override the connector's; values are templates")
        static let body = Field(
            "body", .any, doc: "a text template, or a mapping or list as a JSON template that keeps types; absent: the row as JSON")
        static let maxRetries = Field("max_retries", .int, default: 2, noEffect: "`retry` says how often is tried", doc: "EMQX's")
        static let all = FieldSet("parameters", [method, path, headers, body, maxRetries])
    }

    enum Options {
        static let requestTTL = Field(
            "request_ttl", .durationOrInfinity, default: .at(.seconds(45)),
            doc: "time limit of one attempt when timeout.total says nothing; differs from EMQX: it drops nothing, buffer.max_age does")
        static let inflightWindow = Field(
            "inflight_window", .int(1...100_000), default: 100,
            doc: "most requests under way; with HTTP/1.1 the connector's pool_size limits them, too")
        static let maxBufferBytes = Field(
            "max_buffer_bytes", .byteSize(ByteSize(bytes: 4096)...ByteSize(bytes: 1 << 40)), default: .megabytes(256),
            doc: "as buffer.max_bytes, which goes first")
        static let batchSize = Field("batch_size", .int(1...100_000), default: 1, doc: "as batch.max_messages, which goes first")
        static let batchTime = Field("batch_time", .duration, default: .zero, doc: "as batch.max_wait, which goes first")
        static let all = FieldSet("resource_opts", [
            requestTTL, inflightWindow, maxBufferBytes, batchSize, batchTime,
            Field("worker_pool_size", .int(1...1024), default: 16, noEffect: "one thread serves all webhooks", doc: "EMQX's"),
            Field("query_mode", .choice("async", "sync"), default: "async", noEffect: "delivery never waits", doc: "EMQX's"),
            Field("health_check_interval", .duration, default: .seconds(15), noEffect: "deliveries themselves show the state", doc: "EMQX's"),
        ])
    }

    enum Timeouts {
        static let connect = Field("connect", .duration(.milliseconds(1) ... .seconds(3600)), default: .seconds(15), doc: "as the connector's connect_timeout, which it overrides")
        static let total = Field("total", .duration(.milliseconds(1) ... .seconds(3600)), default: .seconds(30), doc: "one attempt, all included")
        static let all = FieldSet("timeout", [connect, total])
    }

    static let connector = Field("connector", .nonEmptyString, doc: "name of a connector of type http")
    static let parameters = Field(group: "parameters", Parameters.all, doc: "what is sent")
    static let options = Field(group: "resource_opts", Options.all, doc: "EMQX's names")
    static let timeout = Field(group: "timeout", Timeouts.all, doc: "limits of one attempt")
    static let successStatus = Field("success_status", .list(.httpStatus), default: [200...299], doc: "answers that mean delivered")
    static let retry = Field(
        group: "retry",
        FieldSet("retry", [DeliveryFields.Retry.onStatus, DeliveryFields.Retry.onNetworkError, DeliveryFields.Retry.onAuthError] + DeliveryFields.Retry.common),
        doc: "what is tried again, and when")
    static let batch = Field(
        group: "batch",
        FieldSet("batch", [
            DeliveryFields.Batch.maxMessages, DeliveryFields.Batch.maxBytes, DeliveryFields.Batch.maxWait, DeliveryFields.Batch.format,
        ]), doc: "several records in one request")
    static let idempotency = Field(
        "idempotency", .bool, default: true, doc: "send Idempotency-Key and webhook-id, the same over all attempts")

    static let all = FieldSet("actions.http", [
        connector, parameters, options, timeout, successStatus, retry, batch, idempotency, DeliveryFields.buffer,
        DeliveryFields.breaker, DeliveryFields.order, DeliveryFields.orderKey, DeliveryFields.templates, DeliveryFields.enable,
        DeliveryFields.description, DeliveryFields.tags,
        UnsupportedField("format", accepts: "plain", doc: "CloudEvents"), UnsupportedField("sign", doc: "signatures"),
        UnsupportedField("compress", accepts: "none", doc: "compressed bodies"),
    ] + DeliveryFields.unsupported) { values, context in
        if values[DeliveryFields.order] == "key", values[DeliveryFields.orderKey] == nil {
            context.report(values.problem(.missingKey, "order: key needs order_key", at: DeliveryFields.order))
        }
    }

    @Sendable static func definition(_ inputs: SinkInputs) throws(SinkFailure) -> SinkDefinition {
        guard let connector = inputs.connector else { throw SinkFailure("an http action needs a connector") }
        let values = inputs.action
        var settings = WebhookSettings(url: connector[HTTPConnectorFields.url])
        settings.extensions = inputs.extensions
        settings.missing = values[DeliveryFields.templates]
        HTTPConnectorFields.read(connector, into: &settings)
        let parameters = values[parameters]
        settings.method = parameters[Parameters.method]
        settings.path = parameters[Parameters.path]
        settings.headers += parameters[Parameters.headers].map { ($0.name, $0.value) }
        if let body = parameters[Parameters.body] { settings.body = HTTPBodySource(body) }
        readLimits(values, &settings)
        settings.policy.success = HTTPStatusSet(values[successStatus])
        let retry = values[retry]
        settings.policy.retried = HTTPStatusSet(retry[DeliveryFields.Retry.onStatus])
        settings.policy.retriesTransportFailures = retry[DeliveryFields.Retry.onNetworkError]
        settings.policy.onUnauthorized = retry[DeliveryFields.Retry.onAuthError]
        settings.sendsDeliveryID = values[idempotency]
        return try .webhook(inputs.name, settings, worker: worker(inputs))
    }

    private static func readLimits(_ values: ConfigValues, _ settings: inout WebhookSettings) {
        let timeout = values[timeout]
        if timeout.isSet(Timeouts.connect) { settings.connectTimeout = timeout[Timeouts.connect] }
        let options = values[options]
        if timeout.isSet(Timeouts.total) || !options.isSet(Options.requestTTL) {
            settings.totalTimeout = timeout[Timeouts.total]
        } else if let limit = options[Options.requestTTL].finite, limit > .zero {
            settings.totalTimeout = limit
        }
    }

    private static func worker(_ inputs: SinkInputs) -> WorkerSettings {
        let values = inputs.action
        var settings = WorkerSettings.webhook
        let options = values[options]
        settings.inflightWindow = options[Options.inflightWindow]
        if options.isSet(Options.maxBufferBytes) { settings.maxBytes = options[Options.maxBufferBytes].bytes }
        settings.batch.maxMessages = options[Options.batchSize]
        settings.batch.maxWait = options[Options.batchTime]
        DeliveryFields.read(values, into: &settings)
        DeliveryFields.read(retry: values[retry], into: &settings.retry)
        let batch = values[batch]
        DeliveryFields.read(batch: batch, into: &settings.batch)
        settings.batch.format = batch[DeliveryFields.Batch.format]
        switch values[DeliveryFields.order] {
        case "none": settings.order = .none
        case "topic": settings.order = .topic
        case "total": settings.order = .total
        case "key":
            settings.order = .key(
                Template.compile(values[DeliveryFields.orderKey] ?? "", extensions: inputs.extensions))
        default: settings.order = .client
        }
        return settings
    }
}

extension HTTPBodySource {
    /// Text is a template as EMQX's; a mapping or list is a JSON template.
    init(_ node: YAMLNode) {
        if let text = node.text { self = .text(text) } else { self = .json(JSONTemplateNode(node)) }
    }
}

extension JSONTemplateNode {
    init(_ node: YAMLNode) {
        switch node.content {
        case .sequence(let items): self = .array(items.map(JSONTemplateNode.init))
        case .mapping(let entries): self = .object(entries.map { ($0.name, JSONTemplateNode($0.value)) })
        case .scalar(let text):
            switch node.scalar {
            case .null: self = .literal(.null)
            case .bool(let value): self = .literal(.boolean(value))
            case .int(let value): self = Int(exactly: value).map { .literal(.integer($0)) } ?? .template(text)
            case .float(let value) where value.isFinite: self = .literal(.float(value.bitPattern))
            default: self = .template(text)
            }
        }
    }
}
