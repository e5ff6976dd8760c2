import Crypto
import Foundation
package import NIOSSL
import SwiftASN1
import X509

/// What a node shows of itself in TLS. Without an authority it need not be signed by anybody: the proof of the cookie covers it.
package struct MeshCertificate: Sendable {
    package let chain: [NIOSSLCertificate]
    package let key: NIOSSLPrivateKey
    /// When there are some, both ends must show certificates that these vouch for, besides the cookie.
    package var authorities: [NIOSSLCertificate] = []
    /// SHA-256 of the first certificate.
    let fingerprint: [UInt8]

    package init(chain: [NIOSSLCertificate], key: NIOSSLPrivateKey) throws(MeshFileError) {
        guard let first = chain.first else { throw MeshFileError("there is no certificate") }
        self.chain = chain
        self.key = key
        do { fingerprint = Self.fingerprint(try first.toDERBytes()) } catch {
            throw MeshFileError("the certificate can't be encoded: \(error)")
        }
    }

    static func fingerprint(_ der: [UInt8]) -> [UInt8] { Array(SHA256.hash(data: der)) }

    /// The operator's own files. Blocks.
    package static func load(certificateFile: String, keyFile: String) throws(MeshFileError) -> Self {
        do {
            return try Self(
                chain: try NIOSSLCertificate.fromPEMFile(certificateFile),
                key: try NIOSSLPrivateKey(file: keyFile, format: .pem))
        } catch let error as MeshFileError { throw error } catch {
            throw MeshFileError("\(certificateFile), \(keyFile): \(error)")
        }
    }

    package mutating func trust(authorityFile: String) throws(MeshFileError) {
        do { authorities = try NIOSSLCertificate.fromPEMFile(authorityFile) } catch {
            throw MeshFileError("\(authorityFile): \(error)")
        }
    }

    /// The node's own certificate in that file, readable by the owner alone; made when there is none. Blocks.
    package static func readOrMake(_ path: String, name: NodeName) throws(MeshFileError) -> Self {
        if try PrivateFile.read(path) == nil { _ = try PrivateFile.create(make(name), at: path) }
        guard let bytes = try PrivateFile.read(path) else { throw MeshFileError("\(path) comes and goes") }
        return try parse(bytes, path)
    }

    /// One that is kept nowhere.
    package static func temporary(name: NodeName) throws(MeshFileError) -> Self {
        try parse(make(name), "the certificate made now")
    }

    private static func parse(_ bytes: [UInt8], _ origin: String) throws(MeshFileError) -> Self {
        do {
            return try Self(
                chain: try NIOSSLCertificate.fromPEMBytes(bytes), key: try NIOSSLPrivateKey(bytes: bytes, format: .pem))
        } catch let error as MeshFileError { throw error } catch { throw MeshFileError("\(origin): \(error)") }
    }

    /// Certificate and key, PEM: P-256, signed with itself. Valid for long: nobody looks at its dates unless an authority is
    /// configured, and then it is of no use anyway.
    private static func make(_ name: NodeName) throws(MeshFileError) -> [UInt8] {
        do {
            let key = P256.Signing.PrivateKey()
            let issuer = Certificate.PrivateKey(key)
            let subject = try DistinguishedName { CommonName("sluice " + name.text.prefix(50)) }
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: issuer.publicKey,
                notValidBefore: Date(timeIntervalSince1970: 1_700_000_000),
                notValidAfter: Date(timeIntervalSince1970: 4_000_000_000), issuer: subject, subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: Certificate.Extensions { Critical(BasicConstraints.notCertificateAuthority) },
                issuerPrivateKey: issuer)
            let text = try certificate.serializeAsPEM().pemString + "\n" + key.pemRepresentation + "\n"
            return Array(text.utf8)
        } catch { throw MeshFileError("no certificate could be made: \(error)") }
    }
}
