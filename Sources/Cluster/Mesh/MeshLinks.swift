package import Buffers

/// A node's name, `name@host`, as in the configuration.
package struct NodeName: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let text: String

    package init(_ text: String) { self.text = text }

    package var description: String { text }
    package static func < (left: NodeName, right: NodeName) -> Bool { left.text < right.text }
}

/// The streams of bytes that a pair of nodes has. Each keeps its order; between two of them there is none.
package enum MeshLane: UInt8, Sendable, CaseIterable {
    /// Deltas of routes, shared groups, retained messages: what belongs to a node as its only writer.
    case state = 1
    /// Messages on their way to sessions of the other node.
    case messages = 2
    /// The registry of clients and the handing over of sessions.
    case sessions = 3
}

package enum NodeRole: UInt8, Sendable { case core = 1, replicant = 2 }

/// Who is at the other end of a link.
package struct MeshPeer: Sendable, Equatable {
    package var name: NodeName
    package var role: NodeRole
    /// Made new at each start of the process: what is remembered of another incarnation is void.
    package var incarnation: UInt64
    package var nodeID: UInt64
    package var version: String
    package var featureLevel: UInt32
    /// A small number that stands for this name as long as this process runs: bits of a route name nodes by it.
    package var slot: Int

    package init(
        name: NodeName, role: NodeRole, incarnation: UInt64, nodeID: UInt64, version: String, featureLevel: UInt32,
        slot: Int
    ) {
        self.name = name
        self.role = role
        self.incarnation = incarnation
        self.nodeID = nodeID
        self.version = version
        self.featureLevel = featureLevel
        self.slot = slot
    }
}

package enum MeshError: Error, Sendable, Equatable {
    /// There is no link to that node; nothing has been sent.
    case notConnected
    /// It may have been carried out.
    case timedOut
    /// The link broke, or the other end restarted, while the answer was awaited: it may have been carried out.
    case linkLost
    /// The other end said no, for this reason.
    case refused(String)
}

/// What a lane's owner is told. All calls come on the mesh's thread, one after another: `up`, then what was received, then
/// `down`. Must be short, and must not block.
package protocol MeshLaneOwner: AnyObject, Sendable {
    /// A node (an incarnation of it) can be reached. What is posted from now on arrives, once and in order, until `down`.
    func up(_ peer: MeshPeer)
    /// The records of one ``MeshLinks/post(_:to:lane:)``, whole. The bytes are valid during the call.
    func received(_ bytes: Bytes, from peer: MeshPeer)
    /// All of this lane up to that number has reached the other process; see ``MeshLinks/post(_:to:lane:)``.
    func acknowledged(upTo number: UInt64, by peer: MeshPeer)
    /// It has been silent for the failure detection's time, has restarted, or has been removed. What was not acknowledged may
    /// or may not have arrived.
    func down(_ peer: MeshPeer)
}

/// The links between this node and all others: authenticated, encrypted, bounded. Thread-safe.
package protocol MeshLinks: AnyObject, Sendable {
    var peers: [MeshPeer] { get }

    /// Hands over a batch of records for a lane; the buffer is the mesh's from here on. Sent in the order of the calls for
    /// one lane and node. A link that breaks and comes back within the failure detection's time loses and doubles nothing.
    /// - Returns: the batch's number on this lane, from 1; 0 when the node is not up, and the batch has been dropped.
    func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64

    /// Bytes that wait for that node, not acknowledged. Above ``highWaterMark`` senders stop reading from their clients.
    func backlog(of slot: Int) -> Int

    /// Asks a node; the answer comes on the mesh's thread, exactly once.
    func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void)

    /// Answers calls. The handler runs on the mesh's thread and calls its reply exactly once, from any thread.
    func handle(
        _ method: MeshMethod,
        _ handler:
            @escaping @Sendable (
                _ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
            ) -> Void)

    /// Before the start; one owner for each lane.
    func own(_ lane: MeshLane, _ owner: any MeshLaneOwner)
}

extension MeshLinks {
    /// Bytes towards one node at which publishers are no longer read from.
    package static var highWaterMark: Int { 16 * 1024 * 1024 }
}

/// What nodes ask each other. Numbers are part of the protocol between versions: never reused.
package enum MeshMethod: UInt8, Sendable {
    case ping = 0
    /// Membership: what a node that wants to join asks one that is in.
    case join = 1
    case leave = 2
    /// A command of the replicated log, forwarded to the leader.
    case propose = 3
    /// The stream of committed entries that replicants follow.
    case follow = 4
    case status = 5
    /// A client's session: who has it, hand it over.
    case claimClient = 6
    case takeSession = 7
    case kickClient = 8
    case routeHash = 9
    case drain = 10
}
