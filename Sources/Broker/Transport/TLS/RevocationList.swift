import CCrypto
import Glibc
import NIOSSL
import SwiftASN1

/// The certificates that one authority has revoked: a CRL whose signature has been checked. [RFC 5280 §5]
///
/// Whole lists alone: a delta list, or one that speaks for a part of the authority's certificates or for another
/// authority, marks that as critical, and is refused.
struct RevocationList {
    /// The authority's name as it is encoded.
    let issuer: [UInt8]
    /// Seconds since 1970.
    let thisUpdate: Int
    /// The authority promises the next list by then.
    let nextUpdate: Int?
    private let serialNumbers: Set<[UInt8]>

    func revokes(_ serialNumber: [UInt8]) -> Bool { serialNumbers.contains(serialNumber) }

    /// - Parameter authorities: who may have signed the list.
    init(der: [UInt8], authorities: [NIOSSLCertificate]) throws {
        let (tbs, algorithm, signature) = try DER.sequence(try DER.parse(der), identifier: .sequence) { nodes in
            (
                try nodes.required(), try Self.algorithm(try nodes.required()),
                try ASN1BitString(derEncoded: try nodes.required())
            )
        }
        var nodes: [ASN1Node] = []
        try DER.sequence(tbs, identifier: .sequence) { while let node = $0.next() { nodes.append(node) } }
        var fields = nodes[...]
        if fields.first?.identifier == .integer { fields.removeFirst() }
        guard fields.count >= 3, let signed = fields.popFirst(), try Self.algorithm(signed) == algorithm,
            let name = fields.popFirst(), let from = fields.popFirst()
        else { throw Self.malformed }
        issuer = Array(name.encodedBytes)
        thisUpdate = try Self.seconds(from)
        if let next = fields.first, next.identifier == .utcTime || next.identifier == .generalizedTime {
            nextUpdate = try Self.seconds(next)
            fields.removeFirst()
        } else {
            nextUpdate = nil
        }
        var serials: Set<[UInt8]> = []
        if let list = fields.first, list.identifier == .sequence {
            try DER.sequence(list, identifier: .sequence) {
                while let entry = $0.next() { serials.insert(try Self.serialNumber(entry)) }
            }
            fields.removeFirst()
        }
        serialNumbers = serials
        for rest in fields { try Self.checkExtensions(tagged: rest) }
        let issuer = issuer
        let keys = try authorities.filter { try CertificateFields(der: $0.toDERBytes()).subject == issuer }
            .map { try $0.extractPublicKey().toSPKIBytes() }
        guard !keys.isEmpty else { throw TLSFileError("no certificate in cacertfile is its issuer's") }
        guard keys.contains(where: { algorithm.verifies(signature.bytes, of: tbs.encodedBytes, key: $0) }) else {
            throw TLSFileError("its signature is not its issuer's")
        }
    }

    private static let malformed = TLSFileError("a revocation list is not as it should be")

    private static func serialNumber(_ entry: ASN1Node) throws -> [UInt8] {
        try DER.sequence(entry, identifier: .sequence) { nodes in
            guard case .primitive(let serial) = try nodes.required().content else { throw malformed }
            _ = try nodes.required()
            if let extensions = nodes.next() { try checkExtensions(extensions) }
            return Array(serial)
        }
    }

    private static func checkExtensions(tagged node: ASN1Node) throws {
        guard node.identifier.tagClass == .contextSpecific, node.identifier.tagNumber == 0,
            case .constructed(let inside) = node.content
        else { throw malformed }
        for list in inside { try checkExtensions(list) }
    }

    private static func checkExtensions(_ list: ASN1Node) throws {
        try DER.sequence(list, identifier: .sequence) { nodes in
            while let node = nodes.next() {
                let entry = try CertificateExtension(node)
                guard !entry.isCritical else {
                    throw TLSFileError(
                        "it has the critical extension \(entry.identifier.map(String.init).joined(separator: ".")): "
                            + "only whole lists of one authority are taken")
                }
            }
        }
    }

    private static func seconds(_ node: ASN1Node) throws -> Int {
        var parts = tm()
        if node.identifier == .utcTime {
            let time = try UTCTime(derEncoded: node)
            (parts.tm_year, parts.tm_mon, parts.tm_mday) = (Int32(time.year), Int32(time.month), Int32(time.day))
            (parts.tm_hour, parts.tm_min, parts.tm_sec) = (Int32(time.hours), Int32(time.minutes), Int32(time.seconds))
        } else {
            let time = try GeneralizedTime(derEncoded: node)
            (parts.tm_year, parts.tm_mon, parts.tm_mday) = (Int32(time.year), Int32(time.month), Int32(time.day))
            (parts.tm_hour, parts.tm_min, parts.tm_sec) = (Int32(time.hours), Int32(time.minutes), Int32(time.seconds))
        }
        parts.tm_year -= 1900
        parts.tm_mon -= 1
        return timegm(&parts)
    }

    // MARK: The signature

    private static func algorithm(_ node: ASN1Node) throws -> SignatureAlgorithm {
        try DER.sequence(node, identifier: .sequence) { nodes in
            let identifier = try ASN1ObjectIdentifier(derEncoded: try nodes.required()).oidComponents
            nodes.skipRest()
            guard let algorithm = SignatureAlgorithm(identifier) else {
                throw TLSFileError(
                    "its signature is of a kind that isn't taken: RSA or ECDSA with SHA-256, 384 or 512 is")
            }
            return algorithm
        }
    }
}

/// RSA (PKCS #1 v1.5) or ECDSA with a digest.
private struct SignatureAlgorithm: Equatable {
    private let isRSA: Bool
    /// 256, 384 or 512.
    private let digest: Int

    init?(_ identifier: [UInt]) {
        switch identifier {
        case [1, 2, 840, 113_549, 1, 1, 11]: (isRSA, digest) = (true, 256)
        case [1, 2, 840, 113_549, 1, 1, 12]: (isRSA, digest) = (true, 384)
        case [1, 2, 840, 113_549, 1, 1, 13]: (isRSA, digest) = (true, 512)
        case [1, 2, 840, 10_045, 4, 3, 2]: (isRSA, digest) = (false, 256)
        case [1, 2, 840, 10_045, 4, 3, 3]: (isRSA, digest) = (false, 384)
        case [1, 2, 840, 10_045, 4, 3, 4]: (isRSA, digest) = (false, 512)
        default: return nil
        }
    }

    /// - Parameter key: a SubjectPublicKeyInfo.
    /// - Returns: false also where the key is of another kind, or none.
    func verifies(_ signature: ArraySlice<UInt8>, of bytes: ArraySlice<UInt8>, key: [UInt8]) -> Bool {
        let publicKey = key.withUnsafeBufferPointer { buffer -> OpaquePointer? in
            var position = buffer.baseAddress
            return d2i_PUBKEY(nil, &position, buffer.count)
        }
        guard let publicKey else { return false }
        defer { EVP_PKEY_free(publicKey) }
        guard EVP_PKEY_is_a(publicKey, isRSA ? "RSA" : "EC") == 1, let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        let algorithm = digest == 256 ? EVP_sha256() : digest == 384 ? EVP_sha384() : EVP_sha512()
        guard EVP_DigestVerifyInit(context, nil, algorithm, nil, publicKey) == 1 else { return false }
        let (signature, bytes) = (Array(signature), Array(bytes))
        return EVP_DigestVerify(context, signature, signature.count, bytes, bytes.count) == 1
    }
}
