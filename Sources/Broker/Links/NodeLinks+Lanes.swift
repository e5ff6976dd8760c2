import Buffers
import Cluster
import Logging
import Synchronization

/// The owner of a lane: passes on to the node's links what the mesh says.
final class LinkLane: MeshLaneOwner {
    private let lane: MeshLane
    private let links: @Sendable () -> NodeLinks?

    init(_ lane: MeshLane, _ links: NodeLinks) {
        self.lane = lane
        self.links = { [weak links] in links }
    }

    func up(_ peer: MeshPeer) {
        if lane == .state { links()?.stateUp(peer) } else { links()?.messagesUp(peer) }
    }

    func received(_ bytes: Bytes, from peer: MeshPeer) {
        if lane == .state { links()?.receivedState(bytes, peer) } else { links()?.receivedMessages(bytes, peer) }
    }

    func acknowledged(upTo number: UInt64, by peer: MeshPeer) {
        if lane == .messages { links()?.setAcknowledged(number, by: peer.slot) }
    }

    func down(_ peer: MeshPeer) {
        if lane == .state { links()?.stateDown(peer) } else { links()?.messagesDown(peer) }
    }
}

/// What the mesh says, on its thread.
extension NodeLinks {
    /// Entries that are put in force under one holding of the router's lock.
    private static let slice = 256

    private static func isSlot(_ slot: Int) -> Bool { slot >= 0 && slot < 64 }

    // MARK: State

    func stateUp(_ peer: MeshPeer) {
        guard Self.isSlot(peer.slot), isStarted else { return }
        let name = peer.name.text
        peers[peer.slot] = Peer(
            peer: peer, node: RemoteNode(slot: peer.slot, name: name, isBeforeThis: name < node.name))
        up.bitwiseOr(1 << UInt64(peer.slot), ordering: .acquiringAndReleasing)
        router.setReachable(peer.slot, true)
        beginDump(to: peer.slot)
        if let digest = node.retained.digest { _ = mesh.post(digest, to: peer.slot, lane: .state) }
    }

    func stateDown(_ peer: MeshPeer) {
        guard Self.isSlot(peer.slot), isStarted else { return }
        up.bitwiseAnd(~(1 << UInt64(peer.slot)), ordering: .acquiringAndReleasing)
        // At once for all routes; the entries are taken out afterwards.
        router.setReachable(peer.slot, false)
        endFollowing(peer.slot)
        guard let gone = peers[peer.slot] else { return }
        peers[peer.slot] = nil
        var routes = gone.routes
        apply(routes.drop(), from: gone.node)
    }

    func receivedState(_ bytes: Bytes, _ peer: MeshPeer) {
        guard Self.isSlot(peer.slot), peers[peer.slot] != nil else { return }
        switch StateBatch(of: bytes) {
        case .routeDelta, .routeDumpBegin, .routeDumpChunk, .routeDumpEnd: receivedRoutes(bytes, peer.slot)
        case .routeDumpRequest: beginDump(to: peer.slot)
        case .retainedDigest: receivedDigest(bytes, peer)
        case .retainedEntries:
            guard RetainedBatch.isValid(bytes) else {
                reject(peer)
                return
            }
            deliver(bytes, lane: .state, to: peer.slot % shards.count)
        case nil: break
        }
    }

    private func receivedRoutes(_ bytes: Bytes, _ slot: Int) {
        guard let peer = peers[slot]?.peer, let node = peers[slot]?.node else { return }
        var changes: [RouteChange] = []
        switch peers[slot]?.routes.apply(bytes, changes: &changes) {
        case .applied, .ignored, nil: break
        case .needsDump: requestDump(from: slot)
        case .malformed:
            peers[slot]?.isDamaged = true
            reject(peer)
        }
        apply(changes, from: node)
    }

    private func requestDump(from slot: Int) {
        peers[slot]?.isDamaged = false
        if let request = peers[slot]?.routes.dumpRequest() { _ = mesh.post(request, to: slot, lane: .state) }
    }

    private func apply(_ changes: [RouteChange], from node: RemoteNode) {
        var start = 0
        while start < changes.count {
            let end = min(start + Self.slice, changes.count)
            router.apply(changes[start..<end], from: node)
            start = end
        }
    }

    private func receivedDigest(_ bytes: Bytes, _ peer: MeshPeer) {
        guard let buckets = node.retained.differences(from: bytes) else {
            reject(peer)
            return
        }
        guard !buckets.isEmpty else { return }
        let slot = peer.slot
        shards[slot % shards.count].execute { $0.links?.add(ShardLinks.Replay(slot: slot, buckets: buckets)) }
    }

    private func reject(_ peer: MeshPeer) {
        rejected.wrappingAdd(1, ordering: .relaxed)
        logger.error(
            "A batch from another node can't be read; it is dropped.",
            metadata: ["peer.name": "\(peer.name)", "peer.version": "\(peer.version)"])
    }

    /// What a node answers that is asked for its routes' hash.
    func handleRouteHash() {
        mesh.handle(.routeHash) { [weak self] _, _, reply in
            guard let self else {
                reply(.failure(.refused("stopping")))
                return
            }
            reply(.success(routes.withLock { $0.local.summary }))
        }
    }

    /// Any thread; the answer comes on the mesh's.
    func compareRoutes(with peer: MeshPeer) {
        mesh.call(peer.name, method: .routeHash, body: [], timeoutMilliseconds: 5000) { [weak self] result in
            guard let self, case .success(let summary) = result, Self.isSlot(peer.slot),
                let known = peers[peer.slot], known.peer.incarnation == peer.incarnation
            else { return }
            let comparison = summary.withUnsafeBytes { peers[peer.slot]?.routes.compare(with: $0) }
            guard comparison == .different || known.isDamaged else { return }
            logger.warning(
                "The routes of another node are not what it says; they are asked for again.",
                metadata: ["peer.name": "\(peer.name)"])
            requestDump(from: peer.slot)
        }
    }

    // MARK: Messages

    func messagesUp(_ peer: MeshPeer) {
        guard Self.isSlot(peer.slot) else { return }
        setAcknowledged(0, by: peer.slot)
    }

    func messagesDown(_ peer: MeshPeer) {
        guard Self.isSlot(peer.slot), isStarted else { return }
        let bit: UInt64 = 1 << UInt64(peer.slot)
        router.setReachable(peer.slot, false)
        pressedBy.bitwiseAnd(~bit, ordering: .relaxed)
        pressing.bitwiseAnd(~bit, ordering: .relaxed)
        let acknowledged = acknowledged(by: peer.slot)
        let slot = peer.slot
        for shard in shards { shard.execute { $0.links?.nodeLost(slot, acknowledged: acknowledged) } }
    }

    func receivedMessages(_ bytes: Bytes, _ peer: MeshPeer) {
        guard Self.isSlot(peer.slot), isStarted, let first = bytes.first else { return }
        let bit: UInt64 = 1 << UInt64(peer.slot)
        switch MessageBatch(rawValue: first) {
        case .messages:
            guard MessageBatch.isValid(bytes) else {
                reject(peer)
                return
            }
            let shard = MessageBatch.shard(of: bytes) % shards.count
            deliver(bytes, lane: .messages, to: shard)
            // Bounded by asking the other end to wait, since what is here can't be sent back.
            if shards[shard].mailbox.backlog.load(ordering: .relaxed) > Mailbox.highWaterMark,
                pressing.bitwiseOr(bit, ordering: .acquiringAndReleasing).oldValue & bit == 0
            {
                _ = mesh.post(MessageBatch.pressure(true), to: peer.slot, lane: .messages)
            }
        case .pressure:
            if bytes.count > 1, bytes[1] != 0 {
                pressedBy.bitwiseOr(bit, ordering: .relaxed)
            } else {
                pressedBy.bitwiseAnd(~bit, ordering: .relaxed)
            }
        case nil: break
        }
    }

    private func deliver(_ bytes: Bytes, lane: MeshLane, to shard: Int) {
        inboxes[shard].append(batch: bytes, lane: lane)
        if shards[shard].mailbox.post(inboxes[shard]) { shards[shard].wake() }
    }
}
