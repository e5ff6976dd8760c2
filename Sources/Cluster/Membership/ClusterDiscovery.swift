import Dispatch
package import Logging
import Synchronization

/// Lets a node that is on its own join others by itself, and tries until it works. [EMQX: cluster.discovery_strategy]
///
/// Thread-safe.
package final class ClusterDiscovery: Sendable {
    private struct State {
        var isEnabled = true
        var isStopped = false
        /// What the last try came to.
        var lastResult = "not tried yet"
        var isRunning = false
    }

    private static let pauseMilliseconds = 2000

    private let node: ClusterNode
    private let seeds: @Sendable () -> [String]
    private let logger: Logger
    private let queue = DispatchQueue(label: "discovery")
    private let state = Mutex(State())
    package let strategy: String

    /// - Parameter seeds: addresses at which nodes may be, looked up anew for each try; may block.
    package init(_ node: ClusterNode, strategy: String, logger: Logger, seeds: @escaping @Sendable () -> [String]) {
        self.node = node
        self.strategy = strategy
        self.seeds = seeds
        self.logger = logger
    }

    package func start() { queue.async { self.run() } }

    package func stop() { state.withLock { $0.isStopped = true } }

    /// After a node has left by hand it stays alone until this is said again.
    package func setEnabled(_ isEnabled: Bool) { state.withLock { $0.isEnabled = isEnabled } }

    package var isEnabled: Bool { state.withLock { $0.isEnabled } }

    package var lastResult: String { state.withLock { $0.lastResult } }

    private func run() {
        let isStopped = state.withLock { $0.isStopped }
        guard !isStopped else { return }
        if isEnabled { attempt() }
        queue.asyncAfter(deadline: .now() + .milliseconds(Self.pauseMilliseconds)) { self.run() }
    }

    private func attempt() {
        let size = node.store.state.members.count
        guard size <= 1, node.identity.joining.isEmpty else {
            state.withLock { $0.lastResult = "in a cluster" }
            return
        }
        var reachable: [DiscoveryChoice.Candidate] = []
        for seed in seeds() {
            guard let address = ClusterAddress(seed), address.name != node.options.name,
                address.text != node.options.address, let candidate = node.probe(address.text)
            else { continue }
            reachable.append(candidate)
        }
        let chosen = DiscoveryChoice.choose(
            reachable, name: node.options.name, clusterName: node.options.clusterName, clusterSize: size)
        guard let chosen else {
            state.withLock {
                $0.lastResult =
                    reachable.isEmpty
                    ? "no other node answers" : "waiting for \(reachable.map(\.name).joined(separator: ", ")) to join"
            }
            return
        }
        do throws(MetaFailure) {
            _ = try node.join(chosen.address, discards: false)
            logger.notice("The node has found its cluster.", metadata: ["cluster.via": "\(chosen.name)"])
            state.withLock { $0.lastResult = "joined \(chosen.name)" }
        } catch {
            let isNew = state.withLock { state in
                defer { state.lastResult = error.description }
                return state.lastResult != error.description
            }
            if isNew {
                logger.warning(
                    "The node could not join; it tries again.",
                    metadata: ["cluster.via": "\(chosen.name)", "error": "\(error)"])
            }
        }
    }
}

extension ClusterNode {
    /// Who is at an address, and how large its cluster is; nil when nobody answers. Blocks.
    func probe(_ address: String) -> DiscoveryChoice.Candidate? {
        guard case .success(let peer) = connect(address, timeoutMilliseconds: 2000) else { return nil }
        let asked = MembershipRequest.join(request(id: 0, clusterID: 0))
        guard case .accepted(let cluster) = ask(asked, via: peer.name) else { return nil }
        return DiscoveryChoice.Candidate(
            name: peer.name.text, address: address, clusterSize: cluster.members.count, clusterName: cluster.name)
    }
}
