import NIOCore

/// Calls back when something has been quiet for a time: one scheduled task, however much comes meanwhile.
///
/// Confined to the event loop.
final class IdleDeadline {
    private let eventLoop: any EventLoop
    private let timeout: TimeAmount
    private let onIdle: () -> Void
    private var lastActivity = NIODeadline.now()
    private var task: Scheduled<Void>?

    init(on eventLoop: any EventLoop, timeout: TimeAmount, _ onIdle: @escaping () -> Void) {
        self.eventLoop = eventLoop
        self.timeout = timeout
        self.onIdle = onIdle
        schedule()
    }

    func noteActivity() { lastActivity = .now() }

    func cancel() {
        task?.cancel()
        task = nil
    }

    private func schedule() {
        task = eventLoop.assumeIsolated().scheduleTask(deadline: lastActivity + timeout) { [weak self] in
            self?.look()
        }
    }

    private func look() {
        if lastActivity + timeout <= .now() { onIdle() } else { schedule() }
    }
}
