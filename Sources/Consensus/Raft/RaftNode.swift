import Glibc
package import Logging
import Synchronization

/// A replicated log by Raft: the library's algorithm and files, on a thread of its own. It knows bytes and names alone, so that it
/// could be moved into a process of its own.
///
/// What a machine sees on its thread: first ``StateMachine/restore(_:)`` if this member has known a state, during ``start()``,
/// then commands in order. After ``stop()`` it sees nothing more.
package final class RaftNode: Consensus {
    /// Asks for a stream to that member's engine; answered from any thread, exactly once, with a connected descriptor, which the
    /// engine takes over, or nil. The other side hands its end to ``accept(stream:from:name:)``.
    package typealias Dial =
        @Sendable (_ id: UInt64, _ name: String, _ connected: @escaping @Sendable (Int32?) -> Void) -> Void

    private let engine: RaftEngine
    private let thread = Mutex<EngineThread?>(nil)

    package init(
        _ configuration: RaftConfiguration, machine: any StateMachine, log: Logger = Logger(label: "consensus"),
        dial: @escaping Dial
    ) {
        engine = RaftEngine(configuration, machine: machine, log: log, dial: dial)
    }

    /// Reads the log and restores the machine's last known state on the calling thread, then begins to take part.
    ///
    /// - Throws: when files are damaged or entries are missing: the member must not take part then.
    package func start() throws(ConsensusStartError) {
        try engine.open()
        let engine = engine
        do {
            let started = try EngineThread(name: "raft-\(engine.configuration.group.prefix(10))") { engine.run() }
            thread.withLock { $0 = started }
        } catch {
            engine.discard()
            throw error
        }
    }

    package func propose(
        _ command: [UInt8], completion: @escaping @Sendable (Result<[UInt8], ProposalError>) -> Void
    ) {
        let limit = engine.configuration.largestCommand
        guard command.count <= limit else {
            return completion(
                .failure(.refused("the command has \(command.count) bytes; at most \(limit) are allowed")))
        }
        if let error = engine.inbox.add(
            Proposal(command: command, completion: completion), limits: engine.configuration)
        {
            completion(.failure(error))
        }
    }

    package var status: ConsensusStatus { engine.published.withLock { $0 } }

    package func change(
        _ change: MembershipChange, completion: @escaping @Sendable (Result<Void, ProposalError>) -> Void
    ) {
        if !engine.inbox.add(.change(change, completion)) { completion(.failure(.refused("the node is stopping"))) }
    }

    package func observe(_ body: @escaping @Sendable (ConsensusStatus) -> Void) {
        engine.observer.withLock { $0 = body }
    }

    package func accept(stream: Int32, from id: UInt64, name: String) {
        if !engine.inbox.add(.accepted(descriptor: stream, id: id, name: name)) { close(stream) }
    }

    /// Not from the engine's own thread.
    package func stop() {
        _ = engine.inbox.add(.stop)
        thread.withLock { $0.take() }?.join()
    }

    /// How often the guards against the library's defects were needed. As of the last turn of the engine's loop.
    package var guards: RaftGuardCounters { engine.guards.withLock { $0 } }
}

package struct RaftGuardCounters: Sendable, Equatable {
    /// Snapshots that arrived while one was being written.
    package var droppedSnapshots: UInt64 = 0
    /// Snapshots that would have been sent with a wrong term.
    package var relabelledSnapshots: UInt64 = 0
    /// Snapshots damaged on disk or on the way.
    package var refusedSnapshots: UInt64 = 0
}
