import ConfigSchema
import RuleEngine
package import Sinks

extension ActionDefinition {
    /// The sink that this action is, ready to be started.
    ///
    /// - Parameter dataDirectory: what relative file paths are below.
    /// - Throws: what is wrong with the settings and could only be told by the sink, in words.
    package func sinkDefinition(dataDirectory: String) throws(SinkFailure) -> SinkDefinition {
        switch type {
        case "http": try .webhook(name, webhookSettings(), worker: webhookWorker)
        case "disk_log": try .file(name, diskLogSettings(dataDirectory), worker: diskLogWorker)
        default: try .file(name, fileSettings(dataDirectory), worker: fileWorker)
        }
    }

    // MARK: Webhook

    private func webhookSettings() throws(SinkFailure) -> WebhookSettings {
        guard let connector = connector?.values else { throw SinkFailure("the action \(id) has no connector") }
        typealias C = HTTPConnectorFields
        typealias A = HTTPActionFields
        let parameters = values[A.parameters]
        var settings = WebhookSettings(url: connector[C.url].description)
        settings.method = HTTPMethod(rawValue: parameters[HTTPParameterFields.method].lowercased()) ?? .post
        settings.path = parameters[HTTPParameterFields.path]
        settings.headers = (connector[C.headers] + parameters[HTTPParameterFields.headers]).map { ($0.name, $0.value) }
        settings.body = HTTPBodySource(parameters[HTTPParameterFields.body])
        settings.extensions = extensions
        settings.missing = values[DeliveryFields.templates]
        settings.poolSize = connector[C.poolSize]
        settings.version = HTTPVersionChoice(rawValue: connector[C.version].rawValue) ?? .auto
        settings.proxy = connector[C.proxy]
        settings.allowHosts = connector[C.allowHosts]
        settings.connectTimeout = values[A.timeout][A.Timeout.connect] ?? connector[C.connectTimeout]
        settings.totalTimeout = values[A.timeout][A.Timeout.total]
        settings.sendsDeliveryID = values[A.idempotency]
        settings.tls = tls(connector[C.tls])
        settings.authentication = authentication(connector[C.auth])
        settings.policy = retryPolicy
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
                username: basic[HTTPConnectorFields.Basic.username], password: basic[HTTPConnectorFields.Basic.password])
        }
        return values[HTTPConnectorFields.Auth.bearer].map { .bearer($0) } ?? .none
    }

    private var retryPolicy: HTTPRetryPolicy {
        let retry = values[DeliveryFields.retry]
        var policy = HTTPRetryPolicy()
        policy.success = HTTPStatusSet(values[HTTPActionFields.successStatus])
        policy.retried = HTTPStatusSet(retry[DeliveryFields.Retry.onStatus])
        policy.retriesTransportFailures = retry[DeliveryFields.Retry.onNetworkError]
        switch retry[DeliveryFields.Retry.onAuthError] {
        case .pause: policy.onUnauthorized = .pause
        case .retry: policy.onUnauthorized = .retry
        case .fail: policy.onUnauthorized = .fail
        }
        return policy
    }

    private var webhookWorker: WorkerSettings {
        var worker = WorkerSettings.webhook
        apply(to: &worker)
        worker.maxBytes = 256 << 20
        applyBounds(to: &worker)
        let resource = values[DeliveryFields.resource]
        worker.inflightWindow = resource[DeliveryFields.Resource.inflightWindow]
        if let bytes = resource[DeliveryFields.Resource.maximumBufferBytes] { worker.maxBytes = bytes.bytes }
        if let size = resource[DeliveryFields.Resource.batchSize] { worker.batch.maxMessages = size }
        if let wait = resource[DeliveryFields.Resource.batchTime] { worker.batch.maxWait = wait }
        worker.order = order
        return worker
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

    /// Retries and the breaker.
    private func apply(to worker: inout WorkerSettings) {
        let retry = values[DeliveryFields.retry]
        worker.retry.initial = retry[DeliveryFields.Retry.initial]
        worker.retry.max = retry[DeliveryFields.Retry.maximum]
        worker.retry.multiplier = retry[DeliveryFields.Retry.multiplier]
        worker.retry.jitter = RetryJitter(rawValue: retry[DeliveryFields.Retry.jitter].rawValue) ?? .full
        worker.retry.maxAttempts = retry[DeliveryFields.Retry.maximumAttempts].finite
        worker.retry.respectsRetryAfter = retry[DeliveryFields.Retry.respectRetryAfter]
        worker.retry.maxRetryAfter = retry[DeliveryFields.Retry.maximumRetryAfter]
        let breaker = values[DeliveryFields.breaker]
        worker.breaker.failures = breaker[DeliveryFields.Breaker.failures]
        worker.breaker.openFor = breaker[DeliveryFields.Breaker.openFor]
    }

    /// The buffer and the batches; what is not said keeps the type's default.
    private func applyBounds(to worker: inout WorkerSettings) {
        let buffer = values[DeliveryFields.memoryBuffer]
        if let bytes = buffer[DeliveryFields.Buffer.maximumBytes] { worker.maxBytes = bytes.bytes }
        worker.maxAge = buffer[DeliveryFields.Buffer.maximumAge].finite
        worker.onFull = FullPolicy(rawValue: buffer[DeliveryFields.Buffer.onFull].rawValue) ?? .dropOldest
        let batch = values[DeliveryFields.batch]
        if let count = batch[DeliveryFields.Batch.maximumMessages] { worker.batch.maxMessages = count }
        if let wait = batch[DeliveryFields.Batch.maximumWait] { worker.batch.maxWait = wait }
        worker.batch.maxBytes = batch[DeliveryFields.Batch.maximumBytes].bytes
        worker.batch.format = BatchSettings.Format(rawValue: batch[DeliveryFields.Batch.format].rawValue) ?? .jsonArray
    }

    // MARK: Files

    private func fileSettings(_ dataDirectory: String) -> FileSettings {
        typealias F = FileActionFields
        var settings = FileSettings(path: values[F.path], baseDirectory: dataDirectory)
        settings.template = line(values[F.template])
        settings.extensions = extensions
        settings.missing = values[DeliveryFields.templates]
        settings.maxOpenFiles = values[F.maximumOpenFiles]
        settings.rotateSize = values[F.rotate][F.Rotate.size].bytes
        settings.rotateEvery = values[F.rotate][F.Rotate.every]
        settings.usesLocalTime = values[F.rotate][F.Rotate.timeZone] == .local
        switch values[F.fsync] {
        case .never: settings.sync = .never
        case .always: settings.sync = .always
        case .interval(let duration): settings.sync = .interval(duration)
        }
        return settings
    }

    /// The whole row needs no template.
    private func line(_ template: String) -> String? { template == "${.}" ? nil : template }

    private var fileWorker: WorkerSettings {
        var worker = WorkerSettings.file
        applyBounds(to: &worker)
        // A file has no deadline of its own: lines wait for the disk as long as the memory lasts.
        if !values[DeliveryFields.memoryBuffer].isSet(DeliveryFields.Buffer.maximumAge) { worker.maxAge = nil }
        return worker
    }

    private func diskLogSettings(_ dataDirectory: String) throws(SinkFailure) -> FileSettings {
        guard let connector = connector?.values else { throw SinkFailure("the action \(id) has no connector") }
        var settings = FileSettings(path: connector[DiskLogFields.filePath], baseDirectory: dataDirectory)
        settings.template = line(values[DiskLogFields.parameters][DiskLogFields.Parameters.template])
        settings.format = .raw
        settings.extensions = extensions
        settings.rotateSize = connector[DiskLogFields.maximumSize].bytes
        settings.maxFiles = connector[DiskLogFields.maximumFiles]
        return settings
    }

    private var diskLogWorker: WorkerSettings {
        var worker = WorkerSettings.file
        let resource = values[DeliveryFields.resource]
        if let bytes = resource[DeliveryFields.Resource.maximumBufferBytes] { worker.maxBytes = bytes.bytes }
        if let size = resource[DeliveryFields.Resource.batchSize] { worker.batch.maxMessages = size }
        if let wait = resource[DeliveryFields.Resource.batchTime] { worker.batch.maxWait = wait }
        return worker
    }
}
