import CRaft
import Glibc

/// A thread with a name, joined by its owner.
final class EngineThread: @unchecked Sendable {  // the handle is written once, before anybody else sees the object
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
    init(name: String, _ body: @escaping @Sendable () -> Void) throws(ConsensusStartError) {
        // Owned by the thread from here on; taken over as its first act.
        let start = Unmanaged.passRetained(Start(name: name, body: body))
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                craft_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            start.release()
            throw ConsensusStartError(.unusable, "no thread could be made: \(String(cString: strerror(status)))")
        }
    }

    func join() { pthread_join(thread, nil) }
}
