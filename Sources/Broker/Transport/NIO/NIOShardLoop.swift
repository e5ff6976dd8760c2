import NIOCore
import Synchronization

/// A shard on a NIO event loop: for TLS and WebSocket listeners, where the pipeline earns its cost.
///
/// `@unchecked Sendable`: everything but the wake flag is confined to the event loop.
final class NIOShardLoop: @unchecked Sendable {
    let shard: Shard
    let eventLoop: any EventLoop
    private let wakePending = Atomic<Bool>(false)
    private var isInTick = false
    private var timer: RepeatedTask?

    init(shard: Shard, eventLoop: any EventLoop) {
        self.shard = shard
        self.eventLoop = eventLoop
        shard.wake = { [unowned self] in self.wake() }
    }

    func start() {
        eventLoop.execute {
            self.timer = self.eventLoop.scheduleRepeatedTask(
                initialDelay: .milliseconds(500), delay: .milliseconds(500)
            ) { _ in
                self.beginTick()
                self.shard.timerTick()
            }
        }
    }

    func stop() { eventLoop.execute { self.timer?.cancel() } }

    private func wake() {
        guard !wakePending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        eventLoop.execute {
            self.wakePending.store(false, ordering: .releasing)
            self.beginTick()
            self.shard.drainMailbox()
        }
    }

    /// The first to come in a round of the event loop reads the clock and has the round's end scheduled: one flush per
    /// tick, however many channels had something to read.
    @inline(__always)
    func beginTick() {
        guard !isInTick else { return }
        isInTick = true
        shard.readClock()
        // The mail first: what it brings was sent before anything that its sender's clients then said.
        shard.drainMailbox()
        eventLoop.execute {
            self.isInTick = false
            self.shard.endTick()
        }
    }
}
