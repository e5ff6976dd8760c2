internal import Logging

extension SinkDefinition {
    /// A webhook. [EMQX rule-sql: http action]
    /// - Throws: what is wrong with the settings, in words.
    package static func webhook(
        _ name: String, _ settings: WebhookSettings, worker: WorkerSettings = .webhook
    ) throws(SinkFailure) -> SinkDefinition {
        SinkDefinition(
            name: name, type: "http", worker: worker, renderer: try WebhookRenderer(settings), kind: .webhook(settings))
    }

    /// Lines in files.
    /// - Throws: what is wrong with the settings, in words.
    package static func file(
        _ name: String, _ settings: FileSettings, worker: WorkerSettings = .file
    ) throws(SinkFailure) -> SinkDefinition {
        let renderer = try FileRenderer(settings)
        let path = renderer.path
        return SinkDefinition(
            name: name, type: "file", worker: worker.inTotalOrder, renderer: renderer,
            kind: .blocking { logger in FileSink(settings, path) { $0.log(logger, sink: name) } })
    }

    /// Lines on a descriptor, standard output by default.
    package static func console(
        _ name: String, descriptor: Int32 = 1, worker: WorkerSettings = .console
    ) -> SinkDefinition {
        SinkDefinition(
            name: name, type: "console", worker: worker.inTotalOrder, renderer: ConsoleRenderer(),
            kind: .blocking { _ in ConsoleSink(descriptor: descriptor) })
    }
}

extension WorkerSettings {
    /// A webhook's defaults.
    package static let webhook = WorkerSettings()

    /// A file's: EMQX's batches for disk_log, short pauses since a disk is near.
    package static let file: WorkerSettings = {
        var settings = WorkerSettings()
        settings.maxBytes = 64 << 20
        settings.maxAge = nil
        settings.order = .total
        settings.inflightWindow = 1
        settings.batch.maxMessages = 1000
        settings.batch.maxWait = .milliseconds(100)
        settings.retry.initial = .milliseconds(100)
        settings.retry.max = .seconds(5)
        settings.breaker.failures = 0
        return settings
    }()

    /// The console's: little memory, the oldest lines go.
    package static let console: WorkerSettings = {
        var settings = WorkerSettings.file
        settings.maxBytes = 1 << 20
        settings.batch.maxWait = .zero
        return settings
    }()

    /// A sink that writes synchronously has one batch at a time.
    fileprivate var inTotalOrder: WorkerSettings {
        var settings = self
        settings.order = .total
        settings.inflightWindow = 1
        return settings
    }
}

extension FileEvent {
    fileprivate func log(_ logger: Logger, sink: String) {
        let sink: Logger.MetadataValue = "file:\(sink)"
        switch self {
        case .repaired(let path, let bytes):
            logger.warning(
                "A torn last line was cut off.",
                metadata: ["sink.name": sink, "file.path": "\(path)", "file.bytes": "\(bytes)"])
        case .syncFailed(let reason):
            logger.error(
                "A file could not be synced; a power loss may cost lines.",
                metadata: ["sink.name": sink, "sink.reason": "\(reason)"])
        case .retentionFailed(let reason):
            logger.warning(
                "Old files could not be deleted.", metadata: ["sink.name": sink, "sink.reason": "\(reason)"])
        }
    }
}
