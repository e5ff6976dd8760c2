import Crypto
import CryptoExtras
import Foundation

/// A key that checks tokens; each fits the algorithms of its own kind alone, so that a public key is never taken for a
/// secret. [RFC 8725 §3.1]
enum TokenKey: Sendable {
    case secret(SymmetricKeyBox)
    case rsa(_RSA.Signing.PublicKey)
    case p256(P256.Signing.PublicKey)
    case p384(P384.Signing.PublicKey)

    /// A secret that does not print.
    struct SymmetricKeyBox: Sendable, CustomStringConvertible {
        let key: SymmetricKey
        var description: String { "******" }
    }

    static func secret(_ bytes: [UInt8]) -> TokenKey { .secret(SymmetricKeyBox(key: SymmetricKey(data: bytes))) }

    /// A public key as PEM; nil for what is none, and for RSA keys below 2048 bits.
    init?(pem: String) {
        if let key = try? P256.Signing.PublicKey(pemRepresentation: pem) {
            self = .p256(key)
        } else if let key = try? P384.Signing.PublicKey(pemRepresentation: pem) {
            self = .p384(key)
        } else if let key = try? _RSA.Signing.PublicKey(pemRepresentation: pem) {
            self = .rsa(key)
        } else {
            return nil
        }
    }

    /// A JSON Web Key; nil for kinds and uses that check no tokens. [RFC 7517] [RFC 7518 §6]
    init?(jwk: JSONText) {
        if let use = jwk["use"]?.string, use != "sig" { return nil }
        func bytes(_ name: String) -> [UInt8]? { jwk[name]?.string.flatMap { Encoding.unbase64URL($0) } }
        switch jwk["kty"]?.string {
        case "RSA":
            guard let n = bytes("n"), let e = bytes("e"), n.count >= 256,
                let key = try? _RSA.Signing.PublicKey(n: Data(n), e: Data(e))
            else { return nil }
            self = .rsa(key)
        case "EC":
            guard let x = bytes("x"), let y = bytes("y") else { return nil }
            let point = [4] + x + y
            switch jwk["crv"]?.string {
            case "P-256":
                guard let key = try? P256.Signing.PublicKey(x963Representation: point) else { return nil }
                self = .p256(key)
            case "P-384":
                guard let key = try? P384.Signing.PublicKey(x963Representation: point) else { return nil }
                self = .p384(key)
            default: return nil
            }
        case "oct":
            guard let secret = bytes("k"), !secret.isEmpty else { return nil }
            self = .secret(secret)
        default: return nil
        }
    }

    /// Whether the signature is this key's; `none` and algorithms of other kinds of keys never are. [RFC 7518 §3]
    func verifies(_ token: JSONWebToken) -> Bool {
        switch (self, token.algorithm) {
        case (.secret(let box), "HS256"):
            HMAC<SHA256>.isValidAuthenticationCode(token.signature, authenticating: token.signed, using: box.key)
        case (.secret(let box), "HS384"):
            HMAC<SHA384>.isValidAuthenticationCode(token.signature, authenticating: token.signed, using: box.key)
        case (.secret(let box), "HS512"):
            HMAC<SHA512>.isValidAuthenticationCode(token.signature, authenticating: token.signed, using: box.key)
        case (.rsa(let key), "RS256"): Self.verify(key, token, SHA256.hash(data: token.signed), .insecurePKCS1v1_5)
        case (.rsa(let key), "RS384"): Self.verify(key, token, SHA384.hash(data: token.signed), .insecurePKCS1v1_5)
        case (.rsa(let key), "RS512"): Self.verify(key, token, SHA512.hash(data: token.signed), .insecurePKCS1v1_5)
        case (.rsa(let key), "PS256"): Self.verify(key, token, SHA256.hash(data: token.signed), .PSS)
        case (.p256(let key), "ES256"):
            (try? P256.Signing.ECDSASignature(rawRepresentation: token.signature)).map {
                key.isValidSignature($0, for: SHA256.hash(data: token.signed))
            } ?? false
        case (.p384(let key), "ES384"):
            (try? P384.Signing.ECDSASignature(rawRepresentation: token.signature)).map {
                key.isValidSignature($0, for: SHA384.hash(data: token.signed))
            } ?? false
        default: false
        }
    }

    private static func verify(
        _ key: _RSA.Signing.PublicKey, _ token: JSONWebToken, _ digest: some Digest, _ padding: _RSA.Signing.Padding
    ) -> Bool {
        key.isValidSignature(
            _RSA.Signing.RSASignature(rawRepresentation: token.signature), for: digest, padding: padding)
    }
}

/// A JWK set, by key identifier. [RFC 7517 §5]
package struct TokenKeySet: Sendable {
    let keys: [(id: String?, key: TokenKey)]

    init(keys: [(id: String?, key: TokenKey)]) { self.keys = keys }

    package init(secret: [UInt8]) { keys = [(nil, TokenKey.secret(secret))] }

    /// - Returns: nil for what is no PEM of a usable public key.
    package init?(pem: String) {
        guard let key = TokenKey(pem: pem) else { return nil }
        keys = [(nil, key)]
    }

    /// The claims of a token that one of the keys has signed and that holds now; nil for any other.
    /// - Parameter now: seconds since 1970.
    package func claims(of token: [UInt8], now: Int64) -> JSONText? {
        guard let token = JSONWebToken(token), verifies(token), token.isInTime(now: now) else { return nil }
        return token.claims
    }

    /// - Throws: when it is no set or none of its keys can be used.
    package init(json bytes: [UInt8]) throws(AccessFailure) {
        guard let items = JSONText(bytes)?["keys"]?.items else { throw AccessFailure("it is no JWK set") }
        keys = items.compactMap { item in TokenKey(jwk: item).map { (item["kid"]?.string, $0) } }
        guard !keys.isEmpty else { throw AccessFailure("no key of the JWK set can be used") }
    }

    /// Whether one of the keys that the token may mean has signed it.
    func verifies(_ token: JSONWebToken) -> Bool {
        keys.contains { id, key in
            (id == nil || token.keyID == nil || id == token.keyID) && key.verifies(token)
        }
    }
}
