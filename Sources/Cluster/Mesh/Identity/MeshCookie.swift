import Crypto
import Glibc

/// The secret that the nodes of a cluster share. Never printed.
package struct MeshCookie: Sendable, CustomStringConvertible {
    /// Characters, of a configured one.
    package static let minimumLength = 32

    let key: SymmetricKey

    /// - Throws: when it is a default, too short, or plainly no secret.
    package init(_ text: String) throws(MeshFileError) {
        let advice =
            "; leave node.cookie out to have one made, or set one of at least \(Self.minimumLength) random characters"
        if text == "emqxsecretcookie" {
            throw MeshFileError("node.cookie is \"emqxsecretcookie\", which everybody knows as EMQX's default" + advice)
        }
        guard text.utf8.count >= Self.minimumLength else {
            throw MeshFileError("node.cookie has \(text.utf8.count) characters" + advice)
        }
        guard Set(text.utf8).count >= 8 else {
            throw MeshFileError("node.cookie has only \(Set(text.utf8).count) different characters" + advice)
        }
        key = SymmetricKey(data: Array(text.utf8))
    }

    package var description: String { "(cookie)" }
}

/// Where a node keeps the cookie when the configuration has none.
package enum CookieFile {
    /// The file's cookie; made of 32 random bytes, readable by the owner alone, when there is no file. Blocks.
    /// - Returns: the cookie, and whether it was made now.
    package static func readOrMake(_ path: String) throws(MeshFileError) -> (cookie: MeshCookie, isNew: Bool) {
        if let bytes = try PrivateFile.read(path) { return (try cookie(bytes, path), false) }
        let random = SymmetricKey(size: .bits256).withUnsafeBytes { Array($0) }
        let text = random.map { Self.hex[Int($0 >> 4)] + Self.hex[Int($0 & 15)] }.joined()
        // Another start of this node may have been quicker.
        guard try PrivateFile.create(Array(text.utf8) + [10], at: path) else { return (try again(path), false) }
        return (try MeshCookie(text), true)
    }

    private static let hex = "0123456789abcdef".map { String($0) }

    private static func again(_ path: String) throws(MeshFileError) -> MeshCookie {
        guard let bytes = try PrivateFile.read(path) else { throw MeshFileError("\(path) comes and goes") }
        return try cookie(bytes, path)
    }

    private static func cookie(_ bytes: [UInt8], _ path: String) throws(MeshFileError) -> MeshCookie {
        var text = bytes[...]
        while let last = text.last, last == 10 || last == 13 || last == 32 { text = text.dropLast() }
        do { return try MeshCookie(String(decoding: text, as: UTF8.self)) } catch {
            throw MeshFileError("\(path): \(error)")
        }
    }
}
