import NIOCore

/// Links that come, go, and come back.
extension MeshCore {
    func adopt(_ connection: MeshConnection, _ hello: MeshHello, _ peer: PeerState) {
        let old = peer.link
        let link = MeshLink(core: self, connection: connection, hello: hello, peer: peer)
        peer.link = link
        peer.lastHeard = .now()
        peer.lastHello = hello
        peer.links += 1
        peer.failures = 0
        peer.refusedConnections = 0
        counters.linksAdopted += 1
        if peer.address.isEmpty { peer.address = connection.remoteAddress }
        connection.user = link
        old?.connection.close("another connection took its place")
        link.pump()
    }

    /// The connection has ended.
    func ended(_ link: MeshLink, _ reason: String) {
        guard let peer = link.peer, !link.isEnding else {
            guestLinks[ObjectIdentifier(link)] = nil
            if guests[link.hello.name] === link { guests[link.hello.name] = nil }
            return
        }
        guard peer.link === link else { return }
        peer.link = nil
        note(peer, reason)
        dialSoon(peer)
    }

    // MARK: Up and down

    /// Begins anew with a node: what was before is void.
    func bringUp(_ peer: PeerState, _ hello: MeshHello, _ association: UInt64) {
        if peer.isUp {
            let restarted = peer.peer?.incarnation != hello.incarnation
            settle(peer, restarted ? "the node was restarted" : "the node took this one to be down")
        }
        let identity = hello.peer(slot: peer.slot)
        peer.association = association
        peer.peer = identity
        peer.lastFailure = nil
        for lane in peer.lanes { lane.reset() }
        peer.outbox.open()
        publish()
        logger.notice(
            "A node is up.",
            metadata: [
                "peer.name": "\(peer.name)", "peer.role": "\(hello.role)", "peer.version": "\(hello.version)",
            ])
        for owner in owners { owner?.up(identity) }
    }

    /// Goes on where the last link stopped.
    /// - Returns: false when the other end claims what can't be.
    func resume(_ peer: PeerState, _ theirs: ResumePoint) -> Bool {
        for (lane, received) in zip(peer.lanes, theirs.received) where received > lane.highest { return false }
        counters.linksResumed += 1
        for (lane, received) in zip(peer.lanes, theirs.received) { acknowledged(peer, lane, upTo: received) }
        return true
    }

    func acknowledged(_ peer: PeerState, _ lane: PeerLane, upTo number: UInt64) {
        var freed = 0
        var isNews = false
        while let first = lane.unacknowledged.first, first.number <= number {
            let count = first.buffer.count
            lane.unacknowledged.removeFirst()
            freed += count
            if lane.sent > 0 {
                lane.sent -= 1
                lane.inFlight -= count
            }
            pool.give(first.buffer)
            isNews = true
        }
        guard isNews, let identity = peer.peer else { return }
        peer.outbox.acknowledged(freed)
        owners[Int(lane.lane.rawValue) - 1]?.acknowledged(upTo: number, by: identity)
    }

    /// Gives a node up, with its link.
    func takeDown(_ peer: PeerState, _ reason: String) {
        settle(peer, reason)
        peer.link?.connection.close(reason)
        if peer.isWanted { dialSoon(peer) }
    }

    private func settle(_ peer: PeerState, _ reason: String) {
        guard peer.isUp, let identity = peer.peer else { return }
        peer.association = 0
        peer.peer = nil
        peer.outbox.close()
        for lane in peer.lanes { lane.reset() }
        counters.downs += 1
        note(peer, reason)
        publish()
        logger.warning("A node is down.", metadata: ["peer.name": "\(peer.name)", "reason": "\(reason)"])
        for owner in owners { owner?.down(identity) }
    }

    private func publish() {
        let up = slots.compactMap { $0?.peer }
        published.withLock { $0 = up }
    }

    // MARK: Batches

    /// Shards have left something.
    func wake(_ slot: Int) {
        guard let peer = slots[slot] else { return }
        guard peer.outbox.drain(into: peer.lanes) else {
            counters.overflows += 1
            return takeDown(
                peer, "more than \(options.backlogLimit >> 20) MB waited for it: it doesn't read what it is sent")
        }
        peer.link?.pump()
    }

    // MARK: Time

    /// Every keep-alive time.
    func tick(every interval: TimeAmount) {
        let now = NIODeadline.now()
        // By how much this thread has stood still is nobody else's silence.
        let lateness = lastTick.map { max(.nanoseconds(0), now - $0 - interval * 2) } ?? .nanoseconds(0)
        lastTick = now
        let limit = TimeAmount.milliseconds(Int64(options.failureMilliseconds))
        for peer in slots.compactMap({ $0 }) {
            if lateness > .nanoseconds(0) { peer.lastHeard = min(now, peer.lastHeard + lateness) }
            if now - peer.lastHeard > limit {
                if peer.isUp {
                    takeDown(peer, "it has been silent for \(options.failureMilliseconds) ms")
                } else if let link = peer.link {
                    link.connection.close("it has been silent for \(options.failureMilliseconds) ms")
                }
            }
            peer.link?.tick(now)
        }
        for link in Array(guestLinks.values) { link.tick(now) }
    }

    // MARK: Membership

    func setMembers(_ list: [MeshMember], removed gone: Set<UInt64>) {
        members = Dictionary(list.filter { $0.name != options.name }.map { ($0.name, $0) }) { $1 }
        removed = gone
        for peer in slots.compactMap({ $0 }) where members[peer.name] == nil {
            peer.member = nil
            // Those that let this node in stay, until there is a list.
            if !members.isEmpty { peer.acquaintance = nil }
            if !peer.isWanted { retire(peer, "the node is no member any more") }
        }
        for member in members.values.sorted(by: { $0.name < $1.name }) { enlist(member) }
        for bridge in Array(streams.values) where !mayStay(bridge) {
            bridge.connection.close("the node is no member any more")
        }
    }

    private func mayStay(_ bridge: StreamBridge) -> Bool {
        guard !removed.contains(bridge.nodeID) else { return false }
        guard let member = members[bridge.name] else { return members.isEmpty }
        return member.nodeID == 0 || member.nodeID == bridge.nodeID
    }

    private func enlist(_ member: MeshMember) {
        guard let peer = peer(named: member.name) else {
            logger.error("There are more nodes than links may be.", metadata: ["peer.name": "\(member.name)"])
            return
        }
        let isNew = peer.member == nil
        peer.member = member
        peer.acquaintance = nil
        retired.removeAll { $0 == member.name }
        if let there = peer.peer?.nodeID ?? peer.link?.hello.nodeID, member.nodeID != 0, there != member.nodeID {
            peer.link?.connection.close(MeshRefusal.otherID.explanation)
            takeDown(peer, MeshRefusal.otherID.explanation)
        } else if isNew, peer.link == nil, !peer.isDialing {
            peer.failures = 0
            dialSoon(peer)
        }
    }

    private func retire(_ peer: PeerState, _ reason: String) {
        peer.dialTask?.cancel()
        if let link = peer.link, link.isServing {
            peer.link = nil
            guestLinks[ObjectIdentifier(link)] = link
            link.endWhenAnswered(reason)
        }
        peer.link?.connection.close(reason)
        takeDown(peer, reason)
        if !retired.contains(peer.name) { retired.append(peer.name) }
    }

    /// Another identity: what this node was to the others is over. A cluster that has just been founded, or recovered, is none.
    func introduce(nodeID: UInt64, clusterID: UInt64, epoch: UInt64, role: NodeRole) {
        let isOther = nodeID != options.nodeID || (options.clusterID != 0 && clusterID != options.clusterID)
        options.nodeID = nodeID
        options.clusterID = clusterID
        options.epoch = epoch
        options.role = role
        guard isOther else { return }
        for peer in slots.compactMap({ $0 }) {
            peer.link?.connection.close("this node has another identity now")
            takeDown(peer, "this node has another identity now")
        }
        for bridge in Array(streams.values) { bridge.connection.close("this node has another identity now") }
    }

    func stop() {
        isStopped = true
        for peer in slots.compactMap({ $0 }) {
            peer.dialTask?.cancel()
            let link = peer.link
            settle(peer, "this node stops")
            link?.sayGoodbye()
        }
        for link in Array(guestLinks.values) { link.connection.closeAfterFlush("stopped") }
        for bridge in Array(streams.values) { bridge.connection.closeAfterFlush("stopped") }
        for connection in opening { connection.close("stopped") }
    }

    // MARK: Status

    var statuses: [MeshLinkStatus] {
        let now = NIODeadline.now()
        return slots.compactMap { $0 }.filter { $0.isWanted || $0.isUp }.map { peer in
            MeshLinkStatus(
                name: peer.name, address: peer.address, isMember: peer.member != nil, isUp: peer.isUp,
                isLinked: peer.link?.isResumed ?? false, isBlocked: isBlocked(peer.name), peer: peer.peer,
                lastFailure: peer.lastFailure, lastFailureTime: peer.lastFailureTime,
                silentMilliseconds: peer.isUp ? Int((now - peer.lastHeard).nanoseconds / 1_000_000) : nil,
                backlog: peer.outbox.backlog, reconnects: max(0, peer.links - 1), batchesSent: peer.batchesSent,
                batchesReceived: peer.batchesReceived, bytesSent: peer.bytesSent, bytesReceived: peer.bytesReceived)
        }.sorted { $0.name < $1.name }
    }
}
