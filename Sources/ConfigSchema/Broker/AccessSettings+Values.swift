extension AccessSettings {
    init(_ root: ConfigValues) {
        allowsAnonymous = root[BrokerFields.allowAnonymous]
        authenticators = root[BrokerFields.authentication].map(\.values)
            .filter { $0[BrokerFields.Authentication.enable] }.map { AuthenticatorSettings($0) }
        authorization = AuthorizationSettings(
            root[BrokerFields.authorization], isSet: root.isSet(BrokerFields.authorization))
        typealias Fields = BrokerFields.Flapping
        let values = root[BrokerFields.flappingDetect]
        flapping.isEnabled = values[Fields.enable]
        flapping.maximumCount = values[Fields.maximum]
        flapping.window = values[Fields.window]
        flapping.banTime = values[Fields.banTime]
    }
}

extension AuthenticatorSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.Authentication
        if values[Fields.mechanism] == "client_certificate" {
            self = .certificate
        } else if values[Fields.mechanism] == "scram" {
            self = .scram(values[Fields.scramAlgorithm], iterations: values[Fields.iterationCount])
        } else if values[Fields.mechanism] == "jwt" {
            self = .token(TokenSettings(values))
        } else if values[Fields.backend] == "http" {
            self = .http(HTTPAccessSettings(values))
        } else if values[Fields.backend] == "file" {
            self = .passwordFile(
                path: values[Fields.path], userID: values[Fields.userID],
                hash: PasswordHashSettings(values[Fields.hash]))
        } else {
            self = .builtIn(
                userID: values[Fields.userID], hash: PasswordHashSettings(values[Fields.hash]),
                bootstrapFile: values[Fields.bootstrapFile], bootstrapHashes: values[Fields.bootstrapType] == "hash")
        }
    }
}

extension PasswordHashSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.PasswordHash
        name = values[Fields.name]
        saltPosition = values[Fields.saltPosition]
        function = values[Fields.function]
        iterations = values[Fields.iterations]
        length = values[Fields.length]
        bcryptCost = values[Fields.cost]
        scryptRounds = values[Fields.rounds]
        scryptBlockSize = values[Fields.blockSize]
        scryptParallelism = values[Fields.parallelism]
    }

    /// What an empty mapping gives.
    package static let defaults = PasswordHashSettings(.defaults)
}

extension TokenSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.Authentication
        place = values[Fields.from]
        algorithm = values[Fields.algorithm]
        secret = values[Fields.secret]
        secretIsBase64 = values[Fields.secretIsBase64]
        publicKey = values[Fields.publicKey]
        keySet = values[Fields.useJWKS] ? values[Fields.endpoint] : nil
        refreshInterval = values[Fields.refresh]
        claims = values[Fields.claims].map { ($0.name, $0.value) }
        aclClaim = values[Fields.aclClaim]
        disconnectsAfterExpiry = values[Fields.disconnectAfterExpiry]
        tls = ClientTLSSettings(values[Fields.tls])
    }
}

extension HTTPAccessSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.HTTPAccess
        method = values[Fields.method]
        url = values[Fields.url]
        headers = values[Fields.headers].map { ($0.name, $0.value) }
        body = values[Fields.body].map { ($0.name, $0.value) }
        timeout = values[Fields.timeout]
        poolSize = values[Fields.poolSize]
        tls = ClientTLSSettings(values[Fields.tls])
    }
}

extension ClientTLSSettings {
    fileprivate init(_ values: ConfigValues) {
        typealias Fields = BrokerFields.ClientTLS
        caCertificateFile = values[Fields.ca]
        certificateFile = values[Fields.certificate]
        keyFile = values[Fields.key]
        verifies = values[Fields.verify] == .peer
    }
}

extension AuthorizationSettings {
    fileprivate init(_ values: ConfigValues, isSet: Bool) {
        typealias Fields = BrokerFields.Authorization
        noMatch = values[Fields.noMatch]
        denyAction = values[Fields.denyAction]
        sources = values[Fields.sources].map(\.values).filter { $0[Fields.enable] }.map { source in
            switch source[Fields.type] {
            case "http": .http(HTTPAccessSettings(source))
            case "file":
                if let path = source[Fields.path] {
                    .file(path: path)
                } else {
                    // The set's check has seen that one of the two is there.
                    .inline(source[Fields.rules] ?? source.node)
                }
            default: .builtIn
            }
        }
        isConfigured = isSet && (!sources.isEmpty || values.isSet(Fields.noMatch))
        let cache = values[Fields.cache]
        caches = cache[Fields.Cache.enable]
        cacheSize = cache[Fields.Cache.size]
        cacheTime = cache[Fields.Cache.time]
        cacheExcludes = cache[Fields.Cache.excludes]
    }
}
