import Crypto

/// The words by which two nodes prove to each other that they know the cookie, before anything else is read.
///
/// After TLS 1.3 has come about, each message with its length in two bytes, big-endian, at most ``largest``:
///
///     1  client  "SLM1" lowest highest (versions) nonce(32)
///     2  server  status(0: go on) version nonce(32)
///     3  client  hello proof(32)                                proof: HMAC-SHA256(cookie, "client" 1 2 certificate hello)
///     4  server  status verdict hello proof(32)                 proof: HMAC-SHA256(cookie, "server" 1 2 3 certificate …)
///     5  client  verdict
///
/// `certificate` is the SHA-256 of the server's certificate, as the client sees it and as the server knows it: who sits between
/// with another one proves nothing. The client proves first, so that an anonymous caller gets no keyed bytes to work on. Nothing
/// beyond fixed lengths is read before message 3 (4 at the client) has been proven.
enum HandshakeMessages {
    static let largest = 4096
    static let magic = Array("SLM1".utf8)
    /// Versions of the protocol that this node speaks.
    static let versions: ClosedRange<UInt8> = 1...1
    static let nonceLength = 32
    static let proofLength = 32

    static func nonce() -> [UInt8] { SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) } }

    static func opening(_ nonce: [UInt8]) -> [UInt8] { magic + [versions.lowerBound, versions.upperBound] + nonce }

    /// The highest version that both speak.
    static func version(of opening: [UInt8]) -> Result<UInt8, MeshRefusal> {
        guard opening.count == magic.count + 2 + nonceLength, Array(opening.prefix(magic.count)) == magic else {
            return .failure(.malformed)
        }
        let lowest = max(opening[magic.count], versions.lowerBound)
        let highest = min(opening[magic.count + 1], versions.upperBound)
        return lowest <= highest ? .success(highest) : .failure(.version)
    }

    enum Side: String { case client, server }

    static func proof(_ side: Side, _ cookie: MeshCookie, certificate: [UInt8], _ parts: [[UInt8]]) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: input(side, certificate, parts), using: cookie.key))
    }

    /// In constant time.
    static func isValid(
        _ proof: ArraySlice<UInt8>, _ side: Side, _ cookie: MeshCookie, certificate: [UInt8], _ parts: [[UInt8]]
    ) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            Array(proof), authenticating: input(side, certificate, parts), using: cookie.key)
    }

    /// Each part with its length, so that no two lists of parts are the same bytes.
    private static func input(_ side: Side, _ certificate: [UInt8], _ parts: [[UInt8]]) -> [UInt8] {
        var bytes = Array("sluice mesh \(side.rawValue)".utf8)
        for part in [certificate] + parts { bytes += UInt64(part.count).bigEndianBytes + part }
        return bytes
    }
}
