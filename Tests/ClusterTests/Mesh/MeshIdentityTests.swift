import Cluster
import Glibc
import Testing

@Suite("Cookies and certificates of nodes") struct MeshIdentityTests {
    private let folder: Folder

    private final class Folder {
        let path: String
        init() throws {
            var template = Array("/tmp/mesh-identity-XXXXXX".utf8CString)
            path = try #require(mkdtemp(&template).map { String(cString: $0) })
        }
        deinit {
            for name in ["cookie", "cert.pem"] { unlink("\(path)/\(name)") }
            rmdir(path)
        }
    }

    init() throws { folder = try Folder() }

    private func mode(_ path: String) -> UInt32 {
        var info = stat()
        return stat(path, &info) == 0 ? info.st_mode & 0o777 : 0
    }

    @Test(arguments: [
        ("emqxsecretcookie", "EMQX's default"), ("short", "5 characters"), ("", "0 characters"),
        (String(repeating: "ab", count: 20), "only 2 different"),
    ])
    func `A cookie that is no secret is refused`(cookie: String, part: String) {
        #expect {
            try MeshCookie(cookie)
        } throws: { "\($0)".contains(part) && "\($0)".contains("node.cookie") }
    }

    @Test func `A cookie is made once, for the owner alone, and never printed`() throws {
        let path = "\(folder.path)/cookie"
        let first = try CookieFile.readOrMake(path)
        #expect(first.isNew && mode(path) == 0o600)
        #expect(try !CookieFile.readOrMake(path).isNew)
        #expect("\(first.cookie)" == "(cookie)")
    }

    @Test func `A cookie file that others can read is refused`() throws {
        let path = "\(folder.path)/cookie"
        _ = try CookieFile.readOrMake(path)
        chmod(path, 0o644)
        #expect {
            try CookieFile.readOrMake(path)
        } throws: { "\($0)".contains("chmod 600") }
    }

    @Test func `A certificate is made once, for the owner alone`() throws {
        let path = "\(folder.path)/cert.pem"
        let first = try MeshCertificate.readOrMake(path, name: NodeName("n1@h"))
        #expect(mode(path) == 0o600)
        #expect(try MeshCertificate.readOrMake(path, name: NodeName("n1@h")).chain == first.chain)
        #expect(try MeshCertificate.temporary(name: NodeName("n1@h")).chain != first.chain)
    }

    @Test func `A folder that is not there is said so`() {
        #expect {
            try CookieFile.readOrMake("/nowhere/cookie")
        } throws: { "\($0)".contains("/nowhere/cookie") }
    }

    @Test(arguments: ["h:1", "[::1]:5370", "10.0.0.1:65535"])
    func `Addresses are read as they are written`(text: String) {
        #expect(MeshAddress(text)?.description == text)
    }

    @Test(arguments: ["", "h", "h:", ":1", "h:0", "h:65536", "h:x"])
    func `What is no address is refused`(text: String) { #expect(MeshAddress(text) == nil) }
}
