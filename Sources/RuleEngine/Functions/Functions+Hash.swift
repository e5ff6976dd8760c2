internal import Buffers

// Digests as lower-case hexadecimal text. [EMQX rule-sql: hashing]
extension FunctionTable {
    static let hash: [FunctionEntry] = [
        digest("md5", .md5, "MD5", "md5('abc')", "'900150983cd24fb0d6963f7d28e17f72'"),
        digest("sha", .sha1, "SHA-1", "sha('abc')", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
        digest(
            "sha256", .sha256, "SHA-256", "sha256('abc')",
            "'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'"),
        FunctionEntry(
            "hash", .hash, [.init("name", .string), .init("s", .string)], returns: .string,
            doc: "The digest of that name, as lower-case hex: \(digestNames).",
            examples: [
                .init("hash('sha1', 'abc')", "'a9993e364706816aba3e25717850c26c9cd0d89d'"),
                .init("hash('md4', 'abc')", "'a448017aaf21d8525fc10ae87aa6729d'"),
                .init("hash('SHA1', 'abc')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let name = String(decoding: try arguments.text(0, of: "hash"), as: UTF8.self)
                let bytes = try arguments.text(1, of: "hash")
                guard let algorithm = DigestAlgorithm(rawValue: name) else {
                    throw .badArgument(function: "hash", reason: "the first argument is one of \(digestNames)")
                }
                return try context.arena.digest(of: bytes, algorithm, function: "hash")
            }),
    ]

    private static func digest(
        _ name: String, _ algorithm: DigestAlgorithm, _ title: String, _ expression: String, _ result: String
    ) -> FunctionEntry {
        FunctionEntry(
            name, .hash, [.init("s", .string)], returns: .string, doc: "The \(title) digest as lower-case hex.",
            examples: [.init(expression, result), .init("\(name)(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                try context.arena.digest(of: try arguments.text(0, of: name), algorithm, function: name)
            })
    }

    private static let digestNames = DigestAlgorithm.allCases.map(\.rawValue).joined(separator: ", ")
}

extension Arena {
    /// A string of two lower-case hexadecimal digits for each byte of the digest.
    fileprivate func digest(
        of bytes: Bytes, _ algorithm: DigestAlgorithm, function: String
    ) throws(EvaluationError) -> Value {
        let digest = try algorithm.digest(of: bytes, function: function)
        scratch.removeAll()
        digest.withUnsafeBytes { ByteEncodings.appendHex($0, to: scratch) }
        return try string(copying: scratch.bytes)
    }
}
