package import ConfigSchema
package import Logging
import Synchronization

/// Who may connect to a node and what clients may do there: the chains, the users, lists and bans behind them.
///
/// Made once; reloads put other chains in force. Used from all shards.
package final class AccessControl: Sendable {
    package let users: UserStore
    package let rules: BuiltInRules
    package let bans: BanTable
    package let flapping: FlappingDetector?
    package let settings: AccessSettings
    /// Whether there is anybody to ask who a client is.
    package let authenticates: Bool
    /// Whether anything can be denied: without sources and tokens with rules, nothing.
    package let authorizes: Bool
    /// Grows with each change of what is allowed: decisions of an older one are worth nothing.
    package var generation: UInt64 { generations.load(ordering: .acquiring) }

    private let generations = Atomic<UInt64>(1)
    private let chain: AuthenticationChain
    private let authorization: Mutex<AuthorizationChain>
    private let lines: LogThrottle

    /// - Parameter dataDirectory: nil keeps users, lists and bans in memory alone.
    /// - Throws: ``AccessFailure`` when a file is not there or can't be understood: nobody is let in by half a configuration.
    package init(_ settings: AccessSettings, dataDirectory: String?, logger: Logger) throws(AccessFailure) {
        self.settings = settings
        lines = LogThrottle(logger)
        users = try UserStore(path: dataDirectory.map { $0 + "/users.json" })
        rules = try BuiltInRules(path: dataDirectory.map { $0 + "/acl.json" })
        bans = try BanTable(path: dataDirectory.map { $0 + "/banned.json" })
        flapping =
            settings.flapping.isEnabled
            ? FlappingDetector(
                maximum: settings.flapping.maximumCount, window: settings.flapping.window.wholeMilliseconds) : nil
        var authenticators: [any Authenticator] = []
        for entry in settings.authenticators {
            authenticators.append(try Self.authenticator(entry, users: users, lines: lines))
        }
        chain = AuthenticationChain(authenticators, pool: WorkPool(threads: 2, capacity: 32_768))
        authenticates = !authenticators.isEmpty
        let bringsRules = settings.authenticators.contains { entry in
            switch entry {
            case .token, .http: true
            default: false
            }
        }
        authorizes = settings.authorization.isConfigured || bringsRules
        authorization = Mutex(try Self.authorization(settings.authorization, rules: rules, old: nil, lines: lines))
    }

    private static func authenticator(
        _ settings: AuthenticatorSettings, users: UserStore, lines: LogThrottle
    ) throws(AccessFailure) -> any Authenticator {
        switch settings {
        case .builtIn(let userID, let hash, let file, let isHashed):
            let algorithm = PasswordAlgorithm(hash)
            if let file { try bootstrap(users, file, isHashed ? .hash(algorithm) : .plain(algorithm)) }
            return try PasswordAuthenticator(
                id: settings.id, users: .store(users), userID: userID, algorithm: algorithm)
        case .passwordFile(let path, let userID, let hash):
            return try PasswordAuthenticator(
                id: settings.id, users: .file(path: path), userID: userID, algorithm: PasswordAlgorithm(hash))
        case .scram(let algorithm, let iterations):
            return ScramAuthenticator(digest: ScramDigest(algorithm), iterations: iterations, users: users)
        case .token(let token): return try TokenAuthenticator(token, lines: lines)
        case .http(let http): return try HTTPAuthenticator(http, lines: lines)
        case .certificate: return CertificateAuthenticator()
        }
    }

    /// Adds the users of a file that are not there yet. [EMQX bootstrap_file]
    private static func bootstrap(_ users: UserStore, _ path: String, _ content: UserFile.Content) throws(AccessFailure)
    {
        guard let bytes = try SecretFile.read(path) else { throw AccessFailure("bootstrap_file: \(path) is not there") }
        do throws(AccessFailure) {
            try users.apply(
                try UserFile.parse(bytes, content: content).map { .add($0.id, $0.user) }, skipsKnown: true)
        } catch { throw AccessFailure("bootstrap_file \(path): \(error)") }
    }

    /// - Parameter old: the chain before: its services, which have no files, go on.
    private static func authorization(
        _ settings: AuthorizationSettings, rules: BuiltInRules, old: AuthorizationChain?, lines: LogThrottle
    ) throws(AccessFailure) -> AuthorizationChain {
        var sources: [AuthorizationChain.Source] = []
        for (index, source) in settings.sources.enumerated() {
            switch source {
            case .file(let path): sources.append(.file(try AccessFile.read(path)))
            case .inline(let node): sources.append(.file(try AccessFile.rules(node, name: "authorization.sources")))
            case .builtIn: sources.append(.builtIn(rules))
            case .http(let http):
                if let old, case .http = old.sources[index] {
                    sources.append(old.sources[index])
                } else {
                    sources.append(.http(try HTTPAuthorizer(http, lines: lines)))
                }
            }
        }
        return AuthorizationChain(
            sources: sources, allowsNoMatch: settings.noMatch == .allow, isConfigured: settings.isConfigured)
    }

    /// The chain in force.
    package var authorizationChain: AuthorizationChain { authorization.withLock { $0 } }

    /// - Parameter done: called once, on any thread.
    package func authenticate(
        _ request: AuthenticationRequest, _ done: @escaping @Sendable (AuthenticationOutcome) -> Void
    ) {
        chain.authenticate(request, done)
    }

    /// Begins an enhanced authentication. [MQTT5 §4.12]
    /// - Parameter request: what CONNECT says; a user name in it has to be the one that is proved.
    /// - Returns: nil when no authenticator knows the method.
    package func exchange(method: String, _ request: AuthenticationRequest) -> AuthenticationExchange? {
        chain.exchange(method: method, request)
    }

    /// How new passwords of built-in users are hashed: as the first authenticator that asks these users has it. A SCRAM
    /// verifier also serves who sends the password.
    package var passwordAlgorithm: PasswordAlgorithm {
        for entry in settings.authenticators {
            switch entry {
            case .builtIn(_, let hash, _, _): return PasswordAlgorithm(hash)
            case .scram(let algorithm, let iterations): return .scram(ScramDigest(algorithm), iterations: iterations)
            default: continue
            }
        }
        return .standard
    }

    /// How a user's verifier for SCRAM is made.
    package var scramAlgorithm: PasswordAlgorithm {
        for case .scram(let algorithm, let iterations) in settings.authenticators {
            return .scram(ScramDigest(algorithm), iterations: iterations)
        }
        return .scram(.sha256, iterations: AuthenticatorSettings.scramIterations)
    }

    /// Reads the files again. What can't be read keeps what was in force.
    /// - Returns: what went wrong, a sentence each.
    package func reload() -> [String] {
        var problems: [String] = []
        for authenticator in chain.authenticators {
            do throws(AccessFailure) { try authenticator.reload() } catch { problems.append("\(error)") }
        }
        do throws(AccessFailure) {
            let old = authorizationChain
            let new = try Self.authorization(settings.authorization, rules: rules, old: old, lines: lines)
            authorization.withLock { $0 = new }
            changed()
        } catch { problems.append("\(error)") }
        return problems
    }

    /// Says that rules, users or bans have changed, so that no shard goes by an older decision.
    package func changed() { generations.wrappingAdd(1, ordering: .releasing) }

    /// Whoever could not be asked the last time, in the order of the chains.
    package var problems: [AccessProblem] {
        var problems: [AccessProblem] = []
        for (index, authenticator) in chain.authenticators.enumerated() {
            guard let reason = authenticator.problem else { continue }
            problems.append(AccessProblem(source: "authentication:\(index + 1):\(authenticator.id)", reason: reason))
        }
        for (index, source) in authorizationChain.sources.enumerated() {
            guard case .http(let authorizer) = source, let reason = authorizer.problem else { continue }
            problems.append(AccessProblem(source: "authorization:\(index + 1):http", reason: reason))
        }
        return problems
    }

    /// Says how many lines were left out lately. To be called now and then.
    package func flushLines() { lines.flush() }

    package func stop() {
        for authenticator in chain.authenticators { authenticator.stop() }
        for case .http(let authorizer) in authorizationChain.sources { authorizer.stop() }
    }
}

extension ScramDigest {
    fileprivate init(_ algorithm: AuthenticatorSettings.ScramAlgorithm) {
        self = algorithm == .sha256 ? .sha256 : .sha512
    }
}

extension PasswordAlgorithm {
    package init(_ settings: PasswordHashSettings) {
        let position = PasswordHash.SaltPosition(rawValue: settings.saltPosition.rawValue) ?? .prefix
        let function = PasswordHash.Digest(rawValue: settings.function.rawValue) ?? .sha256
        switch settings.name {
        case .plain: self = .plain
        case .md5: self = .digest(.md5, position)
        case .sha: self = .digest(.sha, position)
        case .sha256: self = .digest(.sha256, position)
        case .sha512: self = .digest(.sha512, position)
        case .bcrypt: self = .bcrypt(cost: settings.bcryptCost)
        case .pbkdf2: self = .pbkdf2(function, rounds: settings.iterations, length: settings.length)
        case .scrypt:
            self = .scrypt(
                rounds: settings.scryptRounds, blockSize: settings.scryptBlockSize,
                parallelism: settings.scryptParallelism)
        }
    }
}
