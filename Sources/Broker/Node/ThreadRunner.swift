import CLinux
import Glibc

/// A thread of our own with a name: for loops that run as long as the node.
final class ThreadRunner: @unchecked Sendable {  // joined once, by the node
    private var thread = pthread_t()

    private final class Start {
        let name: String
        let body: @Sendable () -> Void
        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }

    /// - Parameter name: at most 15 bytes, as `top -H` shows it.
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(TransportError) {
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
            throw TransportError("pthread_create", status)
        }
    }

    func join() { pthread_join(thread, nil) }
}
