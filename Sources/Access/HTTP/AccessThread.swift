import Dispatch
import Glibc
import Synchronization

/// Threads of access control.
enum AccessThread {
    private final class Box {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    static func start(_ body: @escaping @Sendable () -> Void) throws(AccessFailure) {
        // Owner: the new thread, which releases it; this function if there is none.
        let box = Unmanaged.passRetained(Box(body))
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Box>.fromOpaque(raw).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        guard error == 0 else {
            box.release()
            throw AccessFailure("no thread: \(String(cString: strerror(error)))")
        }
        pthread_detach(thread)
    }
}

/// The threads that hash passwords: what takes milliseconds does not stop a shard. Bounded; who comes when it is full is
/// told so.
final class WorkPool: Sendable {
    private let queues: [DispatchQueue]
    private let pending = Atomic<Int>(0)
    private let next = Atomic<Int>(0)
    private let capacity: Int

    init(threads: Int, capacity: Int) {
        queues = (0..<threads).map { DispatchQueue(label: "access-\($0)", qos: .utility) }
        self.capacity = capacity
    }

    /// - Returns: false when too much waits; `work` is not run then.
    func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        guard pending.wrappingAdd(1, ordering: .relaxed).newValue <= capacity else {
            pending.wrappingSubtract(1, ordering: .relaxed)
            return false
        }
        let turn = next.wrappingAdd(1, ordering: .relaxed).newValue
        queues[(turn & .max) % queues.count].async { [self] in
            work()
            pending.wrappingSubtract(1, ordering: .relaxed)
        }
        return true
    }
}
