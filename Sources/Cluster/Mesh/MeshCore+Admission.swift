import NIOCore

/// Who may come in.
enum MeshVerdict {
    case accept
    case refuse(MeshRefusal)
    /// As if nothing had come.
    case silence
}

extension MeshCore {
    /// Of a node that has proven the cookie. Asked on both sides of a connection.
    func judge(_ hello: MeshHello, isDialer: Bool) -> MeshVerdict {
        if isStopped || isBlocked(hello.name) { return .silence }
        if let refusal = identityProblem(hello) { return .refuse(refusal) }
        if hello.intent == .guest {
            return isDialer || guestLinks.count < Self.mostGuests ? .accept : .refuse(.busy)
        }
        if let refusal = membershipProblem(hello) { return .refuse(refusal) }
        guard hello.intent == .link else {
            if isDialer { return .accept }
            if streams.count >= Self.mostStreams { return .refuse(.busy) }
            return streamTakers[hello.group] == nil ? .refuse(.notServed) : .accept
        }
        guard let peer = peer(named: hello.name) else { return .refuse(.full) }
        return linkProblem(peer, hello, isDialer: isDialer).map { .refuse($0) } ?? .accept
    }

    private func identityProblem(_ hello: MeshHello) -> MeshRefusal? {
        if removed.contains(hello.nodeID) { return .removed }
        if hello.nodeID == options.nodeID { return .copied }
        if hello.name == options.name { return .sameName }
        let twin = peers.values.first { $0.isUp && $0.peer?.nodeID == hello.nodeID && $0.name != hello.name }
        return twin == nil ? nil : .copied
    }

    private func membershipProblem(_ hello: MeshHello) -> MeshRefusal? {
        if hello.clusterID != options.clusterID { return .otherCluster }
        if hello.epoch < options.epoch { return .oldEpoch }
        if hello.epoch > options.epoch { return .newerEpoch }
        guard let member = members[hello.name] else {
            // A node that has just been let in knows nobody yet: it trusts the cluster's number.
            return members.isEmpty && options.clusterID != 0 ? nil : .unknown
        }
        return member.nodeID == 0 || member.nodeID == hello.nodeID ? nil : .otherID
    }

    private func linkProblem(_ peer: PeerState, _ hello: MeshHello, isDialer: Bool) -> MeshRefusal? {
        if !isDialer, peer.lastAttempt.incarnation == hello.incarnation, hello.attempt < peer.lastAttempt.number {
            return .duplicate
        }
        guard let link = peer.link, link.connection.isOpen else { return nil }
        let patience = TimeAmount.milliseconds(Int64(options.keepAliveMilliseconds * 5 / 2))
        guard NIODeadline.now() - peer.lastHeard < patience else { return nil }
        if link.hello.incarnation != hello.incarnation { return .copied }
        let smaller = min(options.name, peer.name)
        let dialer = isDialer ? options.name : peer.name
        let before = link.connection.isDialer ? options.name : peer.name
        return dialer != smaller && before == smaller ? .duplicate : nil
    }

    /// What a connection that is no link may ask for.
    func mayGuest(_ hello: MeshHello, call method: MeshMethod) -> Bool {
        method == .join || method == .ping
            || members[hello.name] != nil && hello.nodeID != 0 && membershipProblem(hello) == nil
    }

    /// Of an incoming connection that both sides have agreed to.
    func accepted(_ connection: MeshConnection, _ hello: MeshHello) {
        switch hello.intent {
        case .link:
            guard let peer = peer(named: hello.name) else { return }
            peer.lastAttempt = (hello.incarnation, hello.attempt)
            adopt(connection, hello, peer)
        case .guest: receive(guest: connection, hello)
        case .stream:
            guard let taker = streamTakers[hello.group] else { return }
            bridge(connection, hello) { descriptor in
                if let descriptor { taker(descriptor, hello.nodeID, hello.name.text) }
            }
        }
    }

    @discardableResult
    func receive(guest connection: MeshConnection, _ hello: MeshHello) -> MeshLink {
        let link = MeshLink(core: self, connection: connection, hello: hello, peer: nil)
        connection.user = link
        guestLinks[ObjectIdentifier(link)] = link
        return link
    }

    func bridge(_ connection: MeshConnection, _ hello: MeshHello, _ done: @escaping (Int32?) -> Void) {
        let bridge = StreamBridge(core: self, connection: connection, hello: hello)
        streams[ObjectIdentifier(bridge)] = bridge
        counters.streamsOpened += 1
        bridge.start(done)
    }

    func ended(_ bridge: StreamBridge) { streams[ObjectIdentifier(bridge)] = nil }

    // MARK: Fault injection

    func isBlocked(_ name: NodeName) -> Bool { blocked[name] != nil }

    /// A connection that has come so far as to say whose it is.
    /// - Returns: whether it ends, or hangs, here.
    func turnsAway(_ connection: MeshConnection, _ name: NodeName) -> Bool {
        switch blocked[name] {
        case nil: return false
        case .cut: connection.close("it is blocked")
        case .silent:
            connection.unanswered = name
            unanswered.append(connection)
        }
        return true
    }

    func setBlocked(_ names: [NodeName: MeshBlock]) {
        let freed = Set(blocked.keys).subtracting(names.keys)
        blocked = names
        for (name, mode) in names { for connection in connections(of: name) { apply(mode, connection) } }
        for connection in unanswered where connection.unanswered.map({ names[$0] == nil }) ?? true {
            connection.close("it was blocked")
        }
        for name in freed {
            // Bytes are missing in them.
            for connection in connections(of: name) where connection.isMuted { connection.close("it was blocked") }
            if let peer = peers[name] { dialSoon(peer) }
        }
    }

    private func apply(_ mode: MeshBlock, _ connection: MeshConnection) {
        switch mode {
        case .cut: connection.close("it is blocked")
        case .silent: connection.isMuted = true
        }
    }

    func connections(of name: NodeName) -> [MeshConnection] {
        (peers[name]?.link.map { [$0.connection] } ?? [])
            + guestLinks.values.filter { $0.hello.name == name }.map(\.connection)
            + streams.values.filter { $0.name == name }.map(\.connection)
    }
}
