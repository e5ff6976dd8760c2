import Access
import Testing

struct PasswordHashTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    @Test(arguments: [
        // RFC 7914 §11: PBKDF2-HMAC-SHA-256, one round.
        (
            "passwd",
            "$pbkdf2-sha256$1$c2FsdA==$VawEblbjCJ/sFpHCJUS2BflBhSFt3gRl5oudV8INrLxJypzM8Xm2RZkWZLOdd+8xfHG4RbHjC9UJESBB06GXgw=="
        ),
        // RFC 7914 §12.
        (
            "pleaseletmein",
            "$scrypt$16384$8$1$U29kaXVtQ2hsb3JpZGU=$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw=="
        ),
        // OpenBSD's bcrypt.
        ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    ])
    func `published hashes are the hashes of their passwords`(password: String, text: String) throws {
        let hash = try #require(PasswordHash(text: text))
        #expect(hash.matches(bytes(password)))
        #expect(!hash.matches(bytes(password + "x")))
    }

    private static let algorithms: [PasswordAlgorithm] = [
        .plain, .digest(.md5, .prefix), .digest(.sha, .suffix), .digest(.sha256, .prefix), .digest(.sha512, .disable),
        .bcrypt(cost: 4), .pbkdf2(.sha256, rounds: 100, length: nil), .pbkdf2(.sha512, rounds: 10, length: 20),
        .scrypt(rounds: 16, blockSize: 1, parallelism: 1),
    ]

    @Test(arguments: algorithms)
    func `a hash of each algorithm takes its password alone, also after a round through its text`(
        algorithm: PasswordAlgorithm
    ) throws {
        let hash = try #require(algorithm.hash(bytes("s3cret\u{E9}")))
        let read = try #require(PasswordHash(text: hash.text))
        #expect(read == hash)
        #expect(read.matches(bytes("s3cret\u{E9}")))
        for wrong in ["", "s3cret", "S3cret\u{E9}", "s3cret\u{E9} "] { #expect(!read.matches(bytes(wrong))) }
    }

    @Test(arguments: algorithms.filter { $0 != .plain && $0 != .digest(.sha512, .disable) })
    func `the same password is hashed with fresh salt each time`(algorithm: PasswordAlgorithm) {
        #expect(algorithm.hash(bytes("x"))?.text != algorithm.hash(bytes("x"))?.text)
    }

    @Test(arguments: [
        "", "x", "$", "$$", "$7$", "$7$101$", "$7$101$c2FsdA==$", "$7$0$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAA==",
        "$7$99999999999$c2FsdA==$AAAAAAAAAAAAAAAAAAAAAA==", "$7$101$!$AAAAAAAAAAAAAAAAAAAAAA==",
        // A key of one byte would let in every 256th password.
        "$7$101$c2FsdA==$AA==", "$6$c2FsdA==$AA==", "$2b$31$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkY8jIucDrjc8deX1s.a",
        "$2b$10$short", "$scrypt$15$8$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==",
        "$scrypt$16777216$64$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==",
        "$pbkdf2-sha1$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==", "$sha256$middle$AAAA$AAAA", "$1$abc$def",
    ])
    func `a text that is no hash is refused`(text: String) {
        #expect(PasswordHash(text: text) == nil)
    }

    @Test func `bcrypt takes no zero byte, behind which it would not look`() {
        #expect(PasswordAlgorithm.bcrypt(cost: 4).hash([65, 0, 66]) == nil)
    }

    @Test func `hashes of EMQX's files are read with their salts`() throws {
        let algorithm = PasswordAlgorithm.digest(.sha256, .prefix)
        let hash = try #require(
            algorithm.imported(
                hash: "f2ef7f9aedb2c3b5040bc16691a1177758a92ad91e1ee77770215a332bf6099f", salt: "salt"))
        #expect(hash.matches(bytes("public")) && !hash.matches(bytes("Public")))
        #expect(algorithm.imported(hash: "4d48", salt: "salt") == nil)
        #expect(algorithm.imported(hash: "zz", salt: "salt") == nil)
    }
}
