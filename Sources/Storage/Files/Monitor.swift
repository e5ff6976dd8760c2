import CLinux
import Glibc

/// A lock with a condition. What it guards is written beside it; nobody calls out while holding it.
final class Monitor: @unchecked Sendable {  // the two variables are made for use by many threads
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        pthread_mutex_init(mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    @inline(__always)
    func withLock<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        return try body()
    }

    /// With the lock held: releases it until somebody calls ``wakeAll()``.
    func wait() { pthread_cond_wait(condition, mutex) }

    /// As ``wait()``, at most that long.
    func wait(milliseconds: Int) {
        let due = monotonicMilliseconds() + milliseconds
        var deadline = timespec(tv_sec: due / 1000, tv_nsec: due % 1000 * 1_000_000)
        pthread_cond_timedwait(condition, mutex, &deadline)
    }

    func wakeAll() { pthread_cond_broadcast(condition) }
}

func monotonicMilliseconds() -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// A thread with a name, joined by its owner.
final class BackgroundThread: @unchecked Sendable {  // joined once, by the owner
    private var thread = pthread_t()

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// - Parameter name: at most 15 bytes.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(StorageError) {
        // Owned by the thread from here on; taken over as its first act.
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                sluice_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw .failed(operation: "pthread_create", path: name, errno: status)
        }
    }

    func join() { pthread_join(thread, nil) }
}
