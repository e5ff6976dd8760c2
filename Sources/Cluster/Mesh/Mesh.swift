package import Buffers
import CLinux
package import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// The links between this node and all others over TCP: TLS 1.3, both ends prove the cluster's cookie, one event-loop thread.
///
/// Thread-safe. Made, told its owners and handlers, then started; it stays usable, and silent, after ``stop()``.
package final class Mesh: MeshLinks {
    package let name: NodeName
    private let group: MultiThreadedEventLoopGroup
    private let core: MeshCore
    private let listener = Mutex<(any Channel)?>(nil)
    /// What comes in before it is carried out before the thread ends.
    private let isStopped = Mutex(false)
    /// One for each slot, made once: waking costs no allocation of a closure.
    private let wakers: [@Sendable () -> Void]

    /// - Throws: ``MeshFileError`` when certificate, key or authorities are of no use.
    package init(_ options: MeshOptions, logger: Logger) throws(MeshFileError) {
        name = options.name
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do { core = try MeshCore(options, loop: group.next(), logger: logger) } catch {
            group.shutdownGracefully { _ in }
            throw MeshFileError("TLS of the mesh: \(error)")
        }
        wakers = (0..<MeshCore.slotCount).map { [core] slot in { core.wake(slot) } }
    }

    // MARK: Start and stop

    /// Listens, and dials the members. Blocks for the moment that a bind takes.
    /// - Throws: when the address can't be had.
    package func start() throws(MeshFileError) {
        let core = core
        core.loop.execute { sluice_name_thread("mesh") }
        let (listen, beat) = (core.options.listen, core.options.keepAliveMilliseconds)
        if let listen {
            do { try self.listen(listen) } catch {
                throw MeshFileError("nodes can't be waited for at \(listen): \(error)")
            }
        }
        let interval = TimeAmount.milliseconds(Int64(beat))
        core.loop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { task in
            guard !core.isStopped else { return task.cancel() }
            core.tick(every: interval)
        }
    }

    private func listen(_ address: MeshAddress) throws {
        let core = core
        let channel = try ServerBootstrap(group: core.loop)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelOption(.writeBufferWaterMark, value: MeshCore.waterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        NIOSSLServerHandler(context: core.serverTLS), MeshConnection(core: core, request: nil))
                }
            }
            .bind(host: address.host, port: address.port).wait()
        listener.withLock { $0 = channel }
    }

    /// Where it listens, as the system has it.
    package var boundPort: Int? { listener.withLock { $0?.localAddress?.port } }

    /// Says goodbye to the others, tells the owners that they are down, and ends the thread. Blocks; not for the mesh's thread.
    package func stop() {
        let core = core
        let last: EventLoopFuture<Void>? = isStopped.withLock { isStopped in
            guard !isStopped else { return nil }
            isStopped = true
            return core.loop.submit { core.stop() }
        }
        guard let last else { return }
        let listener = listener.withLock { $0.take() }
        // An error says that it is closed.
        try? listener?.close().wait()
        try? last.wait()
        try? group.syncShutdownGracefully()
    }

    /// On the mesh's thread.
    /// - Returns: false when that has ended.
    @discardableResult
    private func run(_ body: @escaping @Sendable (MeshCore) -> Void) -> Bool {
        isStopped.withLock { isStopped in
            if !isStopped { core.loop.execute { [core] in body(core) } }
            return !isStopped
        }
    }

    // MARK: What it is told

    /// Where a node may be, besides what its membership says. Called on the mesh's thread; must not block.
    package func resolve(_ resolver: @escaping @Sendable (NodeName) -> [MeshAddress]) {
        run { core in core.resolver = resolver }
    }

    package func observe(_ observer: @escaping @Sendable (MeshEvent) -> Void) {
        run { core in core.observer = observer }
    }

    /// The other members of the cluster: a link to each is kept up, all others end.
    /// - Parameter removed: ids of nodes that are told so when they come.
    package func setPeers(_ members: [MeshMember], removed: Set<UInt64> = []) {
        run { core in core.setMembers(members, removed: removed) }
    }

    /// What this node says of itself from now on. With another id or cluster, all links begin anew.
    package func introduce(nodeID: UInt64, clusterID: UInt64, epoch: UInt64, role: NodeRole) {
        run { core in
            core.introduce(nodeID: nodeID, clusterID: clusterID, epoch: epoch, role: role)
        }
    }

    package func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) {
        run { core in core.owners[Int(lane.rawValue) - 1] = owner }
    }

    package func handle(
        _ method: MeshMethod,
        _ handler:
            @escaping @Sendable (
                _ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
            ) -> Void
    ) { core.handlers.withLock { $0[method] = handler } }

    // MARK: Lanes

    package var peers: [MeshPeer] { core.published.withLock { $0 } }

    package func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 {
        guard core.outboxes.indices.contains(slot) else { return 0 }
        let (number, wakes) = core.outboxes[slot].post(batch, lane: Int(lane.rawValue) - 1)
        if wakes { core.loop.execute(wakers[slot]) }
        return number
    }

    package func backlog(of slot: Int) -> Int {
        core.outboxes.indices.contains(slot) ? core.outboxes[slot].backlog : 0
    }

    /// A buffer for a batch; it comes back when the batch has been acknowledged.
    package func takeBuffer() -> OutputBuffer { core.pool.take() }

    /// As long as a lane is held, the node there sends no more of it than ``MeshOptions/window``: for an owner that can't keep up.
    package func hold(_ lane: MeshLane, from slot: Int, _ isHeld: Bool) {
        run { core in
            guard let peer = core.slots.indices.contains(slot) ? core.slots[slot] : nil else { return }
            peer.lanes[Int(lane.rawValue) - 1].isHeld = isHeld
            peer.link?.pump()
        }
    }

    // MARK: Calls

    package func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) {
        let isRunning = run { core in
            let link = core.peers[node]?.link.flatMap { $0.isResumed ? $0 : nil } ?? core.guests[node]
            guard let link, !core.isStopped else { return completion(.failure(.notConnected)) }
            link.call(method, body, timeoutMilliseconds: timeoutMilliseconds, completion)
        }
        if !isRunning { completion(.failure(.notConnected)) }
    }

    /// Reaches the node at `host:port`, whoever it is; both prove that they know the cookie. From then on it can be called by its
    /// name: as long as this node is no member there, it answers to `join` alone.
    package func connect(
        to address: String, timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<MeshPeer, MeshError>) -> Void
    ) {
        guard let parsed = MeshAddress(address) else {
            return completion(.failure(.refused("\"\(address)\" is no host:port")))
        }
        let isRunning = run { core in
            guard !core.isStopped else { return completion(.failure(.notConnected)) }
            core.connect(parsed, timeoutMilliseconds: timeoutMilliseconds, completion)
        }
        if !isRunning { completion(.failure(.notConnected)) }
    }

    // MARK: Streams

    /// A stream of bytes to a member: a connected descriptor, which is then the caller's; nil when there is none to be had.
    /// - Parameter id: 0 for any.
    package func openStream(
        to id: UInt64, name: String, group: UInt64, connected: @escaping @Sendable (Int32?) -> Void
    ) {
        let isRunning = run { $0.openStream(to: NodeName(name), id: id, group: group, connected) }
        if !isRunning { connected(nil) }
    }

    /// Of group 0.
    package func openStream(to id: UInt64, name: String, connected: @escaping @Sendable (Int32?) -> Void) {
        openStream(to: id, name: name, group: 0, connected: connected)
    }

    /// Who gets the streams of a group that other nodes open.
    package func acceptStreams(
        group: UInt64,
        _ body: @escaping @Sendable (_ descriptor: Int32, _ id: UInt64, _ name: String) -> Void
    ) {
        run { core in core.streamTakers[group] = body }
    }

    /// Of group 0.
    package func acceptStreams(
        _ body: @escaping @Sendable (_ descriptor: Int32, _ id: UInt64, _ name: String) -> Void
    ) { acceptStreams(group: 0, body) }

    // MARK: Faults and figures

    /// Fault injection: keeps these nodes away, and no others. For tests.
    package func setBlocked(_ names: [NodeName: MeshBlock]) {
        run { core in core.setBlocked(names) }
    }

    package func block(_ names: [NodeName], _ mode: MeshBlock = .cut) {
        run { core in
            core.setBlocked(core.blocked.merging(names.map { ($0, mode) }) { $1 })
        }
    }

    package func unblock(_ names: [NodeName]? = nil) {
        run { core in
            core.setBlocked(names.map { names in core.blocked.filter { !names.contains($0.key) } } ?? [:])
        }
    }

    /// Waits for the mesh's thread unless it is asked there; empty after the stop.
    package var linkStatuses: [MeshLinkStatus] { read([]) { $0.statuses } }
    package var counters: MeshCounters { read(MeshCounters()) { $0.counters } }

    private func read<T: Sendable>(_ otherwise: T, _ body: @escaping @Sendable (MeshCore) -> T) -> T {
        let core = core
        if core.loop.inEventLoop { return body(core) }
        let answer = isStopped.withLock { $0 ? nil : core.loop.submit { body(core) } }
        return (try? answer?.wait()) ?? otherwise
    }
}
