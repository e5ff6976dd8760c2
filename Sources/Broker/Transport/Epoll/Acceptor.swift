import CLinux
import Glibc
import Logging
import Synchronization

/// The thread that accepts TCP connections and deals them out to the shards in turn.
///
/// One listening socket per listener, so that a second broker on the same port is refused by the kernel, and an even
/// spread whatever the timing. Accepting is cold: the hand-over of a descriptor is one mail.
final class Acceptor: @unchecked Sendable {  // `listeners` is the thread's once it runs
    private struct Listening {
        let descriptor: Int32
        let context: ListenerContext
    }

    private var listeners: [Listening] = []
    private let loops: [EpollLoop]
    private let stopEvent: Int32
    private let stopping = Atomic<Bool>(false)
    private let logger: Logger
    private var next = 0

    init(loops: [EpollLoop], logger: Logger) throws(TransportError) {
        self.loops = loops
        self.logger = logger
        stopEvent = eventfd(0, Int32(EFD_CLOEXEC))
        guard stopEvent >= 0 else { throw TransportError("eventfd", errno) }
    }

    deinit { Glibc.close(stopEvent) }

    /// Binds and listens; before ``run()``.
    /// - Returns: the port in use, which tells when 0 was asked for.
    func listen(_ context: ListenerContext, host: String, port: Int, backlog: Int) throws(TransportError) -> Int {
        var address = try SocketAddress(host: host, port: port)
        let descriptor = socket(
            Int32(address.family),
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TransportError("socket", errno) }
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, 4)
        guard address.withPointer({ bind(descriptor, $0, $1) }) == 0 else { throw closing(descriptor, "bind") }
        guard Glibc.listen(descriptor, Int32(clamping: backlog)) == 0 else { throw closing(descriptor, "listen") }
        listeners.append(Listening(descriptor: descriptor, context: context))
        return SocketAddress.local(of: descriptor)?.port ?? port
    }

    private func closing(_ descriptor: Int32, _ call: String) -> TransportError {
        let error = TransportError(call, errno)
        Glibc.close(descriptor)
        return error
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        var one: UInt64 = 1
        _ = Glibc.write(stopEvent, &one, 8)
    }

    /// Accepts until ``stop()``; on a thread of its own. Closes the listening sockets at the end.
    func run() {
        var polls = listeners.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        polls.append(pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0))
        while !stopping.load(ordering: .acquiring) {
            guard poll(&polls, nfds_t(polls.count), -1) > 0 else { continue }
            for (position, listening) in listeners.enumerated() where polls[position].revents != 0 {
                if !acceptBurst(listening) {
                    // No descriptors left: give connections time to end instead of spinning.
                    var stop = [pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0)]
                    poll(&stop, 1, 200)
                }
            }
        }
        closeListeners()
    }

    /// On the thread of ``run()``, or by the owner of one that does not run.
    func closeListeners() {
        for listening in listeners { Glibc.close(listening.descriptor) }
        listeners.removeAll()
    }

    private func configure(_ descriptor: Int32, _ context: ListenerContext) {
        func set(_ level: Int32, _ option: Int32, _ value: Int) {
            var value = Int32(clamping: value)
            setsockopt(descriptor, level, option, &value, 4)
        }
        if context.noDelay { set(Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        if let bytes = context.receiveBuffer { set(SOL_SOCKET, SO_RCVBUF, bytes) }
        if let bytes = context.sendBuffer { set(SOL_SOCKET, SO_SNDBUF, bytes) }
        guard let keepAlive = context.keepAlive else { return }
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, keepAlive.idle)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, keepAlive.interval)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, keepAlive.probes)
    }

    /// - Returns: false when the process or system has no more descriptors.
    private func acceptBurst(_ listening: Listening) -> Bool {
        for _ in 0..<64 {
            var address = SocketAddress()
            let descriptor = address.withMutablePointer {
                sluice_accept(listening.descriptor, $0, $1)
            }
            guard descriptor >= 0 else {
                if errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS {
                    logger.error(
                        "No connection can be accepted; raise the limit of open files.",
                        metadata: [
                            "listener.id": "\(listening.context.id)", "error": "\(TransportError("accept", errno))",
                        ])
                    return false
                }
                return true
            }
            guard listening.context.admit() else {
                Glibc.close(descriptor)
                continue
            }
            configure(descriptor, listening.context)
            let endpoints = Endpoints(
                peerHost: address.host, peerPort: address.port,
                localName: SocketAddress.local(of: descriptor)?.text ?? "")
            let loop = loops[next % loops.count]
            next &+= 1
            let context = listening.context
            loop.shard.execute { _ in loop.adopt(descriptor, listener: context, endpoints: endpoints) }
        }
        return true
    }
}
