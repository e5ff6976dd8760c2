import Glibc
import Synchronization

/// One thread waits for another to have done something.
final class DoneSignal: @unchecked Sendable {  // the semaphore is made for use from several threads
    private let semaphore: UnsafeMutablePointer<sem_t>

    init() {
        semaphore = .allocate(capacity: 1)
        sem_init(semaphore, 0, 0)
    }

    deinit {
        sem_destroy(semaphore)
        semaphore.deallocate()
    }

    func signal() { sem_post(semaphore) }

    /// - Returns: false when the time ran out first.
    @discardableResult
    func wait(milliseconds: Int) -> Bool {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += milliseconds / 1000
        deadline.tv_nsec += milliseconds % 1000 * 1_000_000
        if deadline.tv_nsec >= 1_000_000_000 {
            deadline.tv_sec += 1
            deadline.tv_nsec -= 1_000_000_000
        }
        while sem_timedwait(semaphore, &deadline) != 0 {
            if errno != EINTR { return false }
        }
        return true
    }
}

/// Opens when so many have passed.
final class Gate: Sendable {
    private let left: Atomic<Int>
    private let body: @Sendable () -> Void

    init(count: Int, _ body: @escaping @Sendable () -> Void) {
        left = Atomic(count)
        self.body = body
    }

    func pass() { if left.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 { body() } }
}

/// Wakes shards a few milliseconds later: while publishers are paused, nothing else may come that would.
final class WakeTimer: @unchecked Sendable {  // everything under the mutex but the thread, which start and stop own
    private let waiting = Mutex<[ObjectIdentifier: Shard]>([:])
    private let semaphore = DoneSignal()
    private let stopping = Atomic<Bool>(false)
    private var thread: ThreadRunner?

    func wake(_ shard: Shard) {
        let isFirst = waiting.withLock { waiting in
            waiting[ObjectIdentifier(shard)] = shard
            return waiting.count == 1
        }
        if isFirst { semaphore.signal() }
    }

    func start() throws(TransportError) {
        thread = try ThreadRunner(name: "wake-timer") { [self] in
            while !stopping.load(ordering: .acquiring) {
                guard semaphore.wait(milliseconds: 60_000) else { continue }
                usleep(5000)
                let due = waiting.withLock { waiting in
                    defer { waiting.removeAll(keepingCapacity: true) }
                    return Array(waiting.values)
                }
                for shard in due { shard.wake() }
            }
        }
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        semaphore.signal()
        thread?.join()
    }
}
