/// Built-in users that prove who they are by SCRAM, in AUTH packets. Clients without an Authentication Method are not its
/// concern. [EMQX authentication: scram]
final class ScramAuthenticator: Authenticator {
    let id = "scram:built_in_database"
    let digest: ScramDigest
    private let users: UserStore
    private let iterations: Int

    init(digest: ScramDigest, iterations: Int, users: UserStore) {
        self.digest = digest
        self.iterations = iterations
        self.users = users
    }

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        done(.ignore(sawCredentials: false))
    }

    /// The credentials of a user; of one that there is not, or that has none for this digest, such that nobody can tell.
    func credentials(of username: String) -> ScramExchange.Credentials {
        if let user = users.find(username), case .scram(let verifier) = user.hash, verifier.digest == digest {
            return .init(verifier: verifier, isSuperuser: user.isSuperuser, isDecoy: false)
        }
        // The same salt each time that somebody asks.
        let salt = Array(digest.hmac(users.decoyKey, username.bytes).prefix(PasswordAlgorithm.saltLength))
        let key = digest.hmac(users.decoyKey, [0] + username.bytes)
        return .init(
            verifier: ScramVerifier(
                digest: digest, iterations: iterations, salt: salt, storedKey: key, serverKey: key),
            isSuperuser: false, isDecoy: true)
    }
}
