import CCrypt
import Crypto
import CryptoExtras
import Foundation

/// What is kept of a password.
package enum PasswordHash: Sendable, Equatable {
    package enum Digest: String, Sendable, CaseIterable { case md5, sha, sha256, sha512 }
    package enum SaltPosition: String, Sendable, CaseIterable { case prefix, suffix, disable }

    case plain([UInt8])
    /// A salted digest, as EMQX imports them.
    case digest(Digest, salt: [UInt8], position: SaltPosition, hash: [UInt8])
    /// RFC 8018. `sha256` and `sha512` also stand in mosquitto's files.
    case pbkdf2(Digest, rounds: Int, salt: [UInt8], key: [UInt8])
    /// `$2b$10$…`, which holds cost and salt.
    case bcrypt(String)
    /// RFC 7914.
    case scrypt(rounds: Int, blockSize: Int, parallelism: Int, salt: [UInt8], key: [UInt8])
    /// RFC 5802: also for clients that don't send the password.
    case scram(ScramVerifier)

    /// Whether this is the password. Takes from a microsecond to a good part of a second: not for a shard's thread.
    package func matches(_ password: [UInt8]) -> Bool {
        switch self {
        case .plain(let text): ConstantTime.equal(Self.digest(.sha256, text), Self.digest(.sha256, password))
        case .digest(let digest, let salt, let position, let hash):
            ConstantTime.equal(Self.digest(digest, Self.salted(password, salt, position)), hash)
        case .pbkdf2(let digest, let rounds, let salt, let key):
            Self.pbkdf2(digest, password, salt, rounds, key.count).map { ConstantTime.equal($0, key) } ?? false
        case .bcrypt(let text): Self.bcrypt(password, text).map { ConstantTime.equal($0.bytes, text.bytes) } ?? false
        case .scrypt(let rounds, let blockSize, let parallelism, let salt, let key):
            Self.scrypt(password, salt, rounds, blockSize, parallelism, key.count).map { ConstantTime.equal($0, key) }
                ?? false
        case .scram(let verifier): verifier.matches(password)
        }
    }

    static func salted(_ password: [UInt8], _ salt: [UInt8], _ position: SaltPosition) -> [UInt8] {
        switch position {
        case .prefix: salt + password
        case .suffix: password + salt
        case .disable: password
        }
    }

    static func digest(_ digest: Digest, _ bytes: [UInt8]) -> [UInt8] {
        switch digest {
        case .md5: Array(Insecure.MD5.hash(data: bytes))
        case .sha: Array(Insecure.SHA1.hash(data: bytes))
        case .sha256: Array(SHA256.hash(data: bytes))
        case .sha512: Array(SHA512.hash(data: bytes))
        }
    }

    static func length(of digest: Digest) -> Int {
        switch digest {
        case .md5: 16
        case .sha: 20
        case .sha256: 32
        case .sha512: 64
        }
    }

    static func pbkdf2(_ digest: Digest, _ password: [UInt8], _ salt: [UInt8], _ rounds: Int, _ length: Int)
        -> [UInt8]?
    {
        let function: KDF.Insecure.PBKDF2.HashFunction =
            switch digest {
            case .md5: .insecureMD5
            case .sha: .insecureSHA1
            case .sha256: .sha256
            case .sha512: .sha512
            }
        guard (1...maximumRounds).contains(rounds), (1...128).contains(length) else { return nil }
        return bytes {
            try KDF.Insecure.PBKDF2.deriveKey(
                from: password, salt: salt, using: function, outputByteCount: length, unsafeUncheckedRounds: rounds)
        }
    }

    static func scrypt(
        _ password: [UInt8], _ salt: [UInt8], _ rounds: Int, _ blockSize: Int, _ parallelism: Int, _ length: Int
    ) -> [UInt8]? {
        guard isSane(scryptRounds: rounds, blockSize, parallelism), (1...128).contains(length) else { return nil }
        return bytes {
            try KDF.Scrypt.deriveKey(
                from: password, salt: salt, outputByteCount: length, rounds: rounds, blockSize: blockSize,
                parallelism: parallelism)
        }
    }

    /// The most rounds of PBKDF2 that a file may ask for: some seconds of work.
    static let maximumRounds = 10_000_000

    /// A power of two, and at most 256 MB of memory.
    static func isSane(scryptRounds rounds: Int, _ blockSize: Int, _ parallelism: Int) -> Bool {
        rounds >= 2 && rounds <= 1 << 24 && rounds & (rounds - 1) == 0 && (1...64).contains(blockSize)
            && (1...64).contains(parallelism) && rounds * blockSize * 128 <= 256 << 20
    }

    private static func bytes(_ derive: () throws -> SymmetricKey) -> [UInt8]? {
        do { return try derive().withUnsafeBytes { Array($0) } } catch { return nil }
    }

    /// - Parameter setting: a whole bcrypt hash, or its `$2b$10$` and 22 letters of salt.
    /// - Returns: nil for a setting that is none, and for a password with a zero byte, which bcrypt would cut.
    static func bcrypt(_ password: [UInt8], _ setting: String) -> String? {
        guard isBcrypt(setting), !password.contains(0) else { return nil }
        var out = [CChar](repeating: 0, count: 128)
        let phrase = password.map { CChar(bitPattern: $0) } + [0]
        guard sluice_crypt(phrase, setting, &out, out.count) == 0 else { return nil }
        let text = String(decoding: out.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text
    }

    static func isBcrypt(_ text: String) -> Bool {
        let bytes = text.bytes
        guard bytes.count >= 29, bytes.count <= 60, bytes.starts(with: "$2".utf8), bytes[3] == UInt8(ascii: "$"),
            "aby".utf8.contains(bytes[2]), bytes[6] == UInt8(ascii: "$"),
            let cost = Int(String(decoding: bytes[4..<6], as: UTF8.self))
        else { return false }
        // Above 16 a single attempt takes several seconds.
        return (4...16).contains(cost) && !bytes.contains(0)
    }
}
