/// The one line of text that a hash is kept as. It says how it was made, so that a change of the configured algorithm
/// leaves the users that there are alone.
///
/// ```
/// $pbkdf2-sha256$10000$<base64 salt>$<base64 key>     $scrypt$16384$8$1$<base64 salt>$<base64 key>
/// $2b$10$…                                            $sha256$prefix$<base64 salt>$<base64 hash>
/// $7$101$<base64 salt>$<base64 key>                   mosquitto: PBKDF2-SHA512
/// $6$<base64 salt>$<base64 hash>                      mosquitto: SHA512, salt behind the password
/// $plain$<base64 password>
/// $scram-sha256$4096$<base64 salt>$<base64 stored key>$<base64 server key>
/// ```
extension PasswordHash {
    package var text: String {
        switch self {
        case .plain(let password): "$plain$\(Encoding.base64(password))"
        case .digest(let digest, let salt, let position, let hash):
            "$\(digest.rawValue)$\(position.rawValue)$\(Encoding.base64(salt))$\(Encoding.base64(hash))"
        case .pbkdf2(let digest, let rounds, let salt, let key):
            "$pbkdf2-\(digest.rawValue)$\(rounds)$\(Encoding.base64(salt))$\(Encoding.base64(key))"
        case .bcrypt(let text): text
        case .scrypt(let rounds, let blockSize, let parallelism, let salt, let key):
            "$scrypt$\(rounds)$\(blockSize)$\(parallelism)$\(Encoding.base64(salt))$\(Encoding.base64(key))"
        case .scram(let verifier):
            "$scram-\(verifier.digest.rawValue)$\(verifier.iterations)$\(Encoding.base64(verifier.salt))"
                + "$\(Encoding.base64(verifier.storedKey))$\(Encoding.base64(verifier.serverKey))"
        }
    }

    /// - Returns: nil for what is no hash of one of the known forms, complete and within its bounds.
    package init?(text: String) {
        if Self.isBcrypt(text) {
            guard text.utf8.count == 60 else { return nil }
            self = .bcrypt(text)
            return
        }
        let parts = text.split(separator: "$", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, parts[0].isEmpty, let hash = Self.read(parts[1], Array(parts[2...])) else { return nil }
        self = hash
    }

    private static func read(_ name: String, _ fields: [String]) -> PasswordHash? {
        switch (name, fields.count) {
        case ("plain", 1): return Encoding.unbase64(fields[0]).map { .plain($0) }
        case ("7", 3): return pbkdf2(.sha512, fields)
        case ("6", 2):
            guard let salt = Encoding.unbase64(fields[0]), let hash = Encoding.unbase64(fields[1]), hash.count == 64
            else { return nil }
            return .digest(.sha512, salt: salt, position: .suffix, hash: hash)
        case ("scrypt", 5):
            guard let rounds = Int(fields[0]), let blockSize = Int(fields[1]), let parallelism = Int(fields[2]),
                isSane(scryptRounds: rounds, blockSize, parallelism), let salt = Encoding.unbase64(fields[3]),
                let key = Encoding.unbase64(fields[4]), (16...128).contains(key.count)
            else { return nil }
            return .scrypt(rounds: rounds, blockSize: blockSize, parallelism: parallelism, salt: salt, key: key)
        case (_, 4) where name.hasPrefix("scram-"):
            return ScramDigest(rawValue: String(name.dropFirst("scram-".count))).flatMap { scram($0, fields) }
        case (_, 3) where name.hasPrefix("pbkdf2-"):
            return Digest(rawValue: String(name.dropFirst("pbkdf2-".count))).flatMap { pbkdf2($0, fields) }
        case (_, 3):
            guard let digest = Digest(rawValue: name), let position = SaltPosition(rawValue: fields[0]),
                let salt = Encoding.unbase64(fields[1]), let hash = Encoding.unbase64(fields[2]),
                hash.count == length(of: digest)
            else { return nil }
            return .digest(digest, salt: salt, position: position, hash: hash)
        default: return nil
        }
    }

    private static func scram(_ digest: ScramDigest, _ fields: [String]) -> PasswordHash? {
        guard let iterations = Int(fields[0]), (1...maximumRounds).contains(iterations),
            let salt = Encoding.unbase64(fields[1]), !salt.isEmpty, let storedKey = Encoding.unbase64(fields[2]),
            let serverKey = Encoding.unbase64(fields[3]), storedKey.count == digest.length,
            serverKey.count == digest.length
        else { return nil }
        return .scram(
            ScramVerifier(
                digest: digest, iterations: iterations, salt: salt, storedKey: storedKey, serverKey: serverKey))
    }

    private static func pbkdf2(_ digest: Digest, _ fields: [String]) -> PasswordHash? {
        guard let rounds = Int(fields[0]), (1...maximumRounds).contains(rounds),
            let salt = Encoding.unbase64(fields[1]),
            // A short key would let every 256th password in.
            let key = Encoding.unbase64(fields[2]), (16...128).contains(key.count)
        else { return nil }
        return .pbkdf2(digest, rounds: rounds, salt: salt, key: key)
    }
}
