/// Whom a node on its own joins, of those that its discovery names. Pure: all nodes decide alike, so that no two join each other.
package enum DiscoveryChoice {
    package struct Candidate: Sendable, Equatable {
        package var name: String
        package var address: String
        /// How many nodes its cluster has; 1 for a node on its own.
        package var clusterSize: Int
        package var clusterName: String

        package init(name: String, address: String, clusterSize: Int, clusterName: String) {
            self.name = name
            self.address = address
            self.clusterSize = clusterSize
            self.clusterName = clusterName
        }
    }

    /// - Parameters:
    ///   - reachable: the nodes that have answered.
    ///   - clusterSize: that of this node's cluster; one that has others stays where it is.
    /// - Returns: nil to wait: for others to join this node, or for somebody to answer.
    package static func choose(
        _ reachable: [Candidate], name: String, clusterName: String, clusterSize: Int
    ) -> Candidate? {
        guard clusterSize <= 1 else { return nil }
        let others = reachable.filter { $0.name != name && $0.clusterName == clusterName }
        if let cluster = others.filter({ $0.clusterSize > 1 }).min(by: {
            ($1.clusterSize, $0.name) < ($0.clusterSize, $1.name)
        }) {
            return cluster
        }
        return others.filter { $0.name < name }.min { $0.name < $1.name }
    }
}
