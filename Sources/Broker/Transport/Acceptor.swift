import Access
import CLinux
import ConfigSchema
import Glibc
import Synchronization

/// A connection that has been accepted and counted in, on its way to a shard.
struct Accepted: Sendable {
    let descriptor: Int32
    let endpoints: Endpoints
    let opening: ListenerContext.Opening
}

/// The thread that accepts connections and deals them out to the shards in turn.
///
/// One listening socket per listener, so that a second broker on the same port is refused by the kernel, and an even
/// spread whatever the timing. Accepting is cold: the hand-over of a descriptor is one mail.
final class Acceptor: @unchecked Sendable {  // `listeners` is the thread's once it runs
    /// Takes a connection over; called on the acceptor's thread.
    typealias Adopt = @Sendable (Accepted) -> Void

    private struct Listening {
        let socket: ListeningSocket
        let context: ListenerContext
        let targets: [Adopt]
        var next = 0
        var bucket: TokenBucket?
    }

    private var listeners: [Listening] = []
    private let stopEvent: Int32
    private let stopping = Atomic<Bool>(false)
    private let lines: LogThrottle

    init(lines: LogThrottle) throws(TransportError) {
        self.lines = lines
        stopEvent = eventfd(0, Int32(EFD_CLOEXEC))
        guard stopEvent >= 0 else { throw TransportError("eventfd", errno) }
    }

    deinit { Glibc.close(stopEvent) }

    /// Binds and listens; before ``run()``.
    /// - Parameter targets: the shards, as takers of connections.
    /// - Returns: where it listens.
    func listen(_ context: ListenerContext, _ options: ListenerOptions, targets: [Adopt]) throws(TransportError)
        -> String
    {
        let socket: ListeningSocket
        let address: String
        if let path = options.path {
            socket = try ListeningSocket.unix(path: path, backlog: options.backlog)
            address = options.address(port: 0)
        } else {
            let port: Int
            (socket, port) = try ListeningSocket.tcp(host: options.host, port: options.port, backlog: options.backlog)
            address = options.address(port: port)
        }
        let bucket = context.connectionRate.map { TokenBucket($0, now: Self.now) }
        listeners.append(Listening(socket: socket, context: context, targets: targets, bucket: bucket))
        return address
    }

    /// On the thread of ``run()``, or by the owner of one that does not run.
    func closeListeners() {
        for listening in listeners { listening.socket.close() }
        listeners = []
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        var one: UInt64 = 1
        _ = Glibc.write(stopEvent, &one, 8)
    }

    /// Accepts until ``stop()``; on a thread of its own. Closes the listening sockets at the end.
    func run() {
        var polls = listeners.map { pollfd(fd: $0.socket.descriptor, events: Int16(POLLIN), revents: 0) }
        polls.append(pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0))
        while !stopping.load(ordering: .acquiring) {
            let pause = holdBack(&polls)
            guard poll(&polls, nfds_t(polls.count), pause) > 0 else { continue }
            for position in listeners.indices where polls[position].revents != 0 {
                if !acceptBurst(&listeners[position]) {
                    // No descriptors left: give connections time to end instead of spinning.
                    var stop = [pollfd(fd: stopEvent, events: Int16(POLLIN), revents: 0)]
                    poll(&stop, 1, 200)
                }
            }
        }
        closeListeners()
    }

    /// Leaves out the listeners that have taken as many as they may for now: what comes waits in their backlog.
    /// - Returns: milliseconds until the first of them may go on; -1 when none waits.
    private func holdBack(_ polls: inout [pollfd]) -> Int32 {
        var pause: Int64 = .max
        for position in listeners.indices {
            let wait = listeners[position].bucket?.wait(now: Self.now) ?? 0
            polls[position].events = wait == 0 ? Int16(POLLIN) : 0
            polls[position].revents = 0
            if wait > 0 { pause = min(pause, wait) }
        }
        return pause == .max ? -1 : Int32(clamping: pause)
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private func configure(_ descriptor: Int32, _ context: ListenerContext, isTCP: Bool) {
        func set(_ level: Int32, _ option: Int32, _ value: Int) {
            var value = Int32(clamping: value)
            setsockopt(descriptor, level, option, &value, 4)
        }
        if let bytes = context.receiveBuffer { set(SOL_SOCKET, SO_RCVBUF, bytes) }
        if let bytes = context.sendBuffer { set(SOL_SOCKET, SO_SNDBUF, bytes) }
        guard isTCP else { return }
        if context.noDelay { set(Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
        guard let keepAlive = context.keepAlive else { return }
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, keepAlive.idle)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, keepAlive.interval)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, keepAlive.probes)
    }

    /// - Returns: false when the process or system has no more descriptors.
    private func acceptBurst(_ listening: inout Listening) -> Bool {
        for _ in 0..<64 {
            if let wait = listening.bucket?.wait(now: Self.now), wait > 0 { return true }
            var address = SocketAddress()
            let descriptor = address.withMutablePointer {
                sluice_accept(listening.socket.descriptor, $0, $1)
            }
            guard descriptor >= 0 else {
                if errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS {
                    lines.log(
                        .error, "No connection can be accepted; raise the limit of open files.",
                        metadata: [
                            "listener.id": "\(listening.context.id)", "error": "\(TransportError("accept", errno))",
                        ])
                    return false
                }
                return true
            }
            listening.bucket?.take(1, now: Self.now)
            handOver(descriptor, address, &listening)
        }
        return true
    }

    private func handOver(_ descriptor: Int32, _ address: SocketAddress, _ listening: inout Listening) {
        let context = listening.context
        guard let opening = context.opening(for: address.network), context.admit() else {
            Glibc.close(descriptor)
            return
        }
        configure(descriptor, context, isTCP: !address.isUnix)
        let endpoints = Endpoints(
            // Who reaches a unix socket is on this machine.
            peerHost: address.isUnix ? "127.0.0.1" : address.host, peerPort: address.port,
            localName: SocketAddress.local(of: descriptor)?.text ?? "")
        listening.targets[listening.next % listening.targets.count](
            Accepted(descriptor: descriptor, endpoints: endpoints, opening: opening))
        listening.next &+= 1
    }
}
