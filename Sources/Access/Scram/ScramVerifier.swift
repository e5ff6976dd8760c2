import Crypto

/// The hash functions of SCRAM that the node speaks. [RFC 5802] [RFC 7677] [EMQX scram: algorithm]
package enum ScramDigest: String, Sendable, CaseIterable {
    case sha256, sha512

    /// The Authentication Method that a CONNECT names.
    package var mechanism: String { self == .sha256 ? "SCRAM-SHA-256" : "SCRAM-SHA-512" }

    var function: PasswordHash.Digest { self == .sha256 ? .sha256 : .sha512 }
    var length: Int { PasswordHash.length(of: function) }

    func hash(_ bytes: [UInt8]) -> [UInt8] { PasswordHash.digest(function, bytes) }

    func hmac(_ key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
        let key = SymmetricKey(data: key)
        switch self {
        case .sha256: return Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key))
        case .sha512: return Array(HMAC<SHA512>.authenticationCode(for: bytes, using: key))
        }
    }
}

/// What is kept of a password that proves itself by SCRAM: who reads it can't log in with it. [RFC 5802 §3]
package struct ScramVerifier: Sendable, Equatable {
    package let digest: ScramDigest
    package let iterations: Int
    package let salt: [UInt8]
    package let storedKey: [UInt8]
    package let serverKey: [UInt8]

    package init(digest: ScramDigest, iterations: Int, salt: [UInt8], storedKey: [UInt8], serverKey: [UInt8]) {
        self.digest = digest
        self.iterations = iterations
        self.salt = salt
        self.storedKey = storedKey
        self.serverKey = serverKey
    }

    /// Takes as long as hashing a password does: not for a shard's thread.
    /// - Returns: nil for a password that SASLprep forbids, and for a number of iterations out of bounds.
    package init?(digest: ScramDigest, iterations: Int, salt: [UInt8], password: [UInt8]) {
        guard let prepared = SASLPrep.prepared(password),
            let salted = PasswordHash.pbkdf2(digest.function, prepared, salt, iterations, digest.length)
        else { return nil }
        let clientKey = digest.hmac(salted, "Client Key".bytes)
        self.init(
            digest: digest, iterations: iterations, salt: salt, storedKey: digest.hash(clientKey),
            serverKey: digest.hmac(salted, "Server Key".bytes))
    }

    /// Whether this is the password, sent as such.
    func matches(_ password: [UInt8]) -> Bool {
        ScramVerifier(digest: digest, iterations: iterations, salt: salt, password: password)
            .map { ConstantTime.equal($0.storedKey, storedKey) } ?? false
    }

    /// Whether a client's proof shows that it knows the password. [RFC 5802 §3]
    func accepts(proof: [UInt8], of message: [UInt8]) -> Bool {
        let signature = digest.hmac(storedKey, message)
        guard proof.count == signature.count else { return false }
        return ConstantTime.equal(digest.hash(zip(proof, signature).map { $0 ^ $1 }), storedKey)
    }

    /// What shows the client that this side knows its password as well.
    func signature(of message: [UInt8]) -> [UInt8] { digest.hmac(serverKey, message) }
}
