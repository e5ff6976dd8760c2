import Synchronization

/// How one thread waits for a log without blocking: it says which sequence it waits for, and is woken once.
///
///     waiter.wait(for: sequence)      // at the end of a tick, when acknowledgements are held back
///     … woken: if log.acknowledgeable >= sequence { release them }
package final class LogWaiter: Sendable {
    private let target = Atomic<UInt64>(0)
    private let wake: @Sendable () -> Void

    /// - Parameter wake: called on the writer's thread, or on that of who called `writeNow`; must only wake (an
    ///   eventfd).
    package init(wake: @escaping @Sendable () -> Void) { self.wake = wake }

    /// Asks to be woken when `sequence` is acknowledgeable; replaces what was asked for before. It may have become so
    /// meanwhile: look at ``SegmentLog/acknowledgeable`` once after this call.
    package func wait(for sequence: UInt64) { target.store(sequence, ordering: .sequentiallyConsistent) }

    /// - Parameter failed: the log will not move again.
    func notify(_ watermark: UInt64, failed: Bool) {
        let wanted = target.load(ordering: .sequentiallyConsistent)
        guard wanted != 0, failed || wanted <= watermark else { return }
        if target.compareExchange(expected: wanted, desired: 0, ordering: .sequentiallyConsistent).exchanged { wake() }
    }
}
