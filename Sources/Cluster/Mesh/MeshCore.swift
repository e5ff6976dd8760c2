import Buffers
import Glibc
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// All of a mesh that has one thread. Confined to ``loop``, hence the unchecked conformance; what other threads use is `let`
/// and safe by itself.
final class MeshCore: @unchecked Sendable {
    static let slotCount = 64
    static let mostGuests = 256
    static let mostStreams = 1024
    typealias Handler =
        @Sendable (_ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void)
        -> Void

    // Safe from any thread.
    let loop: any EventLoop
    let outboxes: [PeerOutbox]
    let pool = BufferPool()
    let handlers = Mutex<[MeshMethod: Handler]>([:])
    let published = Mutex<[MeshPeer]>([])

    // The loop's.
    var options: MeshOptions
    let logger: Logger
    let serverTLS: NIOSSLContext
    let clientTLS: NIOSSLContext
    var resolver: (@Sendable (NodeName) -> [MeshAddress])?
    var observer: (@Sendable (MeshEvent) -> Void)?
    var owners: [(any MeshLaneOwner)?] = MeshLane.allCases.map { _ in nil }
    var streamTakers: [UInt64: @Sendable (_ descriptor: Int32, _ id: UInt64, _ name: String) -> Void] = [:]
    var members: [NodeName: MeshMember] = [:]
    var removed: Set<UInt64> = []
    var peers: [NodeName: PeerState] = [:]
    var slots: [PeerState?]
    /// Of names that are wanted no more, the one that has been so for the longest time first.
    var retired: [NodeName] = []
    var guests: [NodeName: MeshLink] = [:]
    var guestLinks: [ObjectIdentifier: MeshLink] = [:]
    var streams: [ObjectIdentifier: StreamBridge] = [:]
    /// Incoming connections that have proven nothing yet, the oldest first.
    var opening: [MeshConnection] = []
    var blocked: [NodeName: MeshBlock] = [:]
    /// Of blocked nodes.
    var unanswered: [MeshConnection] = []
    var counters = MeshCounters()
    var attempts: UInt64 = 0
    var isStopped = false
    var lastTick: NIODeadline?
    private var complaints: [MeshRefusal: NIODeadline] = [:]

    init(_ options: MeshOptions, loop: any EventLoop, logger: Logger) throws {
        self.options = options
        self.loop = loop
        self.logger = logger
        outboxes = (0..<Self.slotCount).map { _ in PeerOutbox(limit: options.backlogLimit) }
        slots = [PeerState?](repeating: nil, count: Self.slotCount)
        let certificate = options.certificate
        var server = TLSConfiguration.makeServerConfiguration(
            certificateChain: certificate.chain.map { .certificate($0) }, privateKey: .privateKey(certificate.key))
        server.minimumTLSVersion = .tlsv13
        var client = TLSConfiguration.makeClientConfiguration()
        client.minimumTLSVersion = .tlsv13
        client.certificateChain = server.certificateChain
        client.privateKey = server.privateKey
        if certificate.authorities.isEmpty {
            // The proof of the cookie covers the certificate that was seen.
            client.certificateVerification = .none
        } else {
            server.trustRoots = .certificates(certificate.authorities)
            client.trustRoots = server.trustRoots
            server.certificateVerification = .noHostnameVerification
            client.certificateVerification = .noHostnameVerification
        }
        serverTLS = try NIOSSLContext(configuration: server)
        clientTLS = try NIOSSLContext(configuration: client)
    }

    func hello(intent: MeshIntent, group: UInt64 = 0) -> MeshHello {
        attempts += 1
        return MeshHello(options, intent: intent, group: group, attempt: attempts)
    }

    func tell(_ event: MeshEvent) {
        switch event {
        // Of two links one goes: nothing that concerns the membership.
        case .refused(_, .duplicate), .refusedBy(_, .duplicate): return
        default: observer?(event)
        }
    }

    func handler(of method: MeshMethod) -> Handler? { handlers.withLock { $0[method] } }

    /// Says in the log why somebody was turned away; not more than once in ten seconds for each reason.
    func complain(_ refusal: MeshRefusal, _ text: String, from address: String) {
        let now = NIODeadline.now()
        if let last = complaints[refusal], now - last < .seconds(10) {
            counters.silencedComplaints += 1
            return
        }
        complaints[refusal] = now
        logger.warning(
            "A connection from another node was refused.",
            metadata: ["peer.address": "\(address)", "reason": "\(refusal.explanation)", "detail": "\(text)"])
    }

    // MARK: Connections before they have proven anything

    func opened(_ connection: MeshConnection) {
        opening.append(connection)
        guard opening.count > options.openHandshakes else { return }
        // The oldest: who is honest has long finished.
        counters.refused.evicted += 1
        opening.removeFirst().close("too many handshakes are open")
    }

    func proven(_ connection: MeshConnection, _ hello: MeshHello) {
        opening.removeAll { $0 === connection }
        counters.handshakes += 1
        peers[hello.name]?.lastHello = hello
        tell(.heard(hello))
    }

    func closed(_ connection: MeshConnection) {
        opening.removeAll { $0 === connection }
        unanswered.removeAll { $0 === connection }
    }

    // MARK: Slots

    /// Nil when there are 64 others.
    func peer(named name: NodeName) -> PeerState? {
        if let peer = peers[name] { return peer }
        guard let slot = slots.firstIndex(where: { $0 == nil }) ?? reclaim() else { return nil }
        let peer = PeerState(name: name, slot: slot, outbox: outboxes[slot])
        peers[name] = peer
        slots[slot] = peer
        return peer
    }

    private func reclaim() -> Int? {
        guard let name = retired.first, let peer = peers[name] else { return nil }
        retired.removeFirst()
        peers[name] = nil
        return peer.slot
    }
}

/// Fault injection: how a node is kept away.
package enum MeshBlock: Sendable {
    /// Connections are closed, and refused.
    case cut
    /// Nothing goes through, and nobody is told.
    case silent
}
