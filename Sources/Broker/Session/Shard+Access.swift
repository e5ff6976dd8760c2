import Access
import Buffers
import MQTTCodec
import Topics

/// Rights of sessions: wills, and what is left of a subscription when the rules change.
extension Shard {
    /// Publishes a will if its client still may publish there: at the time of publishing, like any PUBLISH.
    func publish(_ will: Will, of session: Session) {
        guard let control = node.access, control.authorizes, let access = session.access, !access.isSuperuser else {
            publishNow(will)
            return
        }
        let view = will.message.view
        // As for a PUBLISH, the prefix of a delayed message does not hide its topic.
        let inner = settings.topics.delayedEnabled ? DelayedTopic(view.topic, now: wall).inner : nil
        let request = AccessRequest(
            .publish, topic: inner ?? view.topic, qos: view.traits.qos, isRetained: view.traits.isRetained)
        let chain = control.authorizationChain
        switch chain.decide(access, request) {
        case .decided(let decision): publish(will, if: decision)
        case .asks(let source):
            nonisolated(unsafe) let will = will  // its message is immutable
            chain.ask(source, access, AccessQuestion(request)) { [self] decision in
                execute { $0.publish(will, if: decision) }
            }
        }
    }

    private func publish(_ will: Will, if decision: AccessDecision) {
        if decision.isAllowed { publishNow(will) } else { counters.willsDenied.add(1) }
    }

    /// The rules have changed: subscriptions that would not be granted any more end, clients that are banned go.
    /// [CVE-2018-12546]
    func reviewAccess() {
        guard let control = node.access else { return }
        let chain = control.authorizationChain
        for session in Array(sessions.values) where !isLeaving(session) && !session.isTerminated {
            let isBanned = control.bans.isBanned(
                clientID: session.clientID, username: session.username, peerHost: session.publisher.peerHost,
                now: wall / 1000)
            if isBanned {
                expel(session)
            } else if control.authorizes, let access = session.access, !access.isSuperuser {
                reviewSubscriptions(of: session, access, chain)
            }
        }
    }

    /// The client has come back to its session: the rules, or what it brings, may be others than when it subscribed.
    func reviewSubscriptions(of session: Session) {
        guard let control = node.access, control.authorizes, let access = session.access, !access.isSuperuser,
            !session.subscriptions.isEmpty
        else { return }
        reviewSubscriptions(of: session, access, control.authorizationChain)
    }

    private func reviewSubscriptions(of session: Session, _ access: ClientAccess, _ chain: AuthorizationChain) {
        for subscription in Array(session.subscriptions.values) {
            guard let claim = subscription.claim else { continue }
            let step = withBytes(claim) {
                chain.decide(access, AccessRequest(.subscribe, topic: $0, qos: subscription.options.qos))
            }
            guard case .decided(let decision) = step, !decision.isAllowed else { continue }
            session.subscriptions[ByteString(subscription.filter)] = nil
            router.remove(subscription)
            forget(subscription, of: session)
            lines.log(
                .notice, "A subscription has ended: the client may not have it any more.",
                metadata: [
                    "client.id": "\(session.clientID.escaped)", "mqtt.filter": "\(subscription.filter.escaped)",
                ])
        }
    }

    /// Whether a retained message's publisher may still publish there, looked at once the rules have changed.
    /// [CVE-2018-12546]
    func mayStillPublish(_ message: Message) -> Bool {
        guard let control = node.access, control.authorizes, control.generation > 1,
            let publisher = message.view.publisher, let access = publisher.access
        else { return true }
        let view = message.view
        let request = AccessRequest(.publish, topic: view.topic, qos: view.traits.qos, isRetained: true)
        guard case .decided(let decision) = control.authorizationChain.decide(access, request) else { return true }
        return decision.isAllowed
    }

    /// Ends a client's connection and session, without its will.
    func expel(_ session: Session) {
        session.will = nil
        session.connection?.close(reason: "kicked", code: .administrativeAction)
        terminate(session, reason: "kicked")
    }

    /// A client that comes and goes too often is banned for a while. [EMQX flapping_detect]
    func detectFlapping(_ clientID: String) {
        guard let control = node.access, let flapping = control.flapping, !isDraining,
            flapping.disconnected(clientID, now: now)
        else { return }
        let seconds = wall / 1000
        let ban = Ban(
            kind: .clientID, who: clientID, by: "flapping detector", reason: "too many disconnections", at: seconds,
            until: seconds + max(1, control.settings.flapping.banTime.milliseconds / 1000))
        lines.warning(
            "A client comes and goes too often and is banned.", metadata: ["client.id": "\(clientID.escaped)"])
        do throws(AccessFailure) { try control.bans.add(ban, persists: false) } catch {
            lines.warning("The ban could not be added.", metadata: ["error": "\(error)"])
        }
    }
}
