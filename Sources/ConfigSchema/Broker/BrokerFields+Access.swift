extension BrokerFields {
    static let allowAnonymous = Field(
        "allow_anonymous", .bool, default: false,
        doc: "Whether listeners that other machines reach may take clients that nobody asks who they are.")
    static let authentication = Field(
        "authentication", .list(Authentication.authenticator), default: [],
        doc: "Who clients are: authenticators, asked in this order. [EMQX authentication]")
    static let authorization = Field(
        group: "authorization", Authorization.all, doc: "What clients may do. [EMQX authorization]")
    static let flappingDetect = Field(
        group: "flapping_detect", Flapping.all, doc: "Bans clients that come and go too often.")

    static let access: [any ConfigField] = [allowAnonymous, authentication, authorization, flappingDetect]

    // MARK: authentication

    enum PasswordHash {
        static let name = Field(
            "name", FieldType<PasswordHashSettings.Name>.choice, default: .pbkdf2, doc: "The algorithm.")
        static let saltPosition = Field(
            "salt_position", FieldType<PasswordHashSettings.SaltPosition>.choice, default: .prefix,
            doc: "Of plain digests: where the salt stands.")
        static let function = Field(
            "mac_fun", FieldType<PasswordHashSettings.MACFunction>.choice, default: .sha256, doc: "Of pbkdf2.")
        static let iterations = Field("iterations", .int(1...10_000_000), default: 10_000, doc: "Of pbkdf2.")
        static let length = Field("dk_length", .int(16...128), doc: "Of pbkdf2: bytes of the key.")
        static let cost = Field("salt_rounds", .int(4...16), default: 10, doc: "Of bcrypt: its cost.")
        static let rounds = Field("rounds", .int(2...(1 << 24)), default: 16_384, doc: "Of scrypt: N.")
        static let blockSize = Field("block_size", .int(1...64), default: 8, doc: "Of scrypt: r.")
        static let parallelism = Field("parallelism", .int(1...64), default: 1, doc: "Of scrypt: p.")
        static let all = FieldSet(
            "password_hash_algorithm",
            [name, saltPosition, function, iterations, length, cost, rounds, blockSize, parallelism]
        ) { values, context in
            let count = values[rounds]
            if values[name] == .scrypt, count & (count - 1) != 0 || count * values[blockSize] * 128 > 256 << 20 {
                context.report(
                    values.problem(
                        .outOfRange, "rounds takes a power of two with which scrypt needs at most 256 MB", at: rounds))
            }
        }
    }

    enum ClientTLS {
        static let enable = Field(
            "enable", .bool, default: true, noEffect: "the URL's scheme decides", doc: "Read for EMQX's files.")
        static let ca = Field("cacertfile", .nonEmptyString, doc: "PEM: who may sign the server's certificate.")
        static let certificate = Field("certfile", .nonEmptyString, doc: "PEM: the certificate to show.")
        static let key = Field("keyfile", .nonEmptyString, doc: "PEM: its private key.")
        static let verify = Field(
            "verify", FieldType<TLSSettings.Verify>.choice, default: .peer, doc: "Whether the server is verified.")
        static let all = FieldSet("ssl", [enable, ca, certificate, key, verify])
    }

    enum HTTPAccess {
        static let method = Field(
            "method", FieldType<HTTPAccessSettings.Method>.choice, default: .post, doc: "get or post.")
        static let url = Field("url", .nonEmptyString, .required, doc: "http:// or https://; placeholders in the path.")
        static let headers = Field("headers", .map(.string), default: [], doc: "Of the request.")
        static let body = Field(
            "body", .map(.string), default: [], doc: "Fields with placeholders; with get they are the query.")
        static let timeout = Field(
            "request_timeout", .duration(.milliseconds(10) ... .seconds(60)), default: .seconds(5), doc: "Of a request."
        )
        static let poolSize = Field("pool_size", .int(1...1024), default: 8, doc: "Requests under way at once.")
        static let tls = Field(group: "ssl", ClientTLS.all, doc: "TLS to the service.")
        static let shared: [any ConfigField] = [
            method, url, headers, body, timeout, poolSize, tls,
            Field(
                "connect_timeout", .duration, default: .seconds(15), noEffect: "request_timeout counts it in",
                doc: "Read for EMQX's files."),
            Field(
                "enable_pipelining", .int, default: 100, noEffect: "pool_size is the bound",
                doc: "Read for EMQX's files."),
            UnsupportedField("max_retries"),
        ]
    }

    enum Authentication {
        static let mechanism = Field(
            "mechanism", .choice("password_based", "scram", "jwt", "client_certificate"), .required,
            doc: "How clients prove it.")
        static let backend = Field(
            "backend", .choice("built_in_database", "file", "http"), default: "built_in_database",
            doc: "Who knows the passwords.")
        static let enable = Field("enable", .bool, default: true, doc: "Whether it is asked.")
        private static let common: [any ConfigField] = [mechanism, backend, enable]

        static let userID = Field(
            "user_id_type", FieldType<AuthenticatorSettings.UserID>.choice, default: .username,
            doc: "What a password belongs to.")
        static let hash = Field(group: "password_hash_algorithm", PasswordHash.all, doc: "How passwords are hashed.")
        static let bootstrapFile = Field(
            "bootstrap_file", .nonEmptyString, doc: "CSV or JSON with users that are added at the start.")
        static let bootstrapType = Field(
            "bootstrap_type", .choice("plain", "hash"), default: "plain", doc: "What the file holds.")
        static let builtIn = FieldSet("authentication", common + [userID, hash, bootstrapFile, bootstrapType])

        static let path = Field(
            "path", .nonEmptyString, .required, doc: "mosquitto_passwd's format, or EMQX's CSV or JSON.")
        static let file = FieldSet("authentication", common + [userID, hash, path])

        static let scramAlgorithm = Field(
            "algorithm", FieldType<AuthenticatorSettings.ScramAlgorithm>.choice, default: .sha256,
            doc: "The hash function; the Authentication Method is SCRAM-SHA-256 or SCRAM-SHA-512.")
        static let iterationCount = Field(
            "iteration_count", .int(AuthenticatorSettings.scramIterations...10_000_000),
            default: AuthenticatorSettings.scramIterations, doc: "Of new users' passwords.")
        static let scram = FieldSet("authentication", common + [scramAlgorithm, iterationCount]) { values, context in
            if values[backend] != "built_in_database" {
                context.report(
                    values.problem(.badValue, "mechanism scram has the backend built_in_database alone", at: backend))
            }
        }

        static let http = FieldSet("authentication", common + HTTPAccess.shared)
        static let certificate = FieldSet("authentication", [mechanism, enable])

        static let from = Field(
            "from", FieldType<TokenSettings.Place>.choice, default: .password, doc: "Where the token stands.")
        static let algorithm = Field(
            "algorithm", FieldType<TokenSettings.Algorithm>.choice, default: .hmac,
            doc: "HS256, HS384, HS512 with a secret; RS256, RS384, RS512, ES256, ES384 with a public key.")
        static let useJWKS = Field("use_jwks", .bool, default: false, doc: "Whether the keys are a JWK set.")
        static let secret = Field("secret", .secret, doc: "Of the HMAC.")
        static let secretIsBase64 = Field("secret_base64_encoded", .bool, default: false, doc: "Whether it is Base64.")
        static let publicKey = Field("public_key", .nonEmptyString, doc: "PEM, or the path of a file with it.")
        static let endpoint = Field("endpoint", .nonEmptyString, doc: "The JWK set: a URL or a file.")
        static let refresh = Field(
            "refresh_interval", .duration(.seconds(1) ... .seconds(86_400)), default: .seconds(300),
            doc: "Between two looks at the JWK set.")
        static let claims = Field(
            "verify_claims", Claims.type, default: [], doc: "Claims and what they must be; placeholders are allowed.")
        static let aclClaim = Field("acl_claim_name", .nonEmptyString, default: "acl", doc: "The claim with the rules.")
        static let disconnectAfterExpiry = Field(
            "disconnect_after_expire", .bool, default: true, doc: "Whether the client is closed when its token ends.")
        static let tls = Field(group: "ssl", ClientTLS.all, doc: "TLS to the endpoint.")
        static let token = FieldSet(
            "authentication",
            [
                mechanism, enable, from, algorithm, useJWKS, secret, secretIsBase64, publicKey, endpoint, refresh,
                claims,
                aclClaim, disconnectAfterExpiry, tls,
            ]
        ) { values, context in
            if values[useJWKS] {
                if values[endpoint] == nil {
                    context.report(values.problem(.missingKey, "use_jwks needs \"endpoint\"", at: useJWKS))
                }
            } else if values[algorithm] == .hmac, values[secret]?.isEmpty ?? true {
                context.report(
                    values.problem(.missingKey, "algorithm hmac-based needs \"secret\"", at: algorithm))
            } else if values[algorithm] == .publicKey, values[publicKey] == nil {
                context.report(
                    values.problem(.missingKey, "algorithm public-key needs \"public_key\"", at: algorithm))
            }
        }

        /// Which keys an authenticator has depends on its mechanism and backend.
        static let authenticator = FieldType<Authenticator>("an authenticator") { node, context in
            let (mechanism, backend) = (node["mechanism"]?.text, node["backend"]?.text)
            let kind =
                kinds.first { $0.mechanism == mechanism && ($0.backend == nil || $0.backend == backend) }
                ?? kinds.first { $0.backend != nil && $0.backend == backend }
            return (kind?.set ?? builtIn).read(node, &context).map { Authenticator(values: $0) }
        }

        /// Nil stands for any backend. What is none of these is read, and complained of, by its backend alone.
        static let kinds: [(mechanism: String, backend: String?, set: FieldSet)] = [
            ("password_based", "built_in_database", builtIn), ("password_based", "file", file),
            ("password_based", "http", http), ("scram", nil, scram), ("jwt", nil, token),
            ("client_certificate", nil, certificate),
        ]

        enum Claims {
            /// A mapping, or a list of `{name, value}`. [EMQX jwt: verify_claims]
            static let type = FieldType<[Named<String>]>(
                "a mapping of claims to texts", show: { _ in "{}" }
            ) { node, context in
                guard let items = node.items else { return FieldType.map(.string).read(node, &context) }
                var claims: [Named<String>] = []
                for item in items {
                    guard let name = item["name"]?.text, let value = item["value"]?.text else {
                        context.reportWrongType(item, "a mapping with \"name\" and \"value\"")
                        return nil
                    }
                    claims.append(Named(name: name, value: value, key: item))
                }
                return claims
            }
        }
    }

    /// An entry of the list, as read.
    struct Authenticator: Sendable {
        var values: ConfigValues
    }

    // MARK: authorization

    enum Authorization {
        static let noMatch = Field(
            "no_match", FieldType<AuthorizationSettings.NoMatch>.choice, default: .deny,
            doc: "What holds when no source has an opinion.")
        static let denyAction = Field(
            "deny_action", FieldType<AuthorizationSettings.DenyAction>.choice, default: .ignore,
            doc: "Whether a client that does what it may not is closed.")
        static let cache = Field(group: "cache", Cache.all, doc: "Decisions that a client's connection keeps.")
        static let sources = Field(
            "sources", .list(source), default: [], doc: "Asked in this order; the first that has an opinion decides.")
        static let all = FieldSet("authorization", [noMatch, denyAction, cache, sources])

        enum Cache {
            static let enable = Field("enable", .bool, default: true, doc: "Whether decisions are kept.")
            static let size = Field("max_size", .int(1...65_536), default: 32, doc: "How many for a client.")
            static let time = Field(
                "ttl", .duration(.milliseconds(1) ... .seconds(86_400)), default: .seconds(60), doc: "For how long.")
            static let excludes = Field(
                "excludes", .list(.nonEmptyString), default: [], doc: "Filters of topics whose decisions are not kept.")
            static let all = FieldSet("cache", [enable, size, time, excludes])
        }

        static let type = Field(
            "type", .choice("file", "built_in_database", "http"), .required, doc: "Which kind of source.")
        static let enable = Field("enable", .bool, default: true, doc: "Whether it is asked.")
        static let path = Field("path", .nonEmptyString, doc: "A YAML file with \"rules\".")
        static let rules = Field("rules", FieldType<YAMLNode>.any, doc: "The rules themselves.")
        static let file = FieldSet("authorization.sources", [type, enable, path, rules]) { values, context in
            if (values[path] == nil) == (values[rules] == nil) {
                context.report(values.node.problem(.missingKey, "a file source needs either \"path\" or \"rules\""))
            }
        }
        static let builtIn = FieldSet("authorization.sources", [type, enable])
        static let http = FieldSet("authorization.sources", [type, enable] + HTTPAccess.shared)

        static let source = FieldType<Authenticator>("a source") { node, context in
            let set =
                switch node["type"]?.text {
                case "file": file
                case "http": http
                default: builtIn
                }
            return set.read(node, &context).map { Authenticator(values: $0) }
        }
    }

    enum Flapping {
        static let enable = Field("enable", .bool, default: false, doc: "Whether it is looked for.")
        static let maximum = Field("max_count", .int(1...1_000_000), default: 15, doc: "Disconnections in the window.")
        static let window = Field("window_time", .duration, default: .seconds(60), doc: "The window.")
        static let banTime = Field("ban_time", .duration, default: .seconds(300), doc: "How long the client is banned.")
        static let all = FieldSet("flapping_detect", [enable, maximum, window, banTime])
    }
}
