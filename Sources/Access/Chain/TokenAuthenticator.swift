import ConfigSchema
import Synchronization

/// A JSON Web Token as password or user name. [EMQX authn: jwt]
final class TokenAuthenticator: Authenticator {
    let id = "jwt"
    private let settings: TokenSettings
    private let source: TokenKeySource
    private let claims: [(name: String, value: Template)]

    init(_ settings: TokenSettings, lines: LogThrottle) throws(AccessFailure) {
        self.settings = settings
        source = try TokenKeySource(settings, lines: lines)
        var claims: [(name: String, value: Template)] = []
        do throws(AccessRuleError) {
            for (name, value) in settings.claims { claims.append((name, try Template(value))) }
        } catch { throw AccessFailure("verify_claims: \(error)") }
        self.claims = claims
    }

    var isRemote: Bool { source.isRemote }
    func reload() throws(AccessFailure) { try source.reload() }
    var problem: String? { source.health.current }
    func stop() { source.stop() }

    func authenticate(_ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationStep) -> Void) {
        let text = settings.place == .password ? request.password : request.username?.bytes
        guard let text else {
            done(.ignore(sawCredentials: false))
            return
        }
        guard let token = JSONWebToken(text) else {
            done(.ignore(sawCredentials: true))
            return
        }
        source.withKeys { [self] keys in done(keys.map { step(request, token, $0) } ?? .deny(.unavailable)) }
    }

    private func step(_ request: AuthenticationRequest, _ token: JSONWebToken, _ keys: TokenKeySet)
        -> AuthenticationStep
    {
        // Another authenticator may have the key.
        guard keys.verifies(token) else { return .ignore(sawCredentials: true) }
        guard token.isInTime(now: unixSeconds()), claimsHold(token, request) else { return .deny(.badCredentials) }
        var grant = Grant(isSuperuser: token.claims["is_superuser"]?.boolean ?? false)
        if let acl = token.claims[settings.aclClaim] {
            do throws(AccessRuleError) { grant.rules = try AccessRules(claim: acl) } catch {
                // Rules that nobody understands allow nothing.
                return .deny(.notAuthorized)
            }
        }
        if settings.disconnectsAfterExpiry { grant.expiresAt = token.expiresAt }
        let subject = token.claims["sub"]?.string
        grant.owner = settings.place == .password ? request.username ?? subject : subject
        return .allow(grant)
    }

    private func claimsHold(_ token: JSONWebToken, _ request: AuthenticationRequest) -> Bool {
        let client = ClientAccess(
            clientID: request.clientID, username: request.username, peerHost: request.peerHost,
            certificate: request.certificate)
        return claims.allSatisfy { name, value in
            guard let expected = value.render(client) else { return false }
            switch token.claims[name] {
            case .text(let text): return text.bytes == expected
            case .integer(let number): return "\(number)".bytes == expected
            case .bool(let flag): return "\(flag)".bytes == expected
            case .list(let items): return items.contains { $0.string?.bytes == expected }
            default: return false
            }
        }
    }
}

/// The keys of a token authenticator: fixed, of a file, or of a URL that is looked at again now and then. While a look
/// fails the keys before stay in force.
final class TokenKeySource: Sendable {
    private struct State: Sendable {
        var keys: TokenKeySet?
        /// Monotonic milliseconds of the last look.
        var lookedAt: Int64 = .min / 2
        var isLooking = false
        var waiters: [@Sendable (TokenKeySet?) -> Void] = []
    }

    private enum Origin: Sendable {
        case fixed
        case publicKeyFile(String)
        case file(String)
        case url(String, HTTPClient)
    }

    let health: SourceHealth
    private let origin: Origin
    private let refresh: Int64
    private let state: Mutex<State>
    private static let maximumWaiters = 16_384

    init(_ settings: TokenSettings, lines: LogThrottle) throws(AccessFailure) {
        health = SourceHealth("The keys of tokens could not be read; those before stay in force.", lines: lines)
        refresh = Int64(settings.refreshInterval.components.seconds) * 1000
        var state = State()
        if let place = settings.keySet {
            if place.hasPrefix("http://") || place.hasPrefix("https://") {
                origin = .url(place, try HTTPClient(limit: 1, timeout: 5000, tls: HTTPTLS(settings.tls)))
            } else {
                origin = .file(place)
                state.keys = try Self.readSet(place)
                state.lookedAt = monotonicMilliseconds()
            }
        } else if settings.algorithm == .hmac {
            origin = .fixed
            state.keys = TokenKeySet(keys: [(nil, try Self.secret(settings))])
        } else if let text = settings.publicKey {
            origin = text.hasPrefix("-----BEGIN") ? .fixed : .publicKeyFile(text)
            state.keys = try Self.publicKey(text)
        } else {
            throw AccessFailure("jwt: there is no key")
        }
        self.state = Mutex(state)
        if case .url = origin { look() }
    }

    private static func secret(_ settings: TokenSettings) throws(AccessFailure) -> TokenKey {
        let text = settings.secret?.revealed ?? ""
        guard settings.secretIsBase64 else { return .secret(text.bytes) }
        guard let bytes = Encoding.unbase64(text), !bytes.isEmpty else {
            throw AccessFailure("jwt: secret is no Base64")
        }
        return .secret(bytes)
    }

    private static func publicKey(_ text: String) throws(AccessFailure) -> TokenKeySet {
        var pem = text
        if !text.hasPrefix("-----BEGIN") {
            guard let bytes = try SecretFile.read(text) else {
                throw AccessFailure("jwt: the file \(text) is not there")
            }
            pem = String(decoding: bytes, as: UTF8.self)
        }
        guard let key = TokenKey(pem: pem) else {
            throw AccessFailure("jwt: public_key is no PEM of an RSA (from 2048 bits), P-256 or P-384 key")
        }
        return TokenKeySet(keys: [(nil, key)])
    }

    private static func readSet(_ path: String) throws(AccessFailure) -> TokenKeySet {
        guard let bytes = try SecretFile.read(path) else { throw AccessFailure("jwt: the file \(path) is not there") }
        do throws(AccessFailure) { return try TokenKeySet(json: bytes) } catch {
            throw AccessFailure("jwt: the file \(path): \(error)")
        }
    }

    var isRemote: Bool { if case .url = origin { true } else { false } }

    func reload() throws(AccessFailure) {
        switch origin {
        case .fixed: return
        case .publicKeyFile(let path):
            let keys = try Self.publicKey(path)
            state.withLock { $0.keys = keys }
        case .file(let path):
            let keys = try Self.readSet(path)
            settle(.success(keys))
        case .url: look()
        }
    }

    func stop() { if case .url(_, let client) = origin { client.stop() } }

    /// Calls `body` with the keys, at once when there are some; nil when none could be had.
    func withKeys(_ body: @escaping @Sendable (TokenKeySet?) -> Void) {
        let now = monotonicMilliseconds()
        let (keys, isStale, waits) = state.withLock { state in
            let isStale = now - state.lookedAt >= (state.keys == nil ? 1000 : refresh)
            let waits = state.keys == nil && isRemote && state.waiters.count < Self.maximumWaiters
            if waits { state.waiters.append(body) }
            return (state.keys, isStale, waits)
        }
        if isStale || waits { refreshKeys(isStale: isStale) }
        if !waits { body(keys) }
    }

    private func refreshKeys(isStale: Bool) {
        switch origin {
        case .url where isStale: look()
        case .url: answerWaitersUnlessLooking()
        case .file(let path) where isStale:
            let result = Result { () throws(AccessFailure) in try Self.readSet(path) }
            settle(result)
        default: return
        }
    }

    private func answerWaitersUnlessLooking() {
        let waiters = state.withLock { state in
            guard !state.isLooking else { return [@Sendable (TokenKeySet?) -> Void]() }
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter(nil) }
    }

    private func look() {
        guard case .url(let url, let client) = origin else { return }
        let begins = state.withLock { state in
            defer { state.isLooking = true }
            return !state.isLooking
        }
        guard begins else { return }
        client.send(HTTPClient.Request(url: url, headers: ["Accept: application/json"])) { [self] result in
            settle(Result { () throws(AccessFailure) in try Self.readSet(result) })
        }
    }

    private static func readSet(
        _ result: Result<HTTPClient.Answer, HTTPClient.Failure>
    ) throws(AccessFailure) -> TokenKeySet {
        switch result {
        case .failure(let failure): throw AccessFailure("jwt: the JWK set: \(failure)")
        case .success(let answer) where answer.status != 200:
            throw AccessFailure("jwt: the JWK set: the service answers with \(answer.status)")
        case .success(let answer):
            do throws(AccessFailure) { return try TokenKeySet(json: answer.body) } catch {
                throw AccessFailure("jwt: the service's answer: \(error)")
            }
        }
    }

    /// A look is over: its keys are in force, or those before stay.
    private func settle(_ result: Result<TokenKeySet, AccessFailure>) {
        switch result {
        case .success: health.succeeded()
        case .failure(let failure): health.failed("\(failure)")
        }
        let (waiters, keys) = state.withLock { state in
            state.isLooking = false
            state.lookedAt = monotonicMilliseconds()
            if case .success(let found) = result { state.keys = found }
            defer { state.waiters = [] }
            return (state.waiters, state.keys)
        }
        for waiter in waiters { waiter(keys) }
    }
}
