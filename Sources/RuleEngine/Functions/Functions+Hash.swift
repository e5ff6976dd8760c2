internal import Buffers
internal import Crypto

// Digests as lower-case hexadecimal text. [EMQX rule-sql: hashing]
extension FunctionTable {
    static let hash: [FunctionEntry] = [
        digest("md5", Insecure.MD5.self, "MD5", "md5('abc')", "'900150983cd24fb0d6963f7d28e17f72'"),
        digest("sha", Insecure.SHA1.self, "SHA-1", "sha('abc')", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
        digest(
            "sha256", SHA256.self, "SHA-256", "sha256('abc')",
            "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'"),
        FunctionEntry(
            "hash", .hash, [.init("name", .string), .init("s", .string)], returns: .string,
            doc: """
                The digest of that name, as lower-case hex: \(digestNames). Differs from EMQX: md4, sha224, sha3_224, \
                blake2b and blake2s raise.
                """,
            examples: [
                .init("hash('sha1', 'abc')", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
                .init("hash('SHA1', 'abc')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let name = try arguments.text(0, of: "hash")
                let bytes = try arguments.text(1, of: "hash")
                guard let hash = digests[String(decoding: name, as: UTF8.self)] else {
                    throw .badArgument(function: "hash", reason: "the first argument is one of \(digestNames)")
                }
                return try context.arena.hex(hash(bytes))
            }),
    ]

    private static func digest<Function: HashFunction & SendableMetatype>(
        _ name: String, _ function: Function.Type, _ title: String, _ expression: String, _ result: String
    ) -> FunctionEntry {
        FunctionEntry(
            name, .hash, [.init("s", .string)], returns: .string, doc: "The \(title) digest as lower-case hex.",
            examples: [.init(expression, result), .init("\(name)(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                try context.arena.hex(hashed(try arguments.text(0, of: name), by: function))
            })
    }

    private static let digestNames = digests.keys.sorted().joined(separator: ", ")

    private static let digests: [String: @Sendable (Bytes) -> [UInt8]] = [
        "md5": { hashed($0, by: Insecure.MD5.self) },
        "sha": { hashed($0, by: Insecure.SHA1.self) },
        "sha1": { hashed($0, by: Insecure.SHA1.self) },
        "sha256": { hashed($0, by: SHA256.self) },
        "sha384": { hashed($0, by: SHA384.self) },
        "sha512": { hashed($0, by: SHA512.self) },
        "sha3_256": { hashed($0, by: SHA3_256.self) },
        "sha3_384": { hashed($0, by: SHA3_384.self) },
        "sha3_512": { hashed($0, by: SHA3_512.self) },
    ]

    private static func hashed<Function: HashFunction>(_ bytes: Bytes, by _: Function.Type) -> [UInt8] {
        var function = Function()
        function.update(bufferPointer: bytes)
        return Array(function.finalize())
    }
}

extension Arena {
    /// A string of two lower-case hexadecimal digits for each byte.
    fileprivate func hex(_ bytes: [UInt8]) throws(EvaluationError) -> Value {
        scratch.removeAll()
        bytes.withUnsafeBytes { ByteEncodings.appendHex($0, to: scratch) }
        return try string(copying: scratch.bytes)
    }
}
