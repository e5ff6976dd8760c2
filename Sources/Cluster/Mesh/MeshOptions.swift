/// What a node's links are started with.
package struct MeshOptions: Sendable {
    package var name: NodeName
    package var role: NodeRole = .core
    /// Where to wait for other nodes; port 0 lets the system choose. Nil: this node only dials.
    package var listen: MeshAddress?
    /// By which others reach this node; said in each hello. Empty when the others know better.
    package var advertised = ""
    package var cookie: MeshCookie
    package var certificate: MeshCertificate
    package var nodeID: UInt64
    /// 0: in no cluster yet.
    package var clusterID: UInt64 = 0
    package var epoch: UInt64 = 0
    package var incarnation: UInt64 = .random(in: 1...UInt64.max)
    package var version: String
    package var featureLevel: UInt32 = 1
    /// Of silence after which a node is down. A sixth of it is the time between two keep-alives.
    package var failureMilliseconds = 3_000
    package var handshakeMilliseconds = 3_000
    /// Connections that have proven nothing yet; one more ends the oldest.
    package var openHandshakes = 64
    /// Bytes that may wait for one node; one more and its link is given up.
    package var backlogLimit = 64 << 20
    /// Bytes of one lane that are sent without an acknowledgement.
    package var window = 4 << 20

    package init(
        name: NodeName, listen: MeshAddress?, cookie: MeshCookie, certificate: MeshCertificate, nodeID: UInt64,
        version: String
    ) {
        self.name = name
        self.listen = listen
        self.cookie = cookie
        self.certificate = certificate
        self.nodeID = nodeID
        self.version = version
    }

    var keepAliveMilliseconds: Int { max(10, failureMilliseconds / 6) }
}

/// A host and a port.
package struct MeshAddress: Hashable, Sendable, CustomStringConvertible {
    package var host: String
    package var port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// - Parameter text: `host:port` or `[host]:port`.
    package init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65_535).contains(port)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: port)
    }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Another member of the cluster, as the membership knows it.
package struct MeshMember: Hashable, Sendable {
    package var name: NodeName
    /// 0 when it is not known: any is let in then.
    package var nodeID: UInt64
    package var role: NodeRole
    /// Nil: where the resolver says, or where the node itself said last.
    package var address: MeshAddress?

    package init(name: NodeName, nodeID: UInt64 = 0, role: NodeRole = .core, address: MeshAddress? = nil) {
        self.name = name
        self.nodeID = nodeID
        self.role = role
        self.address = address
    }
}

/// Why a node's hello was not accepted. Numbers are part of the protocol.
package enum MeshRefusal: UInt8, Sendable, CaseIterable, Error {
    case cookie = 1
    case version = 2
    case busy = 3
    case removed = 4
    case sameName = 5
    case copied = 6
    case otherCluster = 7
    case oldEpoch = 8
    case newerEpoch = 9
    case unknown = 10
    case otherID = 11
    /// There is a better link between the two; nothing is wrong.
    case duplicate = 12
    case unexpectedName = 13
    case notServed = 14
    case full = 15
    /// Not in the words of this protocol, or not in time.
    case malformed = 16

    /// Said by a node that has proven the cookie: the two are not of one cluster (any more).
    var endsMembership: Bool {
        switch self {
        case .removed, .otherCluster, .oldEpoch, .newerEpoch, .unknown, .otherID: true
        default: false
        }
    }

    /// For the log and for who reads `ctl cluster status`.
    package var explanation: String {
        switch self {
        case .cookie: "the cookie is not the same on both nodes"
        case .version: "no version of the protocol is spoken by both nodes"
        case .busy: "too many handshakes are open there"
        case .removed: "this node was removed from the cluster; it has to join again"
        case .sameName: "both nodes have the same name"
        case .copied: "another running node has the same node id: a data directory was copied"
        case .otherCluster: "that is another cluster"
        case .oldEpoch: "the node has an older epoch: the cluster was recovered without it; it has to join again"
        case .newerEpoch: "the cluster was recovered without this node, which has an older epoch; it has to join again"
        case .unknown: "the node is no member of the cluster"
        case .otherID: "the member of that name has another node id: its data directory is new; it has to join again"
        case .duplicate: "there is a link already"
        case .unexpectedName: "another node answers at that address"
        case .notServed: "that node takes no such streams"
        case .full: "there are as many nodes as there may be"
        case .malformed: "it does not speak the protocol of the mesh"
        }
    }
}

/// What the membership learns from the links. Called on the mesh's thread; must be short.
package enum MeshEvent: Sendable {
    /// A node has proven the cookie; its hello was accepted.
    case heard(MeshHello)
    /// This node has refused another.
    case refused(MeshHello, MeshRefusal)
    /// Another node has refused this one.
    case refusedBy(NodeName, MeshRefusal)
}
