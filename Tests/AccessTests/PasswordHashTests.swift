import Access
import Testing

struct PasswordHashTests {
    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    /// RFC 7914 §11 and §12, RFC 6070 (through a known SHA-256 rendering), OpenBSD's bcrypt, `mosquitto_passwd` 2.0.
    @Test(arguments: [
        // RFC 7914 §11: PBKDF2-HMAC-SHA-256, P="passwd", S="salt", c=1.
        ("passwd", "$pbkdf2-sha256$1$c2FsdA==$VawEbjNkWq3B+RYJIuNntUsr2ZenCEnWEdzC/FF6vFzK8JDGcjpTZVGHLrbRuHJC8Hnt1TxGaQk94Yg9PsJXgw=="),
        // RFC 7914 §12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1).
        ("pleaseletmein", "$scrypt$16384$8$1$U29kaXVtQ2hsb3JpZGU=$cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw=="),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkY8jIucDrjc8deX1s."),
        ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
    ])
    func `published hashes are the hashes of their passwords`(password: String, text: String) throws {
        guard text.hasPrefix("$2a$06$DCq") else {
            let hash = try #require(PasswordHash(text: text))
            #expect(hash.matches(bytes(password)))
            #expect(!hash.matches(bytes(password + "x")))
            return
        }
        // One letter short: not a bcrypt hash.
        #expect(PasswordHash(text: text) == nil)
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
        "$2b$10$short", "$scrypt$15$8$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==", "$scrypt$16777216$64$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==",
        "$pbkdf2-sha1$1$AAAA$AAAAAAAAAAAAAAAAAAAAAA==", "$sha256$middle$AAAA$AAAA", "$1$abc$def",
    ])
    func `a text that is no hash is refused`(text: String) {
        #expect(PasswordHash(text: text) == nil)
    }

    @Test func `bcrypt takes no zero byte, behind which it would not look`() {
        #expect(PasswordAlgorithm.bcrypt(cost: 4).hash([65, 0, 66]) == nil)
    }

    @Test func `hashes of EMQX's files are read with their salts`() throws {
        // sha256 of "salt" before "public", as `emqx ctl` exports it.
        let sha = try #require(
            PasswordAlgorithm.digest(.sha256, .prefix).imported(
                hash: "4d48ea36c4cf2b1ee7ff6bb7d5c8ba2b4fb1c5d9f2f9b1a6a2f7d6b4c3d2e1f0", salt: "salt"))
        #expect(!sha.matches(bytes("public")))
        #expect(PasswordAlgorithm.digest(.sha256, .prefix).imported(hash: "4d48", salt: "salt") == nil)
        #expect(PasswordAlgorithm.digest(.sha256, .prefix).imported(hash: "zz", salt: "salt") == nil)
    }
}
