/// A JSON Web Token in its compact form, taken apart and not yet believed. [RFC 7519] [RFC 7515 §7.1]
struct JSONWebToken {
    let algorithm: String
    let keyID: String?
    let claims: JSONText
    let signature: [UInt8]
    /// What was signed: the first two parts with their dot.
    let signed: [UInt8]

    /// - Returns: nil for what is no token at all, which another authenticator may understand.
    init?(_ bytes: [UInt8]) {
        guard bytes.count <= 64 * 1024 else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Self.object(parts[0]), let claims = Self.object(parts[1]),
            let signature = Encoding.unbase64URL(String(decoding: parts[2], as: UTF8.self)),
            let algorithm = header["alg"]?.string,
            // Extensions that must be understood: none is. [RFC 7515 §4.1.11]
            header["crit"] == nil
        else { return nil }
        self.algorithm = algorithm
        keyID = header["kid"]?.string
        self.claims = claims
        self.signature = signature
        signed = Array(bytes[..<parts[1].endIndex])
    }

    private static func object(_ part: ArraySlice<UInt8>) -> JSONText? {
        guard let bytes = Encoding.unbase64URL(String(decoding: part, as: UTF8.self)), let json = JSONText(bytes),
            json.members != nil
        else { return nil }
        return json
    }

    /// Whether the token holds now. [RFC 7519 §4.1]
    /// - Parameter now: seconds since 1970.
    func isInTime(now: Int64) -> Bool {
        func time(_ claim: String) -> Int64?? { claims[claim].map { $0.seconds } }
        // A claim that is there and is no time makes the token invalid rather than endless.
        if let expiry = time("exp") { guard let expiry, now < expiry else { return false } }
        if let start = time("nbf") { guard let start, now >= start else { return false } }
        if let issued = time("iat") { guard let issued, now >= issued else { return false } }
        return true
    }

    var expiresAt: Int64? { claims["exp"]?.seconds }
}
