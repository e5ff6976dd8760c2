package import Buffers

/// The links of a node that has none: it is a cluster of one.
package final class NoMesh: ClusterMesh {
    package init() {}

    package var peers: [MeshPeer] { [] }
    package func post(_ batch: OutputBuffer, to slot: Int, lane: MeshLane) -> UInt64 { 0 }
    package func backlog(of slot: Int) -> Int { 0 }
    package func own(_ lane: MeshLane, _ owner: any MeshLaneOwner) {}

    package func call(
        _ node: NodeName, method: MeshMethod, body: [UInt8], timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
    ) { completion(.failure(.notConnected)) }

    package func handle(
        _ method: MeshMethod,
        _ handler:
            @escaping @Sendable (
                _ peer: MeshPeer, _ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void
            ) -> Void
    ) {}

    package func connect(
        to address: String, timeoutMilliseconds: Int,
        completion: @escaping @Sendable (Result<MeshPeer, MeshError>) -> Void
    ) { completion(.failure(.notConnected)) }

    package func introduce(_ identity: ClusterIdentity, role: NodeRole) {}
    package func setMembers(_ members: [ClusterMember], removed: Set<UInt64>) {}
    package func openStream(to id: UInt64, name: String, connected: @escaping @Sendable (Int32?) -> Void) {
        connected(nil)
    }
    package func acceptStreams(_ body: @escaping @Sendable (_ descriptor: Int32, _ id: UInt64, _ name: String) -> Void)
    {}
}
