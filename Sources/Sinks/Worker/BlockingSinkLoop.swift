/// A thread of its own for a sink that writes synchronously: a disk that hangs then holds up nobody else.
///
/// Owner of its thread. The worker's thread-confined state is touched in `run()` alone.
final class BlockingSinkLoop: Sendable {
    private let worker: SinkWorker
    private let signal: EventSignal

    init(_ worker: SinkWorker, signal: EventSignal) {
        self.worker = worker
        self.signal = signal
    }

    func start() throws(SinkFailure) {
        try startThread("sink-\(worker.name)") { [self] in run() }
    }

    private func run() {
        var opening = Opening()
        while true {
            let now = monotonicNanoseconds()
            worker.beginRound(now)
            if !opening.isOpen, now >= opening.nextTry { opening.attempt(worker, now) }
            if opening.isOpen { deliver() }
            let next = opening.isOpen ? worker.sink.tick(now: monotonicNanoseconds()) : opening.nextTry
            let later = monotonicNanoseconds()
            if worker.isFinished(later) { break }
            guard let deadline = deadline(later, next, opening.isOpen) else { continue }
            _ = signal.wait(nanoseconds: min(deadline - later, 3_600_000_000_000))
            signal.clear()
        }
        worker.sink.close()
        worker.finish()
    }

    private func deadline(_ now: Int64, _ next: Int64?, _ isOpen: Bool) -> Int64? {
        if isOpen { return worker.sleepDeadline(now, other: next) }
        // Nothing can be delivered before it is open, whatever is due.
        _ = worker.sleepDeadline(now, other: next)
        return min(next ?? .max, now + 100_000_000)
    }

    /// A bounded share of work, so that what is handed over meanwhile is taken and counted.
    private func deliver() {
        for _ in 0..<64 {
            let now = monotonicNanoseconds()
            guard let batch = worker.scheduler.nextBatch(now) else { return }
            switch worker.sink.write(batch, now: now) {
            case .finished(let verdict, let delivered):
                worker.complete(batch, verdict, delivered: delivered, now: monotonicNanoseconds())
            case .started:
                preconditionFailure("A sink on a thread of its own answers at once.")
            }
            worker.publish()
        }
    }
}

/// Tries to open a sink, again and again with longer pauses.
private struct Opening {
    private(set) var isOpen = false
    private(set) var nextTry: Int64 = 0
    private var pause: Int64 = 50_000_000

    mutating func attempt(_ worker: SinkWorker, _ now: Int64) {
        do throws(SinkFailure) {
            try worker.sink.open()
            isOpen = true
            worker.note(.connected)
        } catch {
            worker.note(.disconnected(reason: error.reason))
            nextTry = now + pause
            pause = min(pause * 2, 5_000_000_000)
        }
    }
}
