import Glibc
import NIOSSL
import SwiftASN1

/// The lists of `crlfile`: asked about a client's own certificate when TLS has verified it.
///
/// Fails closed: an authority without a list, or with one that is out of date, vouches for nobody.
struct RevocationChecker: Sendable {
    /// By the authority's encoded name.
    private let lists: [[UInt8]: RevocationList]

    /// Blocks on the file.
    /// - Parameter authorities: the certificates of `cacertfile`.
    init(file: String, authorities: [NIOSSLCertificate]) throws {
        var lists: [[UInt8]: RevocationList] = [:]
        for der in try Self.documents(try TLSFile.read(file)) {
            let list = try RevocationList(der: der, authorities: authorities)
            if let other = lists[list.issuer], other.thisUpdate > list.thisUpdate { continue }
            lists[list.issuer] = list
        }
        guard !lists.isEmpty else { throw TLSFileError("there is no revocation list in it") }
        self.lists = lists
    }

    private static func documents(_ bytes: [UInt8]) throws -> [[UInt8]] {
        // DER begins with the tag of a sequence.
        if bytes.first == 0x30 { return [bytes] }
        return try PEMDocument.parseMultiple(pemString: String(decoding: bytes, as: UTF8.self))
            .filter { $0.discriminator == "X509 CRL" }.map(\.derBytes)
    }

    /// - Parameters:
    ///   - certificate: DER.
    ///   - now: seconds since 1970.
    /// - Throws: why the certificate doesn't count.
    func check(_ certificate: [UInt8], now: Int = time(nil)) throws {
        let fields = try CertificateFields(der: certificate)
        guard let list = lists[fields.issuer] else {
            throw TLSFileError("crlfile has no list of the authority that issued the client's certificate")
        }
        guard list.thisUpdate <= now, list.nextUpdate.map({ now < $0 }) ?? true else {
            throw TLSFileError("the list in crlfile is out of date")
        }
        guard !list.revokes(fields.serialNumber) else {
            throw TLSFileError("the client's certificate has been revoked")
        }
    }
}
