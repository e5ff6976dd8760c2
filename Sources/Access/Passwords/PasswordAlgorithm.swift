/// How new passwords are hashed, and how hashes without a name of their own are read. [EMQX password_hash_algorithm]
package enum PasswordAlgorithm: Sendable, Equatable {
    case plain
    case digest(PasswordHash.Digest, PasswordHash.SaltPosition)
    case bcrypt(cost: Int)
    case pbkdf2(PasswordHash.Digest, rounds: Int, length: Int?)
    case scrypt(rounds: Int, blockSize: Int, parallelism: Int)
    case scram(ScramDigest, iterations: Int)

    /// What is used where nothing is configured.
    package static let standard = PasswordAlgorithm.pbkdf2(.sha256, rounds: 10_000, length: nil)

    static let saltLength = 16

    /// Hashes a password with fresh salt. Nil when the algorithm can't take it: bcrypt takes no zero byte, SCRAM no control
    /// character.
    package func hash(_ password: [UInt8]) -> PasswordHash? {
        let salt = (0..<Self.saltLength).map { _ in UInt8.random(in: .min ... .max) }
        switch self {
        case .plain: return .plain(password)
        case .digest(let digest, let position):
            let salt = position == .disable ? [] : salt
            let salted = PasswordHash.salted(password, salt, position)
            return .digest(digest, salt: salt, position: position, hash: PasswordHash.digest(digest, salted))
        case .bcrypt(let cost):
            let number = cost < 10 ? "0\(cost)" : "\(cost)"
            return PasswordHash.bcrypt(password, "$2b$\(number)$\(Self.bcryptSalt(salt))").map { .bcrypt($0) }
        case .pbkdf2(let digest, let rounds, let length):
            let length = length ?? PasswordHash.length(of: digest)
            return PasswordHash.pbkdf2(digest, password, salt, rounds, length).map {
                .pbkdf2(digest, rounds: rounds, salt: salt, key: $0)
            }
        case .scrypt(let rounds, let blockSize, let parallelism):
            return PasswordHash.scrypt(password, salt, rounds, blockSize, parallelism, 32).map {
                .scrypt(rounds: rounds, blockSize: blockSize, parallelism: parallelism, salt: salt, key: $0)
            }
        case .scram(let digest, let iterations):
            return ScramVerifier(digest: digest, iterations: iterations, salt: salt, password: password).map {
                .scram($0)
            }
        }
    }

    /// Sixteen bytes in bcrypt's own Base64: 22 letters.
    private static func bcryptSalt(_ salt: [UInt8]) -> String {
        let alphabet = Array("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        let letters = Encoding.base64(salt).utf8.prefix(22).map { letter in
            alphabet[Encoding.standardAlphabet.firstIndex(of: letter) ?? 0]
        }
        return String(decoding: letters, as: UTF8.self)
    }

    /// A hash and salt as EMQX's files hold them: hexadecimal hash, salt as text.
    /// - Returns: nil when the hash is not of the configured kind.
    package func imported(hash text: String, salt: String) -> PasswordHash? {
        if text.hasPrefix("$"), let hash = PasswordHash(text: text) { return hash }
        switch self {
        case .plain: return .plain(text.bytes)
        case .bcrypt, .scram: return nil
        case .digest(let digest, let position):
            guard let hash = Encoding.unhex(text), hash.count == PasswordHash.length(of: digest) else { return nil }
            return .digest(digest, salt: salt.bytes, position: position, hash: hash)
        case .pbkdf2(let digest, let rounds, _):
            guard let key = Encoding.unhex(text), (16...128).contains(key.count) else { return nil }
            return .pbkdf2(digest, rounds: rounds, salt: salt.bytes, key: key)
        case .scrypt(let rounds, let blockSize, let parallelism):
            guard let key = Encoding.unhex(text), (16...128).contains(key.count) else { return nil }
            return .scrypt(
                rounds: rounds, blockSize: blockSize, parallelism: parallelism, salt: salt.bytes, key: key)
        }
    }
}
