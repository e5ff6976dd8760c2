import Buffers
import RuleEngine
import Testing

/// Values that try to leave the place where a template puts them.
@Suite struct TemplateBreakoutTests {
    static let hostile: [String] = [
        "", "\"", "\\", "\\\"", "\",\"admin\":true,\"x\":\"", "\u{0}", "\n", "\r\nX-Evil: 1\r\n\r\nbody", "\u{2028}",
        "</script>",
        "../../etc/passwd", "..", ".", "/", "//", "a/../b", "%2e%2e%2f", "..%2f", "?a=1&b=2", "#frag", "&x=1", "a b",
        "é",
        "\u{7F}", "\u{1F600}", "${a}", "${.}", "$", "}", "{", "' OR 1=1 --", "http://evil/", "@evil", ":80", "~", "%",
        "%00",
        String(repeating: "\"", count: 1500), String(repeating: "é", count: 600),
    ]

    private func render(_ value: String, _ body: (Value, TemplateContext, OutputBuffer) throws -> Void) throws
        -> [UInt8]
    {
        let bench = Workbench()
        let row = try bench.arena.object([Member(key: try bench.bytes("v"), value: .string(try bench.bytes(value)))])
        try body(row, TemplateContext(arena: bench.arena), bench.output)
        return Array(bench.output.bytes)
    }

    private func text(
        _ template: String, _ value: String, _ escaping: TemplateEscaping = .none, mode: Template.Mode = .string
    ) throws -> String {
        String(
            decoding: try render(value) { row, context, output in
                try Template.compile(template, mode: mode, extensions: true).render(
                    row: row, into: output, context: context, escaping: escaping)
            }, as: UTF8.self)
    }

    private func decoded(_ json: [UInt8]) throws -> StoredValue {
        let arena = Arena()
        return try withExtendedLifetime(arena) {
            try json.withUnsafeBytes { StoredValue(try JSON.decode($0, in: arena)) }
        }
    }

    private func object(_ members: [(String, String)]) -> StoredValue {
        .object(members.map { StoredMember(key: Array($0.0.utf8), value: .string(Array($0.1.utf8))) })
    }

    @Test(arguments: hostile)
    func `a typed JSON body has the members that were written and no others`(value: String) throws {
        let node = JSONTemplateNode.object([
            ("k", .template("${v}")), ("t", .template("a ${v} b")), ("u", .array([.template("${json:v}")])),
        ])
        let bytes = try render(value) { row, context, output in
            try TypedJSONTemplate.compile(node, extensions: true).render(row: row, into: output, context: context)
        }
        guard case .object(let members) = try decoded(bytes) else {
            Issue.record("no object: \(String(decoding: bytes, as: UTF8.self))")
            return
        }
        #expect(members.map { String(decoding: $0.key, as: UTF8.self) } == ["k", "t", "u"])
        #expect(members[0].value == .string(Array(value.utf8)))
        #expect(members[1].value == .string(Array("a \(value) b".utf8)))
    }

    @Test(arguments: hostile)
    func `a value in a member's name stays in the name`(value: String) throws {
        let bytes = try render(value) { row, context, output in
            try TypedJSONTemplate.compile(.object([("n-${v}", .literal(.integer(1)))]), extensions: true).render(
                row: row, into: output, context: context)
        }
        #expect(
            try decoded(bytes) == .object([StoredMember(key: Array("n-\(value)".utf8), value: .integer(1))]))
    }

    @Test(arguments: hostile)
    func `JSON text with json placeholders is JSON`(value: String) throws {
        let json = try text("{\"a\":${json:v},\"b\":${json:nosuch:-d}}", value)
        #expect(try decoded(Array(json.utf8)) == object([("a", value), ("b", "d")]))
    }

    @Test(arguments: hostile)
    func `a value in a path is one segment, and in a query one value [RFC 3986 §3.3]`(value: String) throws {
        for template in ["/a/${v}/b?q=${v}&r=1", "/a/${url:v}/b?q=${url:v}&r=1"] {
            let target = try text(template, value, .percent)
            let parts = target.split(separator: "/", omittingEmptySubsequences: false)
            #expect(parts.count == 4)
            #expect(parts[1] == "a" && parts[3].hasPrefix("b?q=") && parts[3].hasSuffix("&r=1"))
            #expect(target.count { $0 == "?" } == 1 && target.count { $0 == "&" } == 1 && !target.contains("#"))
            #expect(target.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
            // Encoded once, whoever encodes it.
            #expect(percentDecoded(String(parts[2])) == value)
        }
    }

    private func percentDecoded(_ text: String) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%"), rest.count >= 2,
                let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else {
                bytes.append(byte)
                continue
            }
            rest = rest.dropFirst(2)
            bytes.append(code)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: hostile)
    func `a value in a header stays on its line [RFC 9110 §5.5]`(value: String) throws {
        for template in ["x ${v}", "${url:v}", "${json:v}", "${v:-d}"] {
            let line = try text(template, value, .header)
            #expect(!line.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 })
        }
    }

    @Test(arguments: hostile)
    func `a value in a file's path is one name, and none of the directory's own`(value: String) throws {
        let path = try text("d/%Y/${v}", value, .fileName, mode: .filePath)
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        #expect(parts.count == 3)
        #expect(parts[1] == "1970")
        #expect(parts[2] != "." && parts[2] != ".." && !parts[2].utf8.contains(0))
        #expect(parts[2].first != ".")
    }

    // MARK: bounds

    @Test func `a rendering that would be too large raises and says so`() throws {
        let large = String(repeating: "x", count: 100_000)
        let many = String(repeating: "${v}", count: 1000)
        #expect(failure { _ = try text(many, large) } == .memoryLimit)
        #expect(try text(String(repeating: "${v}", count: 80), large).utf8.count == 8_000_000)
        let rows = String(repeating: "${.}", count: 1000)
        #expect(failure { _ = try text(rows, large) } == .memoryLimit)
    }

    @Test func `a row that would be too large as JSON raises`() throws {
        let bench = Workbench()
        let value = Value.string(try bench.bytes(String(repeating: "x", count: 100_000)))
        func row(_ count: Int) throws -> Value {
            try bench.arena.object((0..<count).map { Member(key: try bench.bytes("k\($0)"), value: value) })
        }
        #expect(failure { try JSON.append(try row(1000), to: bench.output) } == .memoryLimit)
        bench.output.removeAll()
        try JSON.append(try row(80), to: bench.output)
        let list = try bench.arena.array((0..<100_000).map { _ in .integer(1) })
        let lists = try bench.arena.array((0..<1000).map { _ in list })
        bench.output.removeAll()
        #expect(failure { try JSON.append(lists, to: bench.output) } == .memoryLimit)
        #expect(bench.output.count < EvaluationLimits.outputBytes + 1_000_000)
    }
}
