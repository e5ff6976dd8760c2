import Access
import Buffers
import MQTTCodec
import Topics

/// What a connection knows of its client's rights. Made when something is asked for the first time.
final class ConnectionDecisions {
    let cache: AuthorizationCache?
    /// Of the rules by which the cache was filled.
    var generation: UInt64
    /// What others have answered about the packet at the front.
    var answers: [(key: DecisionKey, decision: AccessDecision)] = []
    /// Answers that have not come yet.
    var awaited = 0

    init(_ control: AccessControl) {
        let settings = control.settings.authorization
        cache =
            settings.caches
            ? AuthorizationCache(limit: settings.cacheSize, timeToLive: settings.cacheTime.milliseconds) : nil
        generation = control.generation
    }
}

struct DecisionKey: Equatable {
    var flags: UInt8
    var topic: [UInt8]
}

/// The seam of authorization: what is decided is reported here and nowhere else.
extension Connection {
    private enum Finding {
        /// - until: how long it holds, in monotonic milliseconds, if it was in the cache.
        case decided(AccessDecision, until: Int64 = 0)
        case asks(Int, AuthorizationChain)
    }

    /// Whether this client may publish there by what it was told lately: a hit costs a few nanoseconds.
    /// - Parameter route: the topic's; 0 for none.
    @inline(__always)
    func isKnownAllowed(_ packet: PublishView, route: UInt64) -> Bool {
        let flags = AccessRequest.flags(.publish, qos: packet.qos.rawValue, isRetained: packet.isRetained)
        guard
            allowedPublishes.contains(route, flags: flags, generation: shard.accessGeneration, now: shard.now),
            !shard.rules.wantsAuthorization
        else { return false }
        shard.counters.authorizationAllowed.add(1)
        shard.counters.authorizationCacheHits.add(1)
        return true
    }

    /// Whether a PUBLISH may be; says so to the client when not. [MQTT3-3.3.5-2]
    /// - Returns: false when it is refused, and when somebody else is asked first: then it is read once more.
    @inline(never)
    func mayPublish(
        _ packet: PublishView, topic: Bytes, hash: UInt64, route: UInt64, session: Session
    ) throws(ProtocolViolation) -> Bool {
        let request = AccessRequest(
            .publish, topic: topic, qos: packet.qos.rawValue, isRetained: packet.isRetained)
        let decision: AccessDecision
        switch finding(request, hash: hash) {
        case .decided(let known, let until):
            decision = known
            if known.isAllowed, until > 0, route != 0, let generation = decisions?.generation {
                allowedPublishes.insert(route, flags: request.flags, generation: generation, until: until)
            }
        case .asks(let source, let chain):
            ask(request, source, chain)
            return false
        }
        decisions?.answers.removeAll()
        report(decision, request, session: session)
        if decision.isAllowed { return true }
        shard.counters.publishesDenied.add(1)
        logDenial(request)
        if shard.node.access?.settings.authorization.denyAction == .disconnect {
            throw ProtocolViolation(.notAuthorized, clause: "MQTT-4.13.1-1", "A message to a forbidden topic came.")
        }
        // Before 5.0 there is no other answer than that it was received. [MQTT3-3.3.5-2]
        answer(packet, isV5 ? .notAuthorized : .success)
        return false
    }

    /// Which of the packet's subscriptions are forbidden, by their place in it.
    /// - Returns: nil when somebody else is asked first: then the packet is read once more.
    func deniedSubscriptions(_ packet: SubscribePacket, session: Session) throws(ProtocolViolation) -> Set<Int>? {
        guard shard.rules.watchesAccess else { return [] }
        var found: [(index: Int, filter: String, qos: UInt8, decision: AccessDecision)] = []
        for (index, entry) in packet.subscriptions.enumerated() where refusal(of: entry, session: session) == nil {
            // `$share/group/secret/#` is authorised as what it would read.
            let filter = plainFilter(entry.filter)
            withBytes(filter) { bytes in
                let request = AccessRequest(.subscribe, topic: bytes, qos: entry.options.qos.rawValue)
                switch finding(request, hash: topicHash(bytes)) {
                case .decided(let decision, _): found.append((index, filter, request.qos, decision))
                case .asks(let source, let chain): ask(request, source, chain)
                }
            }
        }
        guard !isAwaitingDecision else { return nil }
        decisions?.answers.removeAll()
        var denied: Set<Int> = []
        for (index, filter, qos, decision) in found {
            withBytes(filter) { bytes in
                let request = AccessRequest(.subscribe, topic: bytes, qos: qos)
                report(decision, request, session: session)
                guard !decision.isAllowed else { return }
                shard.counters.subscribesDenied.add(1)
                logDenial(request)
                denied.insert(index)
            }
        }
        if !denied.isEmpty, shard.node.access?.settings.authorization.denyAction == .disconnect {
            throw ProtocolViolation(.notAuthorized, clause: "MQTT-4.13.1-1", "A forbidden subscription was asked for.")
        }
        return denied
    }

    // MARK: Finding out

    private func finding(_ request: AccessRequest, hash: UInt64) -> Finding {
        guard let control = shard.node.access, control.authorizes else { return .decided(.byDefault) }
        guard let access else { return .decided(AccessDecision(isAllowed: false, source: .byDefault)) }
        if access.isSuperuser { return .decided(AccessDecision(isAllowed: true, source: .superuser)) }
        let known = decisions ?? ConnectionDecisions(control)
        if decisions == nil { decisions = known }
        let generation = control.generation
        if known.generation != generation {
            known.generation = generation
            known.cache?.removeAll()
        }
        let flags = request.flags
        if let (isAllowed, until) = known.cache?.find(request.topic, hash: hash, flags: flags, now: shard.now) {
            return .decided(AccessDecision(isAllowed: isAllowed, source: .cache), until: until)
        }
        if let answer = known.answers.first(where: {
            $0.key.flags == flags && $0.key.topic.elementsEqual(request.topic)
        }) {
            return .decided(answer.decision)
        }
        let chain = control.authorizationChain
        switch chain.decide(access, request) {
        case .decided(let decision):
            remember(request, hash: hash, decision)
            return .decided(decision)
        case .asks(let source): return .asks(source, chain)
        }
    }

    private func remember(_ request: AccessRequest, hash: UInt64, _ decision: AccessDecision) {
        guard let control = shard.node.access, let cache = decisions?.cache else { return }
        shard.counters.authorizationCacheMisses.add(1)
        for filter in control.settings.authorization.cacheExcludes
        where withBytes(filter, { TopicSyntax.matches(filter: $0, topic: request.topic) }) { return }
        cache.store(request.topic, hash: hash, flags: request.flags, isAllowed: decision.isAllowed, now: shard.now)
    }

    private func ask(_ request: AccessRequest, _ source: Int, _ chain: AuthorizationChain) {
        guard let access, let decisions else { return }
        if !isAwaitingDecision { transport.pauseReading() }
        isAwaitingDecision = true
        decisions.awaited += 1
        let question = AccessQuestion(request)
        nonisolated(unsafe) let connection = self  // comes back to this very shard
        chain.ask(source, access, question) { [shard] decision in
            shard.execute { _ in connection.answered(question, decision) }
        }
    }

    private func answered(_ question: AccessQuestion, _ decision: AccessDecision) {
        guard phase == .connected, let decisions else { return }
        question.withRequest { request in
            decisions.answers.append((DecisionKey(flags: request.flags, topic: question.topic), decision))
            remember(request, hash: topicHash(request.topic), decision)
        }
        decisions.awaited -= 1
        guard decisions.awaited == 0 else { return }
        isAwaitingDecision = false
        resumeIfPossible()
    }

    // MARK: Telling

    private func report(_ decision: AccessDecision, _ request: AccessRequest, session: Session) {
        let counters = shard.counters
        if shard.rules.authorizes {
            if decision.isAllowed { counters.authorizationAllowed.add(1) } else { counters.authorizationDenied.add(1) }
            switch decision.source {
            case .cache: counters.authorizationCacheHits.add(1)
            case .superuser: counters.authorizationSuperuser.add(1)
            case .byDefault: counters.authorizationNoMatch.add(1)
            default: break
            }
        }
        if shard.rules.wantsAuthorization {
            shard.rules.authorizationChecked(
                self, session: session, action: request.action, topic: request.topic, result: decision)
        }
    }

    private func logDenial(_ request: AccessRequest) {
        shard.lines.debug(
            "A client did what it may not.",
            metadata: [
                "client.id": "\((access?.clientID ?? "").escaped)", "action": "\(request.action.rawValue)",
                "mqtt.topic": "\(String(decoding: request.topic, as: UTF8.self).escaped)",
            ])
    }
}

extension AccessRequest {
    /// What besides the topic a decision may depend on.
    var flags: UInt8 { Self.flags(action, qos: qos, isRetained: isRetained) }

    @inline(__always)
    static func flags(_ action: AccessAction, qos: UInt8, isRetained: Bool) -> UInt8 {
        (action == .subscribe ? 1 : 0) | qos << 1 | (isRetained ? 8 : 0)
    }
}
