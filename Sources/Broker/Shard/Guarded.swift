import Synchronization

/// State behind a lock, for state that is no `Sendable` value: references that must not leave the lock without an owner.
///
/// `@unchecked Sendable`: the storage is touched under the mutex alone. The body must not call out: no callback, no
/// second lock.
final class Guarded<State>: @unchecked Sendable {
    private let mutex = Mutex(())
    private var state: State

    init(_ state: State) { self.state = state }

    func withLock<R>(_ body: (inout State) throws -> R) rethrows -> R {
        try mutex.withLock { _ in try body(&state) }
    }
}
