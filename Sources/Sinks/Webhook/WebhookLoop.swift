internal import CCurl
internal import Logging
internal import RuleEngine
internal import Synchronization

/// The thread that all webhooks share: one multi handle, so that connections are shared as well and one poll waits for
/// all of them. Nothing on it waits for a single receiver.
///
/// `@unchecked Sendable`: all but ``inbox`` and the wake-up belongs to the loop's thread.
final class WebhookLoop: @unchecked Sendable {
    private struct Inbox {
        var arrivals: [SinkWorker] = []
        var isStopping = false
    }

    /// Thread-safe for `curl_multi_wakeup` only.
    private let multi: UnsafeMutableRawPointer
    private let inbox = Mutex(Inbox())
    private var workers: [SinkWorker] = []

    private init(_ multi: UnsafeMutableRawPointer) { self.multi = multi }

    static func start() throws(SinkFailure) -> WebhookLoop {
        guard Curl.isReady, let multi = curl_multi_init() else { throw SinkFailure("libcurl cannot be set up") }
        let loop = WebhookLoop(multi)
        try startThread("sink-webhooks") { loop.run() }
        return loop
    }

    /// Any thread.
    func start(
        _ definition: SinkDefinition, _ settings: WebhookSettings, _ logger: Logger
    ) throws(SinkFailure) -> SinkWorker {
        guard let renderer = definition.renderer as? WebhookRenderer else {
            preconditionFailure("A webhook's records are made by a webhook's renderer.")
        }
        let sink = try WebhookSink(settings, renderer, definition.worker, multi: multi)
        let worker = try SinkWorker(definition, sink: sink, sameTarget: true, logger: logger) { [self] in wakeUp() }
        sink.worker = worker
        worker.scheduler.window = sink.window
        inbox.withLock { $0.arrivals.append(worker) }
        wakeUp()
        return worker
    }

    /// Ends the thread once its workers are done. Any thread.
    func stop() {
        inbox.withLock { $0.isStopping = true }
        wakeUp()
    }

    private func wakeUp() { curl_multi_wakeup(multi) }
}

// The thread.
extension WebhookLoop {
    private func run() {
        while !takeArrivals() || !workers.isEmpty {
            for worker in workers { serve(worker) }
            var running: Int32 = 0
            curl_multi_perform(multi, &running)
            if collectAnswers() { continue }
            removeFinished()
            if let deadline = deadline() { wait(until: deadline) }
        }
        curl_multi_cleanup(multi)
    }

    /// - Returns: whether the loop is to end when it has no worker.
    private func takeArrivals() -> Bool {
        let (arrivals, isStopping) = inbox.withLock { inbox in
            defer { inbox.arrivals.removeAll() }
            return (inbox.arrivals, inbox.isStopping)
        }
        if !arrivals.isEmpty {
            workers += arrivals
            limitConnections()
        }
        return isStopping
    }

    /// As many idle connections are kept as the sinks may have together.
    private func limitConnections() {
        let connections = workers.reduce(0) { $0 + (($1.sink as? WebhookSink)?.window ?? 0) }
        sluice_curl_multi_set_long(multi, CURLMOPT_MAXCONNECTS, max(8, connections))
    }

    private func serve(_ worker: SinkWorker) {
        let now = monotonicNanoseconds()
        worker.beginRound(now)
        while let batch = worker.scheduler.nextBatch(now) {
            if case .finished(let verdict, _) = worker.sink.write(batch, now: now) {
                worker.complete(batch, verdict, now: now)
            }
        }
    }

    /// - Returns: whether there were any, so that there may be room for more requests.
    private func collectAnswers() -> Bool {
        var hadAny = false
        var left: Int32 = 0
        while let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let easy = message.pointee.easy_handle,
                let request = WebhookRequest.of(easy)
            else { continue }
            hadAny = true
            let sink = request.sink
            let (batch, verdict) = sink.finish(request, message.pointee.data.result)
            guard let batch, let worker = sink.worker else { continue }
            worker.complete(batch, verdict, now: monotonicNanoseconds())
            worker.scheduler.window = sink.window
        }
        return hadAny
    }

    private func removeFinished() {
        let now = monotonicNanoseconds()
        guard workers.contains(where: { $0.isFinished(now) }) else { return }
        for worker in workers where worker.isFinished(now) {
            worker.sink.close()
            worker.finish()
        }
        workers.removeAll { $0.isFinished(now) }
    }

    /// - Returns: nil when a worker has something to do at once.
    private func deadline() -> Int64? {
        let now = monotonicNanoseconds()
        var earliest = Int64.max
        var isBusy = false
        for worker in workers {
            if let next = worker.sleepDeadline(now, other: nil) {
                earliest = min(earliest, next)
            } else {
                isBusy = true
            }
        }
        return isBusy ? nil : earliest
    }

    private func wait(until deadline: Int64) {
        let left = max(0, deadline - monotonicNanoseconds())
        let milliseconds = Int32(clamping: left.addingSaturating(999_999) / 1_000_000)
        var ready: Int32 = 0
        curl_multi_poll(multi, nil, 0, min(milliseconds, 60_000), &ready)
    }
}
