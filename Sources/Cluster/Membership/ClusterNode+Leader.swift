import Consensus
import Dispatch
import Synchronization

/// The side that is asked: requests of other nodes, carried out by the leader step by step.
extension ClusterNode {
    func attachHandlers() {
        for method in [MeshMethod.join, .leave] {
            mesh.handle(method) { [weak self] _, body, reply in
                guard let self else { return reply(.failure(.refused("stopping"))) }
                let request: MembershipRequest
                do throws(MetaFormatError) { request = try MembershipRequest(decoding: body) } catch {
                    return reply(.failure(.refused(error.description)))
                }
                operations.async { reply(.success(self.serve(request).encoded)) }
            }
        }
        mesh.handle(.status) { [weak self] _, _, reply in
            guard let self else { return reply(.failure(.refused("stopping"))) }
            reply(.success(nodeStatus.encoded))
        }
        mesh.handle(.follow) { [weak self] _, body, reply in
            guard let self else { return reply(.failure(.refused("stopping"))) }
            serveFollower(body) { reply($0) }
        }
    }

    /// What is alive as far as this node can see, by name.
    var alive: [String: UInt64] {
        var alive = Dictionary(mesh.peers.map { ($0.name.text, $0.nodeID) }) { first, _ in first }
        alive[options.name] = identity.id
        return alive
    }

    /// Carries a request out, or says who can. On the queue of operations; blocks.
    func serve(_ request: MembershipRequest) -> MembershipReply {
        guard !current.withLock({ $0.isBusy }) else {
            return .failed(
                .refused(reason: "\(options.name) is joining or leaving itself", next: "try again in a minute"))
        }
        guard let consensus else { return elsewhere(nil) }
        // A leader that is leaving hands over first, so its requests may go on at another node.
        let deadline = DispatchTime.now() + .milliseconds(options.joinTimeoutMilliseconds)
        var patience = 5
        while DispatchTime.now() < deadline {
            let status = consensus.status
            guard status.state == .leader else { return elsewhere(status.leader) }
            let view = MembershipView(
                state: store.state, members: status.members, leaderID: identity.id, alive: alive)
            switch MembershipPlan.next(request, view) {
            case .done(let notes): return .accepted(MembershipReply.Cluster(store.state, notes: notes))
            case .refuse(let failure): return .failed(failure)
            case .propose(let command):
                do throws(MetaFailure) { try store.change(command) } catch { return .failed(error) }
            case .change(let change):
                if let failure = carryOut(change, consensus) {
                    patience -= 1
                    if patience <= 0 { return .failed(failure) }
                    // The engine works on another change, or the member is not up yet.
                    Self.pause(milliseconds: 200)
                }
            }
        }
        return .failed(
            .outcomeUnknown(reason: "it takes too long", next: "try again: what has been done is not done twice"))
    }

    private func elsewhere(_ leader: String?) -> MembershipReply {
        let state = store.state
        if let leader, leader != options.name, let member = state.members[leader] {
            return .leader(name: leader, address: member.address)
        }
        if options.role == .replicant, let core = mesh.peers.first(where: { $0.role == .core }) {
            return .leader(name: core.name.text, address: state.members[core.name.text]?.address ?? "")
        }
        return .failed(
            .refused(
                reason: "the cores have no leader",
                next:
                    "start the cores that are missing (sluice ctl cluster status), or, if they are lost for good, sluice ctl cluster recover on one that is left"
            ))
    }

    /// - Returns: why it did not happen; nil when it did.
    private func carryOut(_ change: MembershipChange, _ consensus: any Consensus) -> MetaFailure? {
        let done = DispatchSemaphore(value: 0)
        let outcome = Mutex<Result<Void, ProposalError>>(.success(()))
        consensus.change(change) { result in
            outcome.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        switch outcome.withLock({ $0 }) {
        case .success: return nil
        case .failure(.refused(let reason)): return .refused(reason: reason, next: "try again")
        case .failure(.notLeader): return .refused(reason: "the leader has changed", next: "try again")
        case .failure(.outcomeUnknown):
            return .outcomeUnknown(reason: "leadership was lost meanwhile", next: "try again")
        }
    }

    static func pause(milliseconds: Int) {
        _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(milliseconds))
    }

    /// Asks whoever leads, by way of whom this node can reach; this node itself first. Blocks.
    func ask(_ request: MembershipRequest, via first: NodeName?) -> MembershipReply {
        var next = first
        var last = MembershipReply.failed(.refused(reason: "no core can be reached", next: "start one"))
        for _ in 0..<8 {
            let reply: MembershipReply
            if let node = next, node.text != options.name {
                switch call(node, request.method, request.encoded, timeoutMilliseconds: options.joinTimeoutMilliseconds)
                {
                case .success(let body):
                    do throws(MetaFormatError) { reply = try MembershipReply(decoding: body) } catch {
                        reply = .failed(.refused(reason: "\(node) answers in a way unknown here: \(error)", next: ""))
                    }
                case .failure(.notConnected):
                    reply = .failed(
                        .refused(reason: "\(node) can't be reached", next: "look at its log, and at the firewall"))
                case .failure(.refused(let reason)): reply = .failed(.refused(reason: "\(node): \(reason)", next: ""))
                case .failure(.timedOut), .failure(.linkLost):
                    reply = .failed(
                        .outcomeUnknown(
                            reason: "\(node) has not answered", next: "try again: what has been done is not done twice")
                    )
                }
            } else {
                reply = operations.sync { serve(request) }
            }
            last = reply
            guard case .leader(let name, let address) = reply else { return reply }
            if !mesh.peers.contains(where: { $0.name.text == name }), !address.isEmpty { _ = connect(address) }
            next = NodeName(name)
        }
        return last
    }
}

extension MembershipRequest {
    var method: MeshMethod {
        switch self {
        case .join: .join
        case .leave: .leave
        }
    }
}
