import Buffers

/// The sources in their order: the first that has an opinion decides, then `no_match`. Immutable; a reload makes another.
package final class AuthorizationChain: Sendable {
    enum Source: Sendable {
        case file(AccessRules)
        case builtIn(BuiltInRules)
        case http(HTTPAuthorizer)
    }

    /// What can be said at once.
    package enum Step: Sendable {
        case decided(AccessDecision)
        /// The source of that number must be asked.
        case asks(Int)
    }

    let sources: [Source]
    let allowsNoMatch: Bool
    /// Without a chain only clients with rules of their own are held to something.
    let isConfigured: Bool
    /// Whether a decision holds for all messages to a topic, whatever their QoS and retain flag.
    package let looksAtFlags: Bool

    init(sources: [Source], allowsNoMatch: Bool, isConfigured: Bool = true) {
        self.sources = sources
        self.isConfigured = isConfigured
        self.allowsNoMatch = allowsNoMatch
        looksAtFlags = sources.contains { source in
            switch source {
            case .file(let rules): rules.looksAtFlags
            // Rules may be added while it runs; a service may look at anything.
            case .builtIn, .http: true
            }
        }
    }

    /// Rules that came with the client are asked first. [EMQX authz: client_info]
    package func decide(_ client: ClientAccess, _ request: AccessRequest) -> Step {
        if client.isSuperuser { return .decided(AccessDecision(isAllowed: true, source: .superuser)) }
        if let decision = client.ownRules?.decide(client, request) {
            return .decided(AccessDecision(isAllowed: decision, source: .clientInfo))
        }
        guard isConfigured || client.ownRules != nil else { return .decided(.byDefault) }
        return decide(client, request, from: 0)
    }

    private func decide(_ client: ClientAccess, _ request: AccessRequest, from first: Int) -> Step {
        for index in first..<max(first, sources.count) {
            switch sources[index] {
            case .file(let rules):
                if let decision = rules.decide(client, request) {
                    return .decided(AccessDecision(isAllowed: decision, source: .file))
                }
            case .builtIn(let rules):
                if let decision = rules.decide(client, request) {
                    return .decided(AccessDecision(isAllowed: decision, source: .builtIn))
                }
            case .http: return .asks(index)
            }
        }
        return .decided(AccessDecision(isAllowed: allowsNoMatch, source: .byDefault))
    }

    /// Goes on where ``decide(_:_:)`` had to stop.
    /// - Parameter done: called once, on any thread, within the service's time.
    package func ask(
        _ index: Int, _ client: ClientAccess, _ question: AccessQuestion,
        _ done: @escaping @Sendable (AccessDecision) -> Void
    ) {
        guard index < sources.count, case .http(let authorizer) = sources[index] else {
            done(AccessDecision(isAllowed: false, source: .http))
            return
        }
        authorizer.authorize(client, question) { [self] decision in
            if let decision {
                done(AccessDecision(isAllowed: decision, source: .http))
                return
            }
            switch question.withRequest({ decide(client, $0, from: index + 1) }) {
            case .decided(let decision): done(decision)
            case .asks(let next): ask(next, client, question, done)
            }
        }
    }
}

/// A request that outlives the packet it came in.
package struct AccessQuestion: Sendable {
    package var action: AccessAction
    package var qos: UInt8
    package var isRetained: Bool
    package var topic: [UInt8]

    package init(_ request: AccessRequest) {
        action = request.action
        qos = request.qos
        isRetained = request.isRetained
        topic = Array(request.topic)
    }

    package func withRequest<R>(_ body: (AccessRequest) -> R) -> R {
        topic.withUnsafeBytes { body(AccessRequest(action, topic: $0, qos: qos, isRetained: isRetained)) }
    }
}
