package enum AuthenticationOutcome: Sendable {
    case allowed(ClientAccess)
    case refused(AuthenticationRefusal)
}

/// The authenticators in their order: the first that does not ignore the client decides; whom all ignore is refused.
final class AuthenticationChain: Sendable {
    let authenticators: [any Authenticator]
    private let pool: WorkPool

    init(_ authenticators: [any Authenticator], pool: WorkPool) {
        self.authenticators = authenticators
        self.pool = pool
    }

    /// - Parameter done: called once, on any thread.
    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationOutcome) -> Void) {
        ask(0, request, sawCredentials: false, done)
    }

    /// Begins an enhanced authentication.
    /// - Returns: nil when no authenticator knows the method.
    func exchange(method: String, _ request: AuthenticationRequest) -> AuthenticationExchange? {
        for case let scram as ScramAuthenticator in authenticators where scram.digest.mechanism == method {
            return AuthenticationExchange(scram, request, pool: pool)
        }
        return nil
    }

    private func ask(
        _ index: Int, _ request: AuthenticationRequest, sawCredentials: Bool,
        _ done: @escaping @Sendable (AuthenticationOutcome) -> Void
    ) {
        let isTaken = pool.submit { [self] in askHere(index, request, sawCredentials: sawCredentials, done) }
        if !isTaken { done(.refused(.busy)) }
    }

    private func askHere(
        _ index: Int, _ request: AuthenticationRequest, sawCredentials: Bool,
        _ done: @escaping @Sendable (AuthenticationOutcome) -> Void
    ) {
        guard index < authenticators.count else {
            // An unknown user is told what a known one with another password is told.
            done(.refused(sawCredentials ? .badCredentials : .notAuthorized))
            return
        }
        let authenticator = authenticators[index]
        authenticator.authenticate(request) { [self] step in
            switch step {
            case .ignore(let saw):
                let saw = sawCredentials || saw
                if authenticator.isRemote {
                    ask(index + 1, request, sawCredentials: saw, done)
                } else {
                    askHere(index + 1, request, sawCredentials: saw, done)
                }
            case .deny(let refusal): done(.refused(refusal))
            case .allow(let grant):
                done(
                    .allowed(
                        ClientAccess(
                            clientID: request.clientID, username: request.username, peerHost: request.peerHost,
                            listenerID: request.listenerID, certificate: request.certificate,
                            isSuperuser: grant.isSuperuser, ownRules: grant.rules, expiresAt: grant.expiresAt,
                            owner: grant.owner ?? request.username)))
            }
        }
    }
}
