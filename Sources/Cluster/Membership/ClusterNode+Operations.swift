import Consensus
import Dispatch
import Glibc

/// What an operator, or discovery, asks of this node.
extension ClusterNode {
    // MARK: Join

    /// Makes this node part of the cluster that the node at `target` is in. Blocks until it has the cluster's state.
    ///
    /// - Parameters:
    ///   - target: `name@host`, `name@host:port` or `host:port`.
    ///   - discards: whether this node's own rules and data may be set aside.
    /// - Returns: what an operator should know.
    package func join(_ target: String, discards: Bool) throws(MetaFailure) -> [String] {
        guard let address = ClusterAddress(target) else {
            throw .refused(reason: "\"\(target)\" is no node", next: "sluice ctl cluster join name@host[:port]")
        }
        if address.name == options.name { throw MetaFailure.isSelf }
        try checkFree(discards: discards)
        guard
            current.withLock({ current in
                defer { current.isBusy = true }
                return !current.isBusy
            })
        else {
            throw .refused(reason: "\(options.name) is joining or leaving already", next: "try again in a minute")
        }
        defer { current.withLock { $0.isBusy = false } }
        let peer = try reach(address)
        // Whether it may, before anything of this node's own is touched.
        let offer = try accepted(ask(.join(request(id: 0, clusterID: 0)), via: peer.name))
        guard offer.name == options.clusterName else {
            throw .refused(
                reason: "that is the cluster \"\(offer.name)\", this node's cluster.name is \"\(options.clusterName)\"",
                next: "set cluster.name to \"\(offer.name)\" and start the node again")
        }
        return try move(to: offer, via: address.text)
    }

    private func checkFree(discards: Bool) throws(MetaFailure) {
        let state = store.state
        let others = state.members.keys.filter { $0 != options.name }.sorted()
        guard others.isEmpty else {
            throw .conflict(
                reason: "\(options.name) is in a cluster with \(others.joined(separator: ", "))",
                next: "sluice ctl cluster leave, then join again")
        }
        guard !discards else { return }
        var held: [String] = []
        if state.rules.objects.values.contains(where: { $0.owner != options.name }) {
            held.append("rules that were applied by a command")
        }
        if !state.configuration.isEmpty { held.append("settings") }
        if state.tables.values.contains(where: { !$0.entries.isEmpty }) { held.append("users, access rules or bans") }
        if let more = current.withLock({ $0.holdsData })?() { held.append(more) }
        guard held.isEmpty else {
            throw .conflict(
                reason: "\(options.name) holds \(held.joined(separator: "; ")), which the cluster would not get",
                next: "sluice rules export keeps the rules; then sluice ctl cluster join … --discard")
        }
    }

    private func reach(_ address: ClusterAddress) throws(MetaFailure) -> MeshPeer {
        switch connect(address.text) {
        case .success(let peer): return peer
        case .failure(.refused(let reason)):
            throw .refused(reason: reason, next: "both nodes need the same node.cookie")
        case .failure:
            throw .refused(
                reason: "nobody answers at \(address.text)",
                next: "is the node running, is that its cluster.listen, and does a firewall let it through?")
        }
    }

    private func accepted(_ reply: MembershipReply) throws(MetaFailure) -> MembershipReply.Cluster {
        switch reply {
        case .accepted(let cluster): return cluster
        case .failed(let failure): throw failure
        case .leader(let name, _): throw .refused(reason: "\(name) leads and can't be reached", next: "try again")
        }
    }

    func request(id: UInt64, clusterID: UInt64) -> MembershipRequest.Join {
        MembershipRequest.Join(
            name: options.name, id: id, role: options.role, address: options.address, version: options.version,
            featureLevel: options.featureLevel, time: Self.now, clusterID: clusterID)
    }

    /// Sets the node's own cluster aside and enters the other.
    private func move(to offer: MembershipReply.Cluster, via address: String) throws(MetaFailure) -> [String] {
        let seeds = [address] + offer.members.filter { $0.role == .core && $0.name != options.name }.map(\.address)
        let before = identity
        closeOwn()
        let folder: String
        do throws(ClusterStorageError) {
            folder = try storage.setAside()
            var (identity, _) = try storage.identity()
            identity.clusterID = offer.id
            identity.epoch = offer.epoch
            identity.joining = seeds
            try storage.keep(identity)
            machine.reset()
            try begin(identity, bootstraps: false)
        } catch { throw .refused(reason: "the data directory: \(error)", next: "look at its permissions and its disk") }
        logger.notice("The node's own cluster was set aside.", metadata: ["cluster.folder": "\(folder)"])
        do throws(MetaFailure) { return try enter(seeds) } catch {
            // Only what is certain not to have happened is taken back; anything else goes on at the next start.
            if case .outcomeUnknown = error { throw error }
            closeOwn()
            do throws(ClusterStorageError) {
                try storage.bringBack(folder)
                machine.reset()
                try begin(before, bootstraps: false)
            } catch {
                logger.error("The node's own cluster could not be brought back.", metadata: ["error": "\(error)"])
            }
            throw error
        }
    }

    private func closeOwn() {
        let (consensus, follower) = current.withLock { current in
            defer {
                current.consensus = nil
                current.follower = nil
            }
            return (current.consensus, current.follower)
        }
        store.use(nil)
        follower?.stop()
        consensus?.stop()
    }

    /// Asks to be let in until it is done, and waits for the state. Can be repeated.
    func enter(_ seeds: [String]) throws(MetaFailure) -> [String] {
        var identity = identity
        let deadline = DispatchTime.now() + .milliseconds(options.joinTimeoutMilliseconds)
        var failure = MetaFailure.refused(reason: "no core can be reached", next: "start one")
        repeat {
            for seed in seeds {
                guard case .success(let peer) = connect(seed) else { continue }
                switch ask(.join(request(id: identity.id, clusterID: identity.clusterID)), via: peer.name) {
                case .accepted(let cluster):
                    try waitForState(cluster, deadline)
                    identity.joining = []
                    current.withLock { $0.identity = identity }
                    do throws(ClusterStorageError) { try storage.keep(identity) } catch {
                        throw .outcomeUnknown(reason: "the identity could not be written: \(error)", next: "join again")
                    }
                    return cluster.notes
                case .failed(let reason):
                    if case .outcomeUnknown = reason { failure = reason } else { throw reason }
                case .leader: continue
                }
            }
            Self.pause(milliseconds: 500)
        } while DispatchTime.now() < deadline
        throw .outcomeUnknown(
            reason: failure.description, next: "the node goes on trying when it is started again")
    }

    private func waitForState(_ cluster: MembershipReply.Cluster, _ deadline: DispatchTime) throws(MetaFailure) {
        let done = DispatchSemaphore(value: 0)
        machine.whenApplied(cluster.sequence, timeoutMilliseconds: options.joinTimeoutMilliseconds) { _ in done.signal()
        }
        guard done.wait(timeout: deadline + .seconds(1)) == .success, machine.state.sequence >= cluster.sequence else {
            throw .outcomeUnknown(
                reason: "\(options.name) is in, but has not got the cluster's state yet",
                next: "sluice ctl cluster status shows how far it is")
        }
    }

    // MARK: Leave

    /// Takes this node out; it goes on alone, with a copy of the rules and settings. Blocks.
    package func leave() throws(MetaFailure) {
        let state = store.state
        guard state.members.count > 1 else {
            throw .conflict(reason: "\(options.name) is in no cluster", next: "nothing needs to be done")
        }
        guard current.withLock({ !$0.isBusy }) else {
            throw .refused(reason: "\(options.name) is joining or leaving already", next: "try again in a minute")
        }
        let request = MembershipRequest.leave(
            MembershipRequest.Leave(
                name: options.name, id: identity.id, isForced: false, mayBeAlive: true, time: Self.now))
        let first = consensus?.status.leader.map { NodeName($0) } ?? mesh.peers.first { $0.role == .core }?.name
        // The members may not let it go, or may have done so already and the answer was lost.
        _ = try accepted(ask(request, via: first))
        current.withLock { $0.isBusy = true }
        defer { current.withLock { $0.isBusy = false } }
        closeOwn()
        do throws(ClusterStorageError) {
            let folder = try storage.setAside()
            logger.notice("The node left its cluster.", metadata: ["cluster.folder": "\(folder)"])
            let (identity, _) = try storage.identity()
            machine.reset()
            mesh.setMembers([], removed: [])
            if options.role == .core {
                try begin(identity, bootstraps: true)
            } else {
                current.withLock { $0.identity = identity }
                mesh.introduce(identity, role: options.role)
            }
        } catch { throw .refused(reason: "the data directory: \(error)", next: "look at its permissions and its disk") }
        if options.role == .core { try takeAlong(state) }
    }

    /// The rules and settings of the cluster that was left, as this node's own.
    private func takeAlong(_ state: MetaState) throws(MetaFailure) {
        for (owner, bundle) in state.rules.bundles.sorted(by: { $0.key < $1.key }) {
            let files = bundle.files.map { RuleFileContent(path: $0.path, bytes: state.bytes(of: $0) ?? []) }
            _ = try store.applyRules(
                owner: owner, files: files, objects: bundle.objects, offer: state.offers[owner] ?? 0, time: Self.now,
                by: options.name, note: "kept when the cluster was left")
        }
        for (key, value) in state.configuration.sorted(by: { $0.key < $1.key }) {
            try store.change(.configure(key: key, value: value))
        }
        for (name, table) in state.tables {
            let changes = table.entries.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { TableChange(key: $0.key, value: $0.value) }
            var start = 0
            while start < changes.count {
                let part = Array(changes[start..<min(start + 64, changes.count)])
                start += part.count
                for half in Self.fitting(part) { try store.change(.changeTable(name, half)) }
            }
        }
    }

    /// In parts that a command can carry.
    private static func fitting(_ changes: [TableChange]) -> [[TableChange]] {
        var parts: [[TableChange]] = []
        var size = MetaLimits.command
        for change in changes {
            let bytes = change.key.count + (change.value?.count ?? 0) + 16
            if size + bytes > MetaLimits.command - 1024 {
                parts.append([])
                size = 0
            }
            parts[parts.count - 1].append(change)
            size += bytes
        }
        return parts
    }

    /// Removes another node. Blocks.
    package func forceLeave(_ name: String, mayBeAlive: Bool) throws(MetaFailure) {
        guard name != options.name else { throw MetaFailure.isSelf }
        let first = consensus?.status.leader.map { NodeName($0) } ?? mesh.peers.first { $0.role == .core }?.name
        _ = try accepted(
            ask(
                .leave(
                    MembershipRequest.Leave(
                        name: name, id: 0, isForced: true, mayBeAlive: mayBeAlive, time: Self.now)), via: first))
    }
}

extension MetaFailure {
    /// EMQX answers these with "Ignore."
    package static let isSelf = MetaFailure.conflict(reason: "that is this node", next: "")
}

/// Where a node is: `name@host`, `name@host:port` or `host:port`; without a port, that of the name's number.
package struct ClusterAddress: Sendable, Equatable {
    package let name: String?
    package let host: String
    package let port: Int

    package init?(_ text: String) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var rest = String(parts.last ?? "")
        let prefix = parts.count == 2 ? String(parts[0]) : nil
        guard !rest.isEmpty, prefix?.isEmpty != true else { return nil }
        var port: Int?
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            let tail = rest[rest.index(after: end)...]
            guard tail.isEmpty || tail.hasPrefix(":") else { return nil }
            if tail.hasPrefix(":") {
                guard let number = Int(tail.dropFirst()) else { return nil }
                port = number
            }
            rest = String(rest[rest.index(after: rest.startIndex)..<end])
        } else if let colon = rest.lastIndex(of: ":"), rest.firstIndex(of: ":") == colon {
            guard let number = Int(rest[rest.index(after: colon)...]) else { return nil }
            port = number
            rest = String(rest[..<colon])
        }
        guard !rest.isEmpty, port.map({ (1...65_535).contains($0) }) ?? true else { return nil }
        host = rest
        name = prefix.map { "\($0)@\(rest)" }
        self.port = port ?? Self.defaultPort(nodeName: prefix ?? "")
    }

    /// 5370 and the number at the end of the part before the `@`. [EMQX: rpc ports]
    package static func defaultPort(nodeName: String) -> Int {
        let head = nodeName.split(separator: "@", omittingEmptySubsequences: false).first ?? ""
        let digits = String(head.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())
        let port = 5370 + (Int(digits) ?? 0)
        return port <= 65_535 ? port : 5370
    }

    package var text: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
