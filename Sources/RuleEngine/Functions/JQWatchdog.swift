internal import CJQ
internal import Glibc
internal import Synchronization

/// Halts jq programs that run too long, from a thread of its own that starts with the first program.
///
/// libjq looks at its `halted` flag before every instruction.
final class JQWatchdog: Sendable {
    static let shared = JQWatchdog()

    private struct Watch {
        let state: OpaquePointer
        let library: JQLibrary
        let deadline: UInt64
        var hasFired = false
    }

    /// `@unchecked Sendable`: the states are touched under the lock alone, and only while their runs are watched.
    private struct Table: @unchecked Sendable {
        var watches: [Int: Watch] = [:]
        var next = 0
        var isRunning = false
        var isAsleep = false
    }

    private let table = Mutex(Table())
    /// How often the thread looks, in microseconds.
    private static let tick: UInt32 = 5000
    /// Lets the thread sleep while nothing is watched.
    private let wake = Semaphore()

    /// - Returns: what ``release(_:)`` takes, before the state is used for anything else.
    /// - Throws: ``EvaluationError/memoryLimit`` when the system has no thread for the watchdog.
    func watch(
        _ state: OpaquePointer, milliseconds: Int, _ library: JQLibrary
    ) throws(EvaluationError) -> Int {
        let deadline = Self.now() + UInt64(milliseconds) * 1_000_000
        let (id, isRunning, wasAsleep) = table.withLock { table in
            if !table.isRunning { table.isRunning = Self.startThread() }
            guard table.isRunning else { return (0, false, false) }
            table.next &+= 1
            table.watches[table.next] = Watch(state: state, library: library, deadline: deadline)
            defer { table.isAsleep = false }
            return (table.next, true, table.isAsleep)
        }
        guard isRunning else { throw .memoryLimit }
        if wasAsleep { wake.signal() }
        return id
    }

    /// - Returns: whether the program was halted.
    func release(_ id: Int) -> Bool {
        table.withLock { $0.watches.removeValue(forKey: id)?.hasFired ?? false }
    }

    private static func startThread() -> Bool {
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { _ in
                JQWatchdog.shared.loop()
                return nil
            }, nil)
        if result == 0 { pthread_detach(thread) }
        return result == 0
    }

    private func loop() {
        while true {
            let isIdle = table.withLock { table in
                let now = Self.now()
                for (id, watch) in table.watches where !watch.hasFired && watch.deadline <= now {
                    watch.library.halt(watch.state, watch.library.invalid(), watch.library.invalid())
                    table.watches[id]?.hasFired = true
                }
                table.isAsleep = table.watches.isEmpty
                return table.isAsleep
            }
            if isIdle { wake.wait() } else { usleep(Self.tick) }
        }
    }

    private static func now() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// `@unchecked Sendable`: POSIX's semaphore is made for several threads; its memory is never freed.
    private final class Semaphore: @unchecked Sendable {
        private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

        init() { sem_init(semaphore, 0, 0) }
        func signal() { sem_post(semaphore) }
        func wait() { while sem_wait(semaphore) != 0 {} }
    }
}
