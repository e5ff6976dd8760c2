package import Cluster

extension BrokerNode {
    /// Has this node exchange routes, messages and retained topics with the nodes that the mesh reaches.
    ///
    /// Before ``start(_:)``; the mesh itself begins after it, and ends before ``stop()``.
    ///
    /// - Parameters:
    ///   - highWaterMark: bytes towards one node at which publishers are no longer read from.
    ///   - comparisonInterval: milliseconds between comparisons of the routes' hashes.
    package func attach(
        mesh: any MeshLinks, highWaterMark: Int? = nil, comparisonInterval: Int64 = 30_000
    ) {
        let links = NodeLinks(
            mesh: mesh, node: self, highWaterMark: highWaterMark ?? type(of: mesh).highWaterMark,
            comparisonInterval: comparisonInterval)
        self.links = links
        router.links = links
        retained.replicate(origin: withBytes(name) { topicHash($0) })
        mesh.own(.state, LinkLane(.state, links))
        mesh.own(.messages, LinkLane(.messages, links))
        links.handleRouteHash()
    }
}
