/// The real links, as the membership tells them what they are to be.
extension Mesh: ClusterMesh {
    package func introduce(_ identity: ClusterIdentity, role: NodeRole) {
        introduce(nodeID: identity.id, clusterID: identity.clusterID, epoch: identity.epoch, role: role)
    }

    package func setMembers(_ members: [ClusterMember], removed: Set<UInt64>) {
        setPeers(
            members.map {
                MeshMember(
                    name: NodeName($0.name), nodeID: $0.id, role: $0.role, address: MeshAddress($0.address))
            }, removed: removed)
    }
}
