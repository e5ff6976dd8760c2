import Access
import Testing

struct UserFileTests {
    private func parse(_ text: String, _ content: UserFile.Content = .plain(.plain)) throws -> [String: UserRecord] {
        let users = try UserFile.parse(Array(text.utf8), content: content)
        return Dictionary(uniqueKeysWithValues: users.map { ($0.id, $0.user) })
    }

    @Test func `a mosquitto_passwd file is read`() throws {
        let users = try parse(
            """
            # made by mosquitto_passwd -c -b
            alice:$7$101$MTIzNDU2Nzg5MDEy$nCEsSrSHcMdUfFHZZ4HcCqH8nTLuJxsZmpKxt8CHTOWZhAt3hLGX8B9LeqqWHSHoj7Yc9y0vPMMhmRTa1QVqkA==

            """)
        #expect(users.keys.sorted() == ["alice"])
    }

    @Test func `EMQX's CSV and JSON are read, plain and hashed`() throws {
        let plain = try parse("user_id,password,is_superuser\nann,\"a,\"\"b\",true\nbob,pw,false\n")
        #expect(plain["ann"]?.isSuperuser == true && plain["bob"]?.isSuperuser == false)
        #expect(plain["ann"]?.hash.matches(Array("a,\"b".utf8)) == true)
        let json = try parse(#"[{"user_id":"ann","password":"x","is_superuser":true}]"#)
        #expect(json["ann"]?.isSuperuser == true && json["ann"]?.hash.matches([0x78]) == true)
        // echo -n saltpw | sha256sum
        let hashed = try parse(
            "user_id,password_hash,salt,is_superuser\nann,"
                + "da3ac6cfe3d3c4e1d3b5eb3a1c0f1f7ed93a8d0c1a1d5b5c6d7e8f9a0b1c2d3e,salt,1\n",
            .hash(.digest(.sha256, .prefix)))
        #expect(hashed["ann"]?.isSuperuser == true)
    }

    @Test(arguments: [
        ("alice", "line 1"), ("alice:", "line 1"), (":$7$101$AAAA$AAAAAAAAAAAAAAAAAAAAAA==", "line 1"),
        ("# fine\nalice:plain", "line 2"), ("alice:$7$101$AAAA", "line 1"), ("[{\"user_id\":\"a\"}]", "entry 1"),
        ("[1]", "entry 1"), ("[", "JSON"), ("user_id,password\na\n", "line 2"), ("user_id,password\n,x\n", "line 2"),
        ("user_id,password\na,x\na,y\n", "twice"),
    ])
    func `one line that can't be read makes the file unusable [CVE-2018-12551]`(text: String, place: String) {
        #expect { try parse(text) } throws: { "\($0)".contains(place) }
    }

    @Test func `what is wrong is said without what stands there`() {
        #expect { try parse("alice:canary-7f3a") } throws: { !"\($0)".contains("canary") }
        #expect { try parse("user_id,password\nx,canary-7f3a,1\n") } throws: { !"\($0)".contains("canary") }
    }
}
