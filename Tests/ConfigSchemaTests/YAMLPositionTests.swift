import ConfigSchema
import Testing

struct YAMLPositionTests {
    @Test func `a byte of a literal block is found in the file`() throws {
        let root = try #require(
            Parsed("rules:\n  a:\n    sql: |\n      SELECT é,\n        uper(x)\n\n      FROM \"t\"\n").root)
        let sql = try #require(root.at("rules", "a", "sql"))
        let text = try #require(sql.text)
        func at(_ word: String) throws -> SourcePosition {
            let range = try #require(text.range(of: word))
            return sql.position(ofByteOffset: text.utf8.distance(from: text.startIndex, to: range.lowerBound))
        }
        #expect(try at("SELECT") == place(4, 7))
        #expect(try at(",") == place(4, 15))
        #expect(try at("uper") == place(5, 9))
        #expect(try at("FROM") == place(7, 7))
        #expect(sql.hasExactPositions)
    }

    @Test(arguments: [
        ("a: |2\n    x\n   y\n", "x", place(2, 5)),
        ("a: |2\n    x\n   y\n", "y", place(3, 4)),
        ("a: |-\n\n\n  x\n", "x", place(4, 3)),
        ("a: &k |\n  x\n", "x", place(2, 3)),
        ("a: !!str &k |  # why\n   x\n", "x", place(2, 4)),
        ("- |\n x\n", "x", place(2, 2)),
        ("a: |+\r\n  1\r\n  x\r\n", "x", place(3, 3)),
        ("a: one x\n", "x", place(1, 8)),
        ("a: 'one x'\n", "x", place(1, 9)),
        ("é: \"é x\"\n", "x", place(1, 7)),
        ("a: &k \"x\"\n", "x", place(1, 8)),
        ("a: \"\\t x\"\n", "x", place(1, 4)),
        ("a: 'it''s x'\n", "x", place(1, 4)),
        ("a: >\n  one\n  x\n", "x", place(1, 4)),
        ("a: one\n  x\n", "x", place(1, 4)),
    ])
    func `places inside scalars are exact where they can be, else the scalar's own`(
        _ yaml: String, _ word: Character, _ expected: SourcePosition
    ) throws {
        let root = try #require(Parsed(yaml).root)
        let node = try #require(root.items?.first ?? root.entries?.first?.value)
        let text = try #require(node.text)
        let offset = text.utf8.distance(from: text.startIndex, to: try #require(text.lastIndex(of: word)))
        #expect(node.position(ofByteOffset: offset) == expected)
    }

    @Test func `columns count characters, not bytes`() throws {
        let root = try #require(Parsed("a: {ключ: 日本, z: 1}\n").root)
        #expect(root["a"]?["z"]?.start == place(1, 18))
    }

    @Test func `offsets and places turn into each other`() {
        let source = SourceFile(name: "t", text: "aé\r\nb\rc\n\n日本x")
        for (offset, expected) in [
            (0, place(1, 1)), (3, place(1, 3)), (5, place(2, 1)), (7, place(3, 1)), (10, place(5, 1)),
            (16, place(5, 3)),
        ] {
            #expect(source.position(ofByte: offset) == expected)
            #expect(source.byteOffset(of: expected) == offset)
        }
        #expect(source.text(ofLine: 1) == "aé")
        #expect(source.text(ofLine: 4) == "")
        #expect(source.lineCount == 5)
    }
}

extension String {
    fileprivate func range(of word: String) -> Range<String.Index>? { firstRange(of: word) }
}
