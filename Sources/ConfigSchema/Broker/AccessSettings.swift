/// Who may connect and what clients may do: plain values, read once. Keys, defaults and docs are in `BrokerFields`.
package struct AccessSettings: Sendable {
    /// Clients that nobody asked who they are may come from other machines.
    package var allowsAnonymous = false
    /// Asked in this order.
    package var authenticators: [AuthenticatorSettings] = []
    package var authorization = AuthorizationSettings()
    package var flapping = FlappingSettings()

    package init() {}
}

package enum AuthenticatorSettings: Sendable {
    package enum UserID: String, Sendable, CaseIterable { case username, clientid }
    package enum ScramAlgorithm: String, Sendable, CaseIterable { case sha256, sha512 }

    /// Of RFC 7677, and EMQX's.
    package static let scramIterations = 4096

    case builtIn(userID: UserID, hash: PasswordHashSettings, bootstrapFile: String?, bootstrapHashes: Bool)
    case passwordFile(path: String, userID: UserID, hash: PasswordHashSettings)
    case scram(ScramAlgorithm, iterations: Int)
    case token(TokenSettings)
    case http(HTTPAccessSettings)
    case certificate

    /// As EMQX names it: `password_based:built_in_database`.
    package var id: String {
        switch self {
        case .builtIn: "password_based:built_in_database"
        case .passwordFile: "password_based:file"
        case .scram: "scram:built_in_database"
        case .token: "jwt"
        case .http: "password_based:http"
        case .certificate: "client_certificate"
        }
    }
}

/// How passwords are hashed. [EMQX password_hash_algorithm]
package struct PasswordHashSettings: Sendable {
    package enum Name: String, Sendable, CaseIterable { case plain, md5, sha, sha256, sha512, bcrypt, pbkdf2, scrypt }
    package enum SaltPosition: String, Sendable, CaseIterable { case prefix, suffix, disable }
    package enum MACFunction: String, Sendable, CaseIterable { case sha, sha256, sha512 }

    package var name: Name
    package var saltPosition: SaltPosition
    package var function: MACFunction
    package var iterations: Int
    package var length: Int?
    package var bcryptCost: Int
    package var scryptRounds: Int
    package var scryptBlockSize: Int
    package var scryptParallelism: Int
}

package struct TokenSettings: Sendable {
    package enum Place: String, Sendable, CaseIterable { case password, username }
    package enum Algorithm: String, Sendable, CaseIterable {
        case hmac = "hmac-based"
        case publicKey = "public-key"
    }

    package var place: Place
    package var algorithm: Algorithm
    package var secret: SecretString?
    package var secretIsBase64: Bool
    /// PEM text, or the path of a file with it.
    package var publicKey: String?
    /// A file or URL with a JWK set; nil without `use_jwks`.
    package var keySet: String?
    package var refreshInterval: Duration
    /// Claim → text with placeholders.
    package var claims: [(name: String, value: String)]
    package var aclClaim: String
    package var disconnectsAfterExpiry: Bool
    package var tls: ClientTLSSettings
}

package struct HTTPAccessSettings: Sendable {
    package enum Method: String, Sendable, CaseIterable { case get, post }

    package var method: Method
    package var url: String
    package var headers: [(name: String, value: String)]
    package var body: [(name: String, value: String)]
    package var timeout: Duration
    /// Requests under way at once.
    package var poolSize: Int
    package var tls: ClientTLSSettings
}

/// The client's end of TLS.
package struct ClientTLSSettings: Sendable {
    package var caCertificateFile: String?
    package var certificateFile: String?
    package var keyFile: String?
    package var verifies = true
}

package struct AuthorizationSettings: Sendable {
    package enum NoMatch: String, Sendable, CaseIterable { case allow, deny }
    package enum DenyAction: String, Sendable, CaseIterable { case ignore, disconnect }

    package enum Source: Sendable {
        /// A file with `rules:`, or the rules themselves.
        case file(path: String)
        case inline(YAMLNode)
        case builtIn
        case http(HTTPAccessSettings)
    }

    /// Whether there is anything to ask.
    package var isConfigured = false
    package var noMatch = NoMatch.deny
    package var denyAction = DenyAction.ignore
    package var sources: [Source] = []
    package var caches = true
    /// Decisions kept for a client.
    package var cacheSize = 32
    package var cacheTime = Duration.seconds(60)
    /// Topics whose decisions are not kept.
    package var cacheExcludes: [String] = []
}

package struct FlappingSettings: Sendable {
    package var isEnabled = false
    package var maximumCount = 15
    package var window = Duration.seconds(60)
    package var banTime = Duration.seconds(300)
}
