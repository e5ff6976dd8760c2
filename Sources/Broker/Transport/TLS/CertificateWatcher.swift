import Glibc
import Logging
import Synchronization

/// Sees that the files of the TLS listeners have changed, and has them read again. A thread of its own.
///
/// `@unchecked Sendable`: what it watches is under its lock; the thread is the node's to start and stop.
///
/// Looks each second instead of being told: certificates change behind symbolic links and mounts as often as in place.
final class CertificateWatcher: @unchecked Sendable {
    private struct Watched {
        let listener: NIOListener
        let tls: TLSContexts
        var state: [FileState]
    }

    /// What tells one version of a file from the next.
    private struct FileState: Equatable {
        var inode: UInt64 = 0
        var size = 0
        var seconds = 0
        var nanoseconds = 0

        init(_ path: String) {
            var status = stat()
            guard stat(path, &status) == 0 else { return }
            inode = UInt64(status.st_ino)
            size = Int(status.st_size)
            seconds = status.st_mtim.tv_sec
            nanoseconds = status.st_mtim.tv_nsec
        }
    }

    private static let interval = 1000
    private let watched: Guarded<[Watched]>
    private let logger: Logger
    private let stopSignal = DoneSignal()
    private let stopping = Atomic<Bool>(false)
    private var thread: ThreadRunner?

    init(_ listeners: [NIOListener], logger: Logger) {
        watched = Guarded(
            listeners.compactMap { listener in
                listener.tls.map { Watched(listener: listener, tls: $0, state: $0.files.map(FileState.init)) }
            })
        self.logger = logger
    }

    /// Does nothing without a TLS listener.
    func start() throws(TransportError) {
        guard !watched.withLock({ $0.isEmpty }) else { return }
        thread = try ThreadRunner(name: "certificates") { [self] in
            while !stopping.load(ordering: .acquiring) {
                if !stopSignal.wait(milliseconds: Self.interval) { look(force: false) }
            }
        }
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        stopSignal.signal()
        thread?.join()
        thread = nil
    }

    /// Reads the files again that have changed, or all. What can't be used leaves the certificates before in force.
    func look(force: Bool) {
        watched.withLock { watched in
            for position in watched.indices {
                let state = watched[position].tls.files.map(FileState.init)
                guard force || state != watched[position].state else { continue }
                watched[position].state = state
                reload(watched[position])
            }
        }
    }

    private func reload(_ watched: Watched) {
        let id = watched.listener.context.id
        do {
            try watched.tls.reload()
            logger.notice(
                "Certificates were read again; they count from the next connection on.",
                metadata: ["listener.id": "\(id)"])
        } catch {
            logger.error(
                "Certificates could not be read again; those before stay in force.",
                metadata: ["listener.id": "\(id)", "error": "\(error)"])
        }
    }
}
