package import Consensus

/// Who a node is, as its data directory says.
package struct ClusterIdentity: Sendable, Equatable {
    /// Random, made with the directory.
    package var id: UInt64
    /// 0 for a node that has founded or joined nothing yet.
    package var clusterID: UInt64
    package var epoch: UInt64
    /// Addresses of the cluster that it is about to join; empty when it is in, or on its own.
    package var joining: [String]

    package init(id: UInt64, clusterID: UInt64 = 0, epoch: UInt64 = 0, joining: [String] = []) {
        self.id = id
        self.clusterID = clusterID
        self.epoch = epoch
        self.joining = joining
    }
}

/// Why a node's files are of no use.
package struct ClusterStorageError: Error, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A node's part of the cluster on its disk, and the engine that works on it. Blocks on files.
package protocol ClusterStorage: AnyObject, Sendable {
    /// The directory's identity, made when there is none; and whether it was made now.
    func identity() throws(ClusterStorageError) -> (identity: ClusterIdentity, isNew: Bool)
    func keep(_ identity: ClusterIdentity) throws(ClusterStorageError)

    /// Starts the engine on the directory's log.
    /// - Parameter bootstraps: whether a log that is new begins with this node alone.
    func open(
        _ identity: ClusterIdentity, name: String, bootstraps: Bool, machine: any StateMachine,
        dial:
            @escaping @Sendable (_ id: UInt64, _ name: String, _ connected: @escaping @Sendable (Int32?) -> Void) ->
            Void
    ) throws(ClusterStorageError) -> any Consensus

    /// Puts identity and log in a folder of their own and begins anew; nothing is deleted. The engine must have been stopped.
    /// - Returns: that folder.
    func setAside() throws(ClusterStorageError) -> String
    /// The opposite, when what comes after has failed: what is there now goes.
    func bringBack(_ folder: String) throws(ClusterStorageError)

    /// The state that a replicant last had.
    func readCopy() -> [UInt8]?
    func writeCopy(_ bytes: [UInt8]) throws(ClusterStorageError)
}

/// The links, and what the cluster's membership tells them.
package protocol ClusterMesh: MeshLinks {
    /// Reaches the node at `host:port`, whoever it is; both prove that they know the cookie.
    func connect(
        to address: String, timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<MeshPeer, MeshError>) -> Void)

    /// What this node says of itself from now on.
    func introduce(_ identity: ClusterIdentity, role: NodeRole)

    /// The other members: a link to each is kept up. Ids of those that were removed are refused.
    func setMembers(_ members: [ClusterMember], removed: Set<UInt64>)

    /// A stream of bytes to that member's engine; nil when there is none to be had.
    func openStream(to id: UInt64, name: String, connected: @escaping @Sendable (Int32?) -> Void)

    /// Streams that others have opened to this node's engine.
    func acceptStreams(_ body: @escaping @Sendable (_ descriptor: Int32, _ id: UInt64, _ name: String) -> Void)
}

/// What a node is started with.
package struct ClusterOptions: Sendable {
    package var name: String
    package var role: NodeRole
    package var clusterName: String
    /// Where others reach this node's links: `host:port`.
    package var address: String
    package var version: String
    package var featureLevel: UInt32 = 1
    package var joinTimeoutMilliseconds = 60_000

    package init(name: String, role: NodeRole, clusterName: String, address: String, version: String) {
        self.name = name
        self.role = role
        self.clusterName = clusterName
        self.address = address
        self.version = version
    }
}
