import Buffers
import Glibc
import RuleEngine
import Testing

/// Nothing that a message or a rule holds makes an evaluation run on, take memory without bound, or end the broker.
@Suite(.serialized) struct `Bounds of what a rule may cost` {
    /// Milliseconds of this thread's processor time, so that a busy machine does not count.
    static func time(_ body: () throws -> Void) rethrows -> Double {
        var before = timespec()
        var after = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before)
        try body()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after)
        return Double(after.tv_sec - before.tv_sec) * 1e3 + Double(after.tv_nsec - before.tv_nsec) / 1e6
    }

    /// What optimised code needs; debug code may take ten times as long.
    static func limit(_ milliseconds: Double) -> Double {
        #if DEBUG
        milliseconds * 10
        #else
        milliseconds
        #endif
    }

    private func outcome(_ sql: String, payload: String? = nil, within milliseconds: Double) throws -> String {
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "r")
        guard let rule else { return "rejected: \(diagnostics.map(\.code))" }
        let context = EvaluationContext(node: "n")
        let rows = RowList()
        let event = RuleBench.event(payload: payload)
        var result = Outcome.noResult
        let spent = Self.time { result = rule.evaluate(event, in: context, rows: rows) }
        #expect(spent < Self.limit(milliseconds), "\(spent) ms")
        // The next message is evaluated as ever.
        context.arena.reset()
        rows.removeAll()
        let next = try #require(CompiledRule.compile(sql: "SELECT qos FROM t", id: "next").rule)
        #expect(next.evaluate(event, in: context, rows: rows) == .passed(1))
        switch result {
        case .failed(let error): return error.name
        case .passed: return "passed"
        case .noResult: return "no result"
        }
    }

    // MARK: statements

    @Test func `a statement has 64 KB at most`() {
        let most = 64 * 1024
        let frame = "SELECT '' AS a FROM t"
        let fits = "SELECT '\(String(repeating: "x", count: most - frame.utf8.count))' AS a FROM t"
        #expect(fits.utf8.count == most)
        #expect(CompiledRule.compile(sql: fits, id: "r").rule != nil)
        #expect(CompiledRule.compile(sql: fits + " ", id: "r").rule == nil)
        let large = String(repeating: "(", count: 1 << 20)
        #expect(Self.time { _ = CompiledRule.compile(sql: large, id: "r") } < Self.limit(10))
    }

    @Test(arguments: [
        ("(", "1", ")"), ("[", "1", "]"), ("abs(", "1", ")"), ("- ", "1", ""),
        ("abs(CASE WHEN 1 = 1 THEN ", "1", " END)"),
        ("NOT (", "true", ")"),
    ])
    func `expressions are nested 64 deep at most`(open: String, inner: String, close: String) {
        let deep = { (count: Int) in
            String(repeating: open, count: count) + inner + String(repeating: close, count: count)
        }
        let isCondition = open.hasPrefix("NOT")
        let sql = { (count: Int) in
            isCondition ? "SELECT 1 AS a FROM t WHERE \(deep(count))" : "SELECT \(deep(count)) AS a FROM t"
        }
        #expect(CompiledRule.compile(sql: sql(20), id: "r").rule != nil)
        for count in [65, 1_000, 2_000] {
            let (rule, diagnostics) = CompiledRule.compile(sql: sql(count), id: "r")
            #expect(rule == nil)
            #expect(diagnostics.contains { $0.code == .tooDeep })
        }
    }

    // MARK: payloads

    @Test(arguments: ["[", "{\"a\":", "[{\"a\":"])
    func `a payload of a megabyte of opening brackets is refused at once`(bracket: String) throws {
        let payload = String(repeating: bracket, count: (1 << 20) / bracket.utf8.count)
        for sql in [
            "SELECT payload.a AS a FROM t", "SELECT json_decode(payload) AS a FROM t", "FOREACH payload AS p FROM t",
            "SELECT payload[1][1] AS a FROM t",
        ] {
            #expect(["depth_limit", "decode_json"].contains(try outcome(sql, payload: payload, within: 10)))
        }
    }

    @Test(arguments: [
        (128, "passed"), (129, "depth_limit"),
    ])
    func `JSON is 128 deep at most`(depth: Int, expected: String) throws {
        let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(try outcome("SELECT json_decode(payload) AS a FROM t", payload: text, within: 10) == expected)
        let path = "{\"a\":\(text.dropFirst().dropLast())}"
        #expect(try outcome("SELECT payload.b AS a FROM t", payload: path, within: 10) == expected)
        #expect(try outcome("SELECT payload.a AS a FROM t", payload: path, within: 10) == expected)
    }

    // MARK: functions

    @Test(arguments: [
        "regex_match(payload, '(a+)+$')", "regex_replace(payload, '(a+)+$', 'x')", "regex_extract(payload, '(a+)+$')",
        "regex_match(payload, '(a|aa)+$')", "regex_match(payload, '^(([a-z])+.)+[A-Z]([a-z])+$')",
    ])
    func `a regular expression that backtracks ends soon`(call: String) throws {
        let payload = String(repeating: "a", count: 100_000) + "!"
        let result = try outcome("SELECT \(call) AS a FROM t", payload: payload, within: 10)
        #expect(result == "regex_limit")
    }

    @Test(arguments: [("gzip", "gunzip"), ("zip", "unzip"), ("zip_compress", "zip_uncompress")])
    func `a compressed bomb is not expanded beyond 8 MB`(pack: String, unpack: String) throws {
        let context = EvaluationContext(node: "n")
        let rows = RowList()
        for (size, expected) in [((8 << 20) - 100, ""), ((8 << 20) + 1, "memory_limit")] {
            context.arena.reset()
            rows.removeAll()
            let packing = try #require(CompiledRule.compile(sql: "SELECT \(pack)(payload) AS p FROM t", id: "r").rule)
            let text = RuleBench.event(payload: String(repeating: "x", count: size))
            try #require(packing.evaluate(text, in: context, rows: rows) == .passed(1))
            let bomb = RuleBench.event(
                payload: nil, [("payload", StoredValue(rows[0].member(Value.string("p").bytes)))])
            context.arena.reset()
            rows.removeAll()
            let rule = try #require(CompiledRule.compile(sql: "SELECT \(unpack)(payload) AS a FROM t", id: "r").rule)
            let outcome = rule.evaluate(bomb, in: context, rows: rows)
            if case .failed(let error) = outcome {
                #expect(error.name == expected)
            } else {
                #expect(expected.isEmpty)
            }
        }
    }

    @Test(arguments: [
        "pad('x', 8388609)", "pad('x', 9000000, 'leading', 'ab')", "sprintf('~9000000s', 'x')",
        "replace(pad(clientid, 3000000, 'leading', 'a'), 'a', 'bbbb')",
        "regex_replace(pad('', 90000, 'leading', 'a'), 'a', pad('', 1000))",
        "join_to_string(pad('', 90000), [1..100])", "concat(pad('', 5000000), pad('', 5000000))",
        "pad('', 5000000) + pad('', 5000000)",
    ])
    func `a text has 8 MB at most`(call: String) throws {
        let result = try outcome("SELECT \(call) AS a FROM t", within: 100)
        #expect(["memory_limit", "time_limit"].contains(result))
    }

    @Test(arguments: [
        ("FOREACH [1..10000] AS i DO payload AS p FROM t", "memory_limit"),
        ("FOREACH [1..10000] AS i DO [payload] AS p FROM t", "memory_limit"),
        ("FOREACH [1..10000] AS i DO i AS p FROM t", "passed"),
        ("FOREACH [1..10001] AS i DO i AS p FROM t", "row_limit"),
        ("SELECT \((0..<2_000).map { "payload AS p\($0)" }.joined(separator: ",")) FROM t", "memory_limit"),
        ("SELECT \((0..<200).map { "payload AS p\($0)" }.joined(separator: ",")) FROM t", "passed"),
    ])
    func `the rows of a rule have 8 MB of text at most`(sql: String, expected: String) throws {
        let payload = String(repeating: "x", count: 10_000)
        #expect(try outcome(sql, payload: payload, within: 100) == expected)
    }

    @Test(arguments: [
        "FOREACH [1..10000] AS i DO regex_match(payload, '(a+)+$') AS m FROM t",
        "FOREACH [1..10000] AS i DO sha256(payload) AS h FROM t",
        "FOREACH [1..10000] AS i DO find(payload, 'b') AS h FROM t",
        "FOREACH [1..10000] AS i DO length(split(payload, 'b')) AS h FROM t",
        "FOREACH [1..10000] AS i DO gzip(payload) AS h FROM t",
    ])
    func `an evaluation takes 50 ms at most`(sql: String) throws {
        let payload = String(repeating: "a", count: 200_000)
        // The bound and the last step that was begun in time.
        let result = try outcome(sql, payload: payload, within: 150)
        #expect(["time_limit", "memory_limit", "regex_limit", "bad_argument"].contains(result), "\(result)")
    }

    @Test func `a template writes 8 MB at most`() throws {
        let text = String(repeating: "${payload}", count: 2_000)
        let template = Template.compile(text)
        let context = EvaluationContext(node: "n")
        let rows = RowList()
        let rule = try #require(CompiledRule.compile(sql: "SELECT payload FROM t", id: "r").rule)
        let event = RuleBench.event(payload: String(repeating: "x", count: 10_000))
        #expect(rule.evaluate(event, in: context, rows: rows) == .passed(1))
        let output = OutputBuffer()
        #expect(throws: EvaluationError.memoryLimit) {
            try template.render(row: rows[0], into: output, context: TemplateContext(arena: context.arena))
        }
        #expect(output.count < 9 << 20)
    }
}
