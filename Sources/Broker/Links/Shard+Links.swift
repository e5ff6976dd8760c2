import Buffers
import Cluster
import Topics

/// What comes from other nodes, in the mailbox.
extension Shard {
    /// A batch that has been found valid on the mesh's thread.
    func receiveBatch(_ bytes: Bytes, lane: MeshLane) {
        switch lane {
        case .messages: receiveMessages(bytes)
        case .state: receiveRetained(bytes)
        case .sessions: break
        }
    }

    private func receiveMessages(_ bytes: Bytes) {
        guard bytes.count >= MessageBatch.headerBytes else { return }
        let (lead, overflows) = wall.subtractingReportingOverflow(MessageBatch.wall(of: bytes))
        var reader = StoredReader(Bytes(rebasing: bytes[MessageBatch.headerBytes...]))
        while reader.rest.count > 0, let message = LinkMessage.read(&reader, lead: overflows ? 0 : lead) {
            counters.forwardedIn.add(1)
            receive(message)
        }
    }

    /// Like a local publish without rules, retained store and other nodes: these saw it where it was published.
    private func receive(_ message: LinkMessage) {
        let publisher = rules.needsPublisher ? message.makePublisher() : nil
        var view = message.view
        view.publisher = publisher
        withExtendedLifetime(publisher) {
            let hash = topicHash(view.topic)
            let route =
                cachedRoute(view.topic, hash: hash) ?? Unmanaged.passUnretained(readRoute(view.topic, hash: hash))
            route._withUnsafeGuaranteedRef { route in
                if message.group.count > 0 {
                    deliverToGroup(view, of: message, route: route)
                } else {
                    deliverFromNode(view, route: route)
                }
            }
        }
    }

    /// Another node has left the choice of a group's member to this one.
    private func deliverToGroup(_ view: MessageView, of message: LinkMessage, route: Route) {
        var shared: Message?
        let group = route.groups.first { $0.group.name.withUnsafeBytes { compareBytes($0, message.group) == 0 } }
        if let group, deliverToMember(view, &shared, group: group, client: message.clientID) { return }
        // The last one has left meanwhile.
        guard message.passes < Self.mostPasses, let group else {
            counters.messagesDroppedNoSubscribers.add(1)
            return
        }
        counters.messagesRedispatched.add(1)
        deliverToGroup(view, &shared, group: group, client: message.clientID, passes: message.passes + 1, isMail: true)
    }

    /// Nodes that pass a message for a shared group on before it is given up: their views differ for milliseconds only.
    private static let mostPasses: UInt8 = 4

    private func receiveRetained(_ bytes: Bytes) {
        var batch = RetainedBatch(bytes, wall: wall)
        let wasTouched = isStorageTouched
        while let record = batch.next() {
            switch record {
            case .set(let message, let stamp): retain(message, stamp)
            case .deleted(let topic, let stamp):
                node.retained.remove(topic, stamp: stamp, wall: wall) { persistRetainedRemoval(topic) }
            }
        }
        isStorageTouched = wasTouched
    }

    private func retain(_ received: LinkMessage, _ stamp: RetainedStamp) {
        guard settings.retainerEnabled, received.traits.expiresAt > wall else { return }
        var view = received.view
        let publisher = received.makePublisher()
        view.publisher = publisher
        let message = withExtendedLifetime(publisher) { Message.make(copying: view) }
        switch node.retained.store(message, stamp: stamp, wall: wall, persist: { persistRetained(message) }) {
        case .stored, .refused, .older: break
        case .full: counters.retainedFull.add(1)
        case .tooDeep: counters.retainedTooDeep.add(1)
        }
    }
}
