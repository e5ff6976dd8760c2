import Buffers
import CLinux
import Glibc
import Logging
import Synchronization

/// A shard's thread over epoll: waits, reads what came, takes the mail, ends the tick.
///
/// One `recv` per readable connection and round, into a buffer that all connections of the shard share; level-triggered,
/// so a connection with more to say comes up again behind the others. No timer object, no closure, no lock per message.
///
/// `@unchecked Sendable`: everything but `stopping` and the event descriptor belongs to the thread that runs ``run()``.
final class EpollLoop: @unchecked Sendable {
    private static let batch = 512
    private static let readSize = 64 * 1024
    private static let timerInterval: Int64 = 500
    /// Milliseconds for which messages for rules, and rows for sinks, may gather under load.
    private static let linger: Int64 = 4
    /// What the event descriptor's events carry in place of a slot.
    private static let wakeMark = UInt64.max

    let shard: Shard
    private let epoll: Int32
    private let event: Int32
    private var events: UnsafeMutablePointer<epoll_event>
    private let readBuffer: UnsafeMutableRawPointer
    private var slots: [EpollTransport?] = []
    private var generations: [UInt32] = []
    private var freeSlots: [Int] = []
    /// Connections whose PROXY header has not come, among others that it has come for meanwhile.
    private var awaitingHeader: [EpollTransport] = []
    private let stopping = Atomic<Bool>(false)
    private let wakePending = Atomic<Bool>(false)

    init(shard: Shard) throws(TransportError) {
        self.shard = shard
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw TransportError("epoll_create1", errno) }
        event = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
        guard event >= 0 else {
            let error = errno
            Glibc.close(epoll)
            throw TransportError("eventfd", error)
        }
        events = .allocate(capacity: Self.batch)
        readBuffer = .allocate(byteCount: Self.readSize + 64, alignment: 64)
        var registration = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: Self.wakeMark))
        epoll_ctl(epoll, EPOLL_CTL_ADD, event, &registration)
        shard.wake = { [unowned self] in self.wake() }
        shard.rules.linger = Self.linger
    }

    deinit {
        events.deallocate()
        readBuffer.deallocate()
        Glibc.close(event)
        Glibc.close(epoll)
    }

    /// From any thread.
    func wake() {
        guard !wakePending.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        _ = Glibc.write(event, &one, 8)
    }

    func stop() {
        stopping.store(true, ordering: .releasing)
        wake()
    }

    /// Runs until ``stop()``; on a thread of its own.
    func run() {
        var nextTimer = shard.now + Self.timerInterval
        while !stopping.load(ordering: .acquiring) {
            let wait = max(0, min(nextTimer, shard.rules.due) - shard.now)
            let count = epoll_wait(epoll, events, Int32(Self.batch), Int32(wait))
            shard.readClock()
            if count > 0 { handle(Int(count)) }
            if shard.now >= nextTimer {
                shard.timerTick()
                endLateHeaders()
                nextTimer = shard.now + Self.timerInterval
            }
            shard.endTick()
        }
        for transport in slots { transport?.close() }
    }

    private func handle(_ count: Int) {
        // The mail first: what it brings was sent before anything that its sender's clients then said.
        for position in 0..<count where events[position].data.u64 == Self.wakeMark { takeMail() }
        for position in 0..<count {
            let event = events[position]
            guard event.data.u64 != Self.wakeMark else { continue }
            let slot = Int(event.data.u64 & 0xFFFF_FFFF)
            guard generations[slot] == UInt32(event.data.u64 >> 32), let transport = slots[slot] else { continue }
            handle(event.events, of: transport)
        }
    }

    private func takeMail() {
        var count: UInt64 = 0
        _ = Glibc.read(event, &count, 8)
        wakePending.store(false, ordering: .releasing)
        shard.drainMailbox()
    }

    @inline(__always)
    private func handle(_ flags: UInt32, of transport: EpollTransport) {
        if flags & EPOLLOUT.rawValue != 0 { transport.becameWritable() }
        if flags & EPOLLIN.rawValue != 0 {
            read(transport)
        } else if flags & (EPOLLHUP.rawValue | EPOLLERR.rawValue) != 0 {
            transport.peerGone()
        }
    }

    @inline(__always)
    private func read(_ transport: EpollTransport) {
        guard transport.stage == .open else { return readFirst(transport) }
        guard let connection = transport.connection, transport.descriptor >= 0 else { return }
        let count = recv(transport.descriptor, readBuffer, Self.readSize, 0)
        if count > 0 {
            connection.receive(Bytes(start: readBuffer, count: count))
        } else if count == 0 {
            connection.transportClosed("tcp_closed")
        } else if errno != EAGAIN, errno != EINTR {
            connection.transportClosed("tcp_closed")
        }
    }

    // MARK: The first bytes

    /// Reads what a connection begins with: a PROXY header, or bytes that should be none.
    @inline(never)
    private func readFirst(_ transport: EpollTransport) {
        guard transport.descriptor >= 0 else { return }
        let count = recv(transport.descriptor, readBuffer, Self.readSize, 0)
        guard count > 0 else {
            if count == 0 || errno != EAGAIN && errno != EINTR { transport.peerGone() }
            return
        }
        let bytes = Bytes(start: readBuffer, count: count)
        if let wait = transport.header { return readHeader(bytes, wait, transport) }
        transport.stage = .open
        guard let connection = transport.connection else { return }
        guard !ProxyHeaderParser.looksLikeHeader(bytes) else {
            transport.listener.sayUnexpectedHeader(from: connection.endpoints.peerHost)
            connection.transportClosed("protocol_error")
            return
        }
        connection.receive(bytes)
    }

    private func readHeader(_ bytes: Bytes, _ wait: EpollTransport.HeaderWait, _ transport: EpollTransport) {
        var taken = 0
        switch wait.parser.feed(bytes, taken: &taken) {
        case .needsMore: return
        case .failed(let error):
            transport.listener.sayBadHeader(error, from: wait.endpoints.peerHost)
            transport.close()
            return
        case .header(let header):
            wait.endpoints.replace(by: header)
            open(transport, wait.endpoints)
        case .absent:
            open(transport, wait.endpoints)
            wait.parser.held.withUnsafeBytes { transport.connection?.receive($0) }
        }
        if taken < bytes.count { transport.connection?.receive(Bytes(rebasing: bytes[taken...])) }
    }

    /// The client is known: from here on its bytes are read.
    private func open(_ transport: EpollTransport, _ endpoints: Endpoints) {
        transport.header = nil
        transport.stage = .open
        transport.connection = Connection(
            shard: shard, transport: transport, endpoints: endpoints, listener: transport.listener)
    }

    private func endLateHeaders() {
        guard !awaitingHeader.isEmpty else { return }
        awaitingHeader.removeAll { transport in
            guard let wait = transport.header, transport.descriptor >= 0 else { return true }
            guard shard.now >= wait.deadline else { return false }
            transport.listener.sayNoHeader(from: wait.endpoints.peerHost)
            transport.close()
            return true
        }
    }

    // MARK: Connections

    /// Takes over an accepted, non-blocking socket. On the loop's thread.
    func adopt(_ accepted: Accepted, listener: ListenerContext) {
        let descriptor = accepted.descriptor
        let slot = freeSlots.popLast() ?? slots.count
        if slot == slots.count {
            slots.append(nil)
            generations.append(0)
        }
        let transport = EpollTransport(descriptor: descriptor, slot: slot, loop: self, listener: listener)
        let mark = UInt64(generations[slot]) << 32 | UInt64(slot)
        transport.mark = mark
        var registration = epoll_event(events: EPOLLIN.rawValue, data: epoll_data_t(u64: mark))
        guard epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &registration) == 0 else {
            shard.lines.log(
                .error, "A connection could not be watched.",
                metadata: ["error": "\(TransportError("epoll_ctl", errno))"])
            Glibc.close(descriptor)
            freeSlots.append(slot)
            listener.release()
            return
        }
        slots[slot] = transport
        switch accepted.opening {
        case .client:
            open(transport, accepted.endpoints)
            transport.stage = .first
        case .header(let isRequired):
            transport.header = EpollTransport.HeaderWait(
                endpoints: accepted.endpoints, isRequired: isRequired, deadline: shard.now + listener.proxyTimeout)
            awaitingHeader.append(transport)
        }
    }

    func setInterest(_ transport: EpollTransport, _ flags: UInt32) {
        var registration = epoll_event(events: flags, data: epoll_data_t(u64: transport.mark))
        epoll_ctl(epoll, EPOLL_CTL_MOD, transport.descriptor, &registration)
    }

    func release(_ transport: EpollTransport) {
        slots[transport.slot] = nil
        generations[transport.slot] &+= 1
        freeSlots.append(transport.slot)
    }
}

/// A connection's socket in an ``EpollLoop``.
final class EpollTransport: Transport {
    enum Stage { case first, open }

    /// What is known while a PROXY header is on its way.
    final class HeaderWait {
        var parser: ProxyHeaderParser
        var endpoints: Endpoints
        /// Monotonic milliseconds.
        let deadline: Int64

        init(endpoints: Endpoints, isRequired: Bool, deadline: Int64) {
            parser = ProxyHeaderParser(isRequired: isRequired)
            self.endpoints = endpoints
            self.deadline = deadline
        }
    }

    private(set) var descriptor: Int32
    let slot: Int
    fileprivate(set) var mark: UInt64 = 0
    /// The owner; closes all of its transports before it goes.
    private unowned(unsafe) let loop: EpollLoop
    fileprivate let listener: ListenerContext
    /// Held until the transport closes; nil while a PROXY header is awaited.
    fileprivate(set) var connection: Connection?
    fileprivate var stage = Stage.first
    fileprivate var header: HeaderWait?
    private var isReading = true
    private var awaitsRoom = false

    init(descriptor: Int32, slot: Int, loop: EpollLoop, listener: ListenerContext) {
        self.listener = listener
        self.descriptor = descriptor
        self.slot = slot
        self.loop = loop
    }

    override func write(_ out: OutputBuffer) -> Bool {
        guard descriptor >= 0 else { return false }
        if awaitsRoom { return true }
        while !out.isEmpty {
            let bytes = out.bytes
            let count = send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count > 0 {
                out.consume(count)
            } else if errno == EAGAIN {
                awaitsRoom = true
                updateInterest()
                return true
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }

    fileprivate func becameWritable() {
        guard awaitsRoom else { return }
        awaitsRoom = false
        updateInterest()
        connection?.transportWritable()
    }

    override func pauseReading() {
        guard isReading else { return }
        isReading = false
        updateInterest()
    }

    override func resumeReading() {
        guard !isReading else { return }
        isReading = true
        updateInterest()
    }

    private func updateInterest() {
        guard descriptor >= 0 else { return }
        loop.setInterest(self, (isReading ? EPOLLIN.rawValue : 0) | (awaitsRoom ? EPOLLOUT.rawValue : 0))
    }

    fileprivate func peerGone() {
        if let connection { connection.transportClosed("tcp_closed") } else { close() }
    }

    override func close() {
        guard descriptor >= 0 else { return }
        Glibc.close(descriptor)
        descriptor = -1
        header = nil
        listener.release()
        loop.release(self)
        connection = nil
    }
}

/// A system call that failed.
struct TransportError: Error, CustomStringConvertible {
    let call: String
    let code: Int32

    init(_ call: String, _ code: Int32) {
        self.call = call
        self.code = code
    }

    var description: String { "\(call): \(String(cString: strerror(code)))" }
}
