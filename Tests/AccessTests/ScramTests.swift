import Access
import Testing

/// The messages of RFC 7677 and their kind, and what must not get in.
struct ScramTests {
    private func verifier(_ digest: ScramDigest = .sha256, password: String = "pencil") -> ScramVerifier? {
        ScramVerifier(
            digest: digest, iterations: 4096, salt: Array("salt of this test".utf8), password: Array(password.utf8))
    }

    @Test func `a verifier matches the password and no other`() throws {
        for digest in ScramDigest.allCases {
            let hash = PasswordHash.scram(try #require(verifier(digest)))
            #expect(hash.matches(Array("pencil".utf8)))
            #expect(!hash.matches(Array("Pencil".utf8)))
            #expect(!hash.matches([]))
        }
    }

    /// Computed with Python's hashlib. [RFC 7677 §3]
    @Test func `the keys are those of the standard's example`() throws {
        let salt: [UInt8] = [
            0x5B, 0x6D, 0x99, 0x68, 0x9D, 0x12, 0x35, 0x8E, 0xEC, 0xA0, 0x4B, 0x14, 0x12, 0x36, 0xFA, 0x81,
        ]
        let verifier = try #require(
            ScramVerifier(digest: .sha256, iterations: 4096, salt: salt, password: Array("pencil".utf8)))
        #expect(
            PasswordHash.scram(verifier).text
                == "$scram-sha256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        )
    }

    @Test func `a verifier is read back from its text, and damaged texts are refused`() throws {
        let hash = PasswordHash.scram(try #require(verifier(.sha512)))
        #expect(PasswordHash(text: hash.text) == hash)
        for text in [
            "$scram-sha256$4096$W22ZaJ0SNY7soEsUEjb6gQ==$AAAA$AAAA", "$scram-md5$4096$AAAA$AAAA$AAAA",
            "$scram-sha256$0$W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
            "$scram-sha256$4096$$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=$wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        ] {
            #expect(PasswordHash(text: text) == nil, "\(text)")
        }
    }

    /// [RFC 4013 §3]
    @Test func `passwords that look the same are the same, and those that can't be typed are none`() throws {
        let hash = PasswordHash.scram(try #require(verifier(password: "IX")))
        #expect(hash.matches(Array("\u{2168}".utf8)))
        #expect(hash.matches(Array("I\u{AD}X".utf8)))
        #expect(verifier(password: "\u{7}") == nil)
        #expect(verifier(password: "\u{627}1") == nil)
        #expect(ScramVerifier(digest: .sha256, iterations: 4096, salt: [1], password: [0xFF]) == nil)
    }
}
