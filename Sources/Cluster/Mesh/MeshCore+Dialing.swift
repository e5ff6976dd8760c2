import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// Connections that this node opens.
extension MeshCore {
    /// Opens one.
    func open(
        _ address: MeshAddress, _ hello: MeshHello, expected: NodeName?,
        _ done: @escaping (Result<MeshConnection, DialFailure>) -> Void
    ) {
        let connection = MeshConnection(
            core: self, request: .init(hello: hello, expected: expected, done: done))
        let tls = clientTLS
        ClientBootstrap(group: loop)
            .connectTimeout(.milliseconds(Int64(min(options.failureMilliseconds, 2_000))))
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(.writeBufferWaterMark, value: Self.waterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers(
                        NIOSSLClientHandler(context: tls, serverHostname: nil), connection)
                }
            }
            .connect(host: address.host, port: address.port).assumeIsolated()
            .whenFailure { connection.connectFailed($0) }
    }

    static var waterMark: ChannelOptions.Types.WriteBufferWaterMark { .init(low: 256 * 1024, high: 1024 * 1024) }

    func candidates(_ name: NodeName) -> [MeshAddress] {
        var all: [MeshAddress] = []
        let known = [members[name]?.address, peers[name]?.acquaintance] + (resolver?(name) ?? []).map { $0 }
        for address in known + [peers[name]?.lastHello.flatMap { MeshAddress($0.address) }] {
            if let address, !all.contains(address) { all.append(address) }
        }
        return all
    }

    // MARK: Links

    /// The node with the smaller name dials at once; the other one only when nothing has come.
    func dialSoon(_ peer: PeerState) {
        let patience = options.name < peer.name ? 0 : options.failureMilliseconds / 10
        dial(peer, afterMilliseconds: patience)
    }

    func dial(_ peer: PeerState, afterMilliseconds delay: Int) {
        peer.dialTask?.cancel()
        peer.dialTask = loop.scheduleTask(in: .milliseconds(Int64(delay))) { [weak self, name = peer.name] in
            guard let self, let peer = peers[name] else { return }
            dial(peer)
        }
    }

    private func dial(_ peer: PeerState) {
        guard !isStopped, peer.isWanted, peer.link == nil, !peer.isDialing, !isBlocked(peer.name) else { return }
        let candidates = candidates(peer.name)
        guard !candidates.isEmpty else {
            note(peer, "no address is known")
            return dial(peer, afterMilliseconds: retry(peer))
        }
        let address = candidates[peer.candidate % candidates.count]
        peer.candidate += 1
        peer.address = address.description
        peer.isDialing = true
        open(address, hello(intent: .link), expected: peer.name) { [weak self, weak peer] result in
            guard let self, let peer else { return }
            peer.isDialing = false
            switch result {
            case .success(let connection):
                if let hello = connection.hello { adopt(connection, hello, peer) }
            case .failure(let failure): failed(peer, failure)
            }
        }
    }

    private func failed(_ peer: PeerState, _ failure: DialFailure) {
        counters.failedDials += 1
        if failure.refusal != .duplicate { note(peer, failure.text) }
        peer.refusedConnections = failure.isConnectionRefused ? peer.refusedConnections + 1 : 0
        // Nobody listens where a node has just closed its connection: its process is gone.
        let isGone = peer.refusedConnections >= 2 || failure.refusal?.endsMembership == true
        if peer.isUp, peer.link == nil, isGone { takeDown(peer, failure.text) }
        dial(peer, afterMilliseconds: retry(peer))
    }

    /// Milliseconds until the next attempt: 50 doubled each time up to a second, more or less a quarter.
    private func retry(_ peer: PeerState) -> Int {
        peer.failures = min(peer.failures + 1, 5)
        let delay = min(1_000, 25 << peer.failures)
        return delay * Int.random(in: 75...125) / 100
    }

    func note(_ peer: PeerState, _ failure: String) {
        let now = NIODeadline.now()
        // Reasons that take turns fill no log.
        if peer.lastFailure != failure, peer.lastLogged.map({ now - $0 > .seconds(5) }) ?? true {
            peer.lastLogged = now
            logger.info(
                "There is no link to a node.", metadata: ["peer.name": "\(peer.name)", "reason": "\(failure)"])
        }
        peer.lastFailure = failure
        peer.lastFailureTime = time(nil)
    }

    // MARK: Guests and streams

    /// Reaches whoever answers at that address.
    func connect(
        _ address: MeshAddress, timeoutMilliseconds: Int,
        _ completion: @escaping @Sendable (Result<MeshPeer, MeshError>) -> Void
    ) {
        var waiting: ((Result<MeshPeer, MeshError>) -> Void)? = completion
        let finish = { (result: Result<MeshPeer, MeshError>) in
            let completion = waiting
            waiting = nil
            completion?(result)
        }
        let bound = NIOLoopBound(finish, eventLoop: loop)
        let timeout = loop.scheduleTask(in: .milliseconds(Int64(timeoutMilliseconds))) {
            bound.value(.failure(.timedOut))
        }
        open(address, hello(intent: .guest), expected: nil) { [weak self] result in
            timeout.cancel()
            guard let self else { return }
            switch result {
            case .success(let connection):
                guard let hello = connection.hello else { return finish(.failure(.notConnected)) }
                // One with calls under way ends by itself when it is not used any more.
                if let old = guests[hello.name], old.calls.isEmpty {
                    old.connection.close("another connection took its place")
                }
                guests[hello.name] = receive(guest: connection, hello)
                acquaint(hello, address)
                finish(.success(peers[hello.name]?.peer ?? hello.peer(slot: -1)))
            case .failure(let failure):
                finish(.failure(failure.refusal.map { .refused($0.explanation) } ?? .notConnected))
            }
        }
    }

    /// A node that has been let in, and has not got the list of members yet, keeps links to those it asked.
    private func acquaint(_ hello: MeshHello, _ address: MeshAddress) {
        guard members.isEmpty, options.clusterID != 0, hello.clusterID == options.clusterID,
            let peer = peer(named: hello.name)
        else { return }
        peer.acquaintance = address
        retired.removeAll { $0 == hello.name }
        if peer.link == nil { dial(peer, afterMilliseconds: 0) }
    }

    func openStream(
        to name: NodeName, id: UInt64, group: UInt64, _ connected: @escaping @Sendable (Int32?) -> Void
    ) {
        let candidates = candidates(name)
        guard !isStopped, !candidates.isEmpty, !isBlocked(name) else { return connected(nil) }
        attempts += 1
        let address = candidates[Int(attempts % UInt64(candidates.count))]
        open(address, hello(intent: .stream, group: group), expected: name) { [weak self] result in
            guard let self, case .success(let connection) = result, let hello = connection.hello else {
                return connected(nil)
            }
            guard id == 0 || hello.nodeID == id else {
                connection.close(MeshRefusal.otherID.explanation)
                return connected(nil)
            }
            bridge(connection, hello, connected)
        }
    }
}
