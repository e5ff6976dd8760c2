import NIOCore

/// One lane towards and from a node. Confined to the mesh's thread.
final class PeerLane {
    let lane: MeshLane
    /// Sent or not, in order.
    var unacknowledged = CircularBuffer<Batch>()
    /// How many of them have been sent over the link there is.
    var sent = 0
    /// Bytes of those.
    var inFlight = 0
    /// The highest number sent ever: what comes again is counted.
    var highest: UInt64 = 0
    /// The last number that has come from there, and the last of these that was acknowledged over this link.
    var received: UInt64 = 0
    var acknowledged: UInt64 = 0
    /// The owner wants no more for now.
    var isHeld = false

    init(_ lane: MeshLane) { self.lane = lane }

    func reset() {
        unacknowledged.removeAll()
        sent = 0
        inFlight = 0
        highest = 0
        received = 0
        acknowledged = 0
        isHeld = false
    }
}

/// What this node knows of another. Confined to the mesh's thread.
final class PeerState {
    let name: NodeName
    let slot: Int
    let outbox: PeerOutbox
    let lanes: [PeerLane]
    /// The order in which they are written: what is small and long awaited stands before the messages.
    let urgency: [PeerLane]
    var member: MeshMember?
    /// Where it was found by hand; as long as the membership is not known here.
    var acquaintance: MeshAddress?
    /// What both ends agreed on when it came up; 0 while it is down.
    var association: UInt64 = 0
    /// Of the incarnation that is up.
    var peer: MeshPeer?
    var link: MeshLink?
    var lastHeard = NIODeadline.now()
    var lastHello: MeshHello?
    /// Of the connections that the other end has opened, the latest that was taken.
    var lastAttempt: (incarnation: UInt64, number: UInt64) = (0, 0)

    // Dialing.
    var isDialing = false
    var dialTask: Scheduled<Void>?
    var failures = 0
    var candidate = 0
    var refusedConnections = 0
    var address = ""
    var lastFailure: String?
    var lastFailureTime = 0
    var lastLogged: NIODeadline?

    // Counters.
    var links = 0
    var batchesSent = 0
    var batchesReceived = 0
    var bytesSent = 0
    var bytesReceived = 0

    init(name: NodeName, slot: Int, outbox: PeerOutbox) {
        self.name = name
        self.slot = slot
        self.outbox = outbox
        let lanes = MeshLane.allCases.map { PeerLane($0) }
        self.lanes = lanes
        urgency = [MeshLane.state, .sessions, .messages].compactMap { lane in lanes.first { $0.lane == lane } }
    }

    var isUp: Bool { association != 0 }
    var isWanted: Bool { member != nil || acquaintance != nil }
}
