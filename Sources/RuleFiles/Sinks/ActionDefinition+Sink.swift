import ConfigSchema
import RuleEngine
package import Sinks

extension ActionDefinition {
    /// The sink of this action, ready to be started.
    ///
    /// - Parameter dataDirectory: absolute; what relative paths of files are below.
    /// - Throws: what its fields alone cannot tell, such as a path that leads out of its directory.
    package func sinkDefinition(dataDirectory: String) throws(SinkFailure) -> SinkDefinition {
        switch type {
        case "http": return try .webhook(name, webhookSettings(), worker: workerSettings(.webhook))
        case "disk_log": return try .file(name, diskLogSettings(dataDirectory), worker: diskLogWorker)
        default: return try .file(name, fileSettings(dataDirectory), worker: workerSettings(.file))
        }
    }

    // MARK: http

    private func webhookSettings() throws(SinkFailure) -> WebhookSettings {
        typealias Connector = HTTPConnectorFields
        typealias Parameters = HTTPParameterFields
        guard let connector = connector?.values else { throw SinkFailure("it has no connector") }
        let parameters = values[HTTPActionFields.parameters]
        let timeout = values[HTTPActionFields.timeout]
        var settings = WebhookSettings(url: connector[Connector.url].description)
        settings.method = parameters[Parameters.method]
        settings.path = parameters[Parameters.path]
        settings.headers = (connector[Connector.headers] + parameters[Parameters.headers]).map { ($0.name, $0.value) }
        settings.body = HTTPBodySource(parameters[Parameters.body])
        settings.extensions = extensions
        settings.missing = values[DeliveryFields.templates]
        settings.poolSize = connector[Connector.poolSize]
        settings.version = connector[Connector.version]
        settings.tls = tls(connector[Connector.tls])
        settings.authentication = authentication(connector[Connector.auth])
        settings.proxy = connector[Connector.proxy]
        settings.allowHosts = connector[Connector.allowHosts]
        settings.connectTimeout = timeout[HTTPActionFields.Timeout.connect] ?? connector[Connector.connectTimeout]
        settings.totalTimeout = timeout[HTTPActionFields.Timeout.total]
        settings.policy = policy
        settings.sendsDeliveryID = values[HTTPActionFields.idempotency]
        return settings
    }

    private func tls(_ values: ConfigValues) -> WebhookTLS {
        var tls = WebhookTLS()
        tls.verifies = values[HTTPConnectorFields.TLS.verify] == .peer
        tls.caFile = values[HTTPConnectorFields.TLS.ca]
        tls.certificateFile = values[HTTPConnectorFields.TLS.certificate]
        tls.keyFile = values[HTTPConnectorFields.TLS.key]
        return tls
    }

    private func authentication(_ values: ConfigValues) -> WebhookAuthentication {
        if let basic = values[HTTPConnectorFields.Auth.basic] {
            return .basic(
                username: basic[HTTPConnectorFields.Basic.username], password: basic[HTTPConnectorFields.Basic.password]
            )
        }
        return values[HTTPConnectorFields.Auth.bearer].map { .bearer($0) } ?? .none
    }

    private var policy: HTTPRetryPolicy {
        let retry = values[DeliveryFields.retry]
        var policy = HTTPRetryPolicy()
        policy.success = HTTPStatusSet(values[HTTPActionFields.successStatus])
        policy.retried = HTTPStatusSet(retry[DeliveryFields.Retry.onStatus])
        policy.retriesTransportFailures = retry[DeliveryFields.Retry.onNetworkError]
        policy.onUnauthorized = retry[DeliveryFields.Retry.onAuthError]
        return policy
    }

    // MARK: file and disk_log

    private func fileSettings(_ dataDirectory: String) -> FileSettings {
        let rotate = values[FileActionFields.rotate]
        var settings = FileSettings(path: values[FileActionFields.path], baseDirectory: dataDirectory)
        settings.format = values[FileActionFields.format]
        settings.template = values[FileActionFields.template]
        settings.extensions = extensions
        settings.missing = values[DeliveryFields.templates]
        settings.rotateSize = rotate[FileActionFields.Rotate.size].bytes
        settings.rotateEvery = rotate[FileActionFields.Rotate.every]
        settings.usesLocalTime = rotate[FileActionFields.Rotate.timeZone] == "local"
        settings.maxFiles = values[FileActionFields.retention][FileActionFields.Retention.maximumFiles]
        settings.sync = values[FileActionFields.fsync]
        settings.maxOpenFiles = values[FileActionFields.maximumOpenFiles]
        return settings
    }

    /// Differs from EMQX: done files are numbered on and the oldest is removed, rather than written over in a circle.
    private func diskLogSettings(_ dataDirectory: String) throws(SinkFailure) -> FileSettings {
        guard let connector = connector?.values else { throw SinkFailure("it has no connector") }
        var settings = FileSettings(path: connector[DiskLogFields.filePath], baseDirectory: dataDirectory)
        settings.template = values[DiskLogFields.parameters][DiskLogFields.Parameters.template]
        // EMQX lets a template of several lines through.
        settings.format = .raw
        settings.extensions = extensions
        settings.rotateSize = connector[DiskLogFields.maximumSize].bytes
        // The one that is written counts as well.
        settings.maxFiles = max(connector[DiskLogFields.maximumFiles] - 1, 1)
        return settings
    }

    private var diskLogWorker: WorkerSettings {
        var settings = WorkerSettings.file
        apply(values[DeliveryFields.resource], to: &settings)
        return settings
    }

    // MARK: The worker

    private func workerSettings(_ defaults: WorkerSettings) -> WorkerSettings {
        typealias Fields = DeliveryFields
        var settings = defaults
        let (buffer, batch) = (values[Fields.memoryBuffer], values[Fields.batch])
        if type == "http" {
            // Memory is what EMQX gives each of its workers.
            settings.maxBytes = 256 << 20
            settings.order = order
            apply(values[Fields.resource], to: &settings)
            settings.retry = retry
            settings.breaker.failures = values[Fields.breaker][Fields.Breaker.failures]
            settings.breaker.openFor = values[Fields.breaker][Fields.Breaker.openFor]
        }
        if let size = buffer[Fields.Buffer.maximumBytes] { settings.maxBytes = size.bytes }
        if let age = buffer[Fields.Buffer.maximumAge] { settings.maxAge = age.finite }
        settings.onFull = buffer[Fields.Buffer.onFull]
        if let messages = batch[Fields.Batch.maximumMessages] { settings.batch.maxMessages = messages }
        if let wait = batch[Fields.Batch.maximumWait] { settings.batch.maxWait = wait }
        settings.batch.maxBytes = batch[Fields.Batch.maximumBytes].bytes
        settings.batch.format = batch[Fields.Batch.format]
        return settings
    }

    private func apply(_ resource: ConfigValues, to settings: inout WorkerSettings) {
        typealias Fields = DeliveryFields.Resource
        settings.inflightWindow = resource[Fields.inflightWindow]
        if let size = resource[Fields.maximumBufferBytes] { settings.maxBytes = size.bytes }
        if let size = resource[Fields.batchSize] { settings.batch.maxMessages = size }
        if let time = resource[Fields.batchTime] { settings.batch.maxWait = time }
    }

    private var order: DeliveryOrder {
        switch values[DeliveryFields.order] {
        case .none: .none
        case .client: .client
        case .topic: .topic
        case .total: .total
        case .key: .key(Template.compile(values[DeliveryFields.orderKey] ?? "", extensions: extensions))
        }
    }

    private var retry: RetrySettings {
        typealias Fields = DeliveryFields.Retry
        let values = values[DeliveryFields.retry]
        var retry = RetrySettings()
        retry.initial = values[Fields.initial]
        retry.max = values[Fields.maximum]
        retry.multiplier = values[Fields.multiplier]
        retry.jitter = values[Fields.jitter]
        retry.maxAttempts = values[Fields.maximumAttempts].finite
        retry.respectsRetryAfter = values[Fields.respectRetryAfter]
        retry.maxRetryAfter = values[Fields.maximumRetryAfter]
        return retry
    }
}
