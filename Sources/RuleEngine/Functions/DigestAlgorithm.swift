internal import Buffers
internal import CCrypto

/// A digest of libcrypto, by the name that `hash` takes.
enum DigestAlgorithm: String, CaseIterable, Sendable {
    case md4, md5, ripemd160, sha, sha1, sha224, sha256, sha384, sha512
    case sha3_224, sha3_256, sha3_384, sha3_512, blake2b, blake2s

    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` when the system's libcrypto does not have the
    ///   digest, which may be so for `md4`.
    func digest(of bytes: Bytes, function: String) throws(EvaluationError) -> [UInt8] {
        guard let algorithm = Self.table.algorithms[self] else {
            throw .badArgument(function: function, reason: "the system's libcrypto has no \(rawValue)")
        }
        let size = Int(EVP_MD_get_size(algorithm))
        var isDone = false
        let result = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            isDone = EVP_Digest(bytes.baseAddress, bytes.count, buffer.baseAddress, nil, algorithm, nil) == 1
            count = isDone ? size : 0
        }
        // It fails for want of memory alone.
        guard isDone else { throw .memoryLimit }
        return result
    }

    private var libraryName: String {
        switch self {
        case .md4: "MD4"
        case .md5: "MD5"
        case .ripemd160: "RIPEMD160"
        case .sha, .sha1: "SHA1"
        case .sha224: "SHA224"
        case .sha256: "SHA256"
        case .sha384: "SHA384"
        case .sha512: "SHA512"
        case .sha3_224: "SHA3-224"
        case .sha3_256: "SHA3-256"
        case .sha3_384: "SHA3-384"
        case .sha3_512: "SHA3-512"
        case .blake2b: "BLAKE2B-512"
        case .blake2s: "BLAKE2S-256"
        }
    }

    /// `@unchecked Sendable`: libcrypto's algorithms do not change after they were fetched; they are never freed.
    private struct Table: @unchecked Sendable {
        var algorithms: [DigestAlgorithm: OpaquePointer] = [:]

        /// In a library context of its own: what the legacy provider brings is for `hash` alone, not for the process's TLS.
        init() {
            let context = OSSL_LIB_CTX_new()
            _ = OSSL_PROVIDER_load(context, "default")
            _ = OSSL_PROVIDER_load(context, "legacy")
            for algorithm in DigestAlgorithm.allCases {
                algorithms[algorithm] = EVP_MD_fetch(context, algorithm.libraryName, nil)
            }
        }
    }

    private static let table = Table()
}
