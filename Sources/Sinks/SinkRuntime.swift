package import Logging
internal import Synchronization

/// A sink as its settings describe it, before it runs.
package struct SinkDefinition: Sendable {
    package enum Kind: Sendable {
        /// A sink that writes synchronously; the closure is called on the caller's thread, the sink used on its own.
        case blocking(@Sendable (Logger) -> any Sink)
        case webhook(WebhookSettings)
    }

    package let name: String
    /// EMQX's name of the type: `http`, `file`, `console`.
    package let type: String
    package let worker: WorkerSettings
    package let renderer: any RecordRenderer
    package let kind: Kind
    /// Called when the sink's connection changes, on the sink's thread.
    package var stateObserver: (@Sendable (SinkStatus.State) -> Void)?

    package init(name: String, type: String, worker: WorkerSettings, renderer: any RecordRenderer, kind: Kind) {
        self.name = name
        self.type = type
        self.worker = worker
        self.renderer = renderer
        self.kind = kind
    }
}

/// Starts sinks and stops them. Owns the thread that all webhooks share; other sinks have a thread each.
package final class SinkRuntime: Sendable {
    private let logger: Logger
    private let webhooks = Mutex<WebhookLoop?>(nil)

    package init(logger: Logger) { self.logger = logger }

    deinit { webhooks.withLock { $0?.stop() } }

    /// - Returns: the running worker; it stops by ``SinkWorker/beginDrain(until:)``.
    /// - Throws: when the system gives no thread or descriptor, or the settings cannot be (a certificate's file).
    package func start(_ definition: SinkDefinition) throws(SinkFailure) -> SinkWorker {
        switch definition.kind {
        case .blocking(let make):
            let signal = try EventSignal()
            let worker = try SinkWorker(definition, sink: make(logger), sameTarget: false, logger: logger) {
                signal.signal()
            }
            try BlockingSinkLoop(worker, signal: signal).start()
            return worker
        case .webhook(let settings): return try webhookLoop().start(definition, settings, logger)
        }
    }

    /// Drains several sinks at once, the deadline being for all. Blocks its thread: not for event loops.
    /// - Returns: by name, what could not be delivered.
    package static func drain(
        _ workers: [SinkWorker], until deadline: ContinuousClock.Instant
    ) -> [(name: String, lost: Int)] {
        for worker in workers { worker.beginDrain(until: deadline) }
        return workers.map { ($0.name, $0.waitUntilStopped(until: deadline + .seconds(1))) }
    }

    private func webhookLoop() throws(SinkFailure) -> WebhookLoop {
        try webhooks.withLock { (loop) throws(SinkFailure) in
            if let loop { return loop }
            let started = try WebhookLoop.start()
            loop = started
            return started
        }
    }
}
