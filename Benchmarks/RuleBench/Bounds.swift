import Buffers
import RuleEngine

/// What it takes until an evaluation that somebody made as costly as he could has ended, in milliseconds.
struct BoundCase {
    let name: String
    let sql: String
    let payload: [UInt8]

    /// Text that is repeated up to a megabyte.
    private init(_ name: String, _ sql: String, repeating text: String, end: String = "", bytes: Int = 1 << 20) {
        self.name = name
        self.sql = sql
        payload = Array(String(repeating: text, count: bytes / text.utf8.count).utf8) + Array(end.utf8)
    }

    static let all = [
        BoundCase("1 MB of `[`, a path", "SELECT payload.a AS a FROM t", repeating: "["),
        BoundCase("1 MB of `[`, `json_decode`", "SELECT json_decode(payload) AS a FROM t", repeating: "["),
        BoundCase("1 MB of `{\"a\":`, a path", "SELECT payload.b AS a FROM t", repeating: "{\"a\":"),
        BoundCase("1 MB of `[[],`, FOREACH", "FOREACH payload AS p FROM t", repeating: "[[],"),
        BoundCase("1 MB string without an end", "SELECT payload.a AS a FROM t", repeating: "{\"a\":\"", bytes: 6, "x"),
        BoundCase("1 MB of digits", "SELECT payload.a AS a FROM t", repeating: "9"),
        BoundCase("1 MB of escapes in a string", "SELECT json_decode(payload) AS a FROM t", quoted: "\\u0041"),
        BoundCase("`(a+)+$` on 100 KB", "SELECT regex_match(payload, '(a+)+$') AS a FROM t", backtracking: 100_000),
        BoundCase("`(a|aa)+$` on 100 KB", "SELECT regex_match(payload, '(a|aa)+$') AS a FROM t", backtracking: 100_000),
        BoundCase("`pad` beyond 8 MB", "SELECT pad('x', 9000000) AS a FROM t", repeating: "x", bytes: 1),
        BoundCase("`sprintf` beyond 8 MB", "SELECT sprintf('~9000000s', 'x') AS a FROM t", repeating: "x", bytes: 1),
        BoundCase("a range of 200,000", "SELECT [1..200000] AS a FROM t", repeating: "x", bytes: 1),
        BoundCase("FOREACH over 10,001 elements", "FOREACH payload AS p DO p AS a FROM t", elements: 10_001),
    ]

    private init(_ name: String, _ sql: String, repeating text: String, bytes: Int, _ tail: String) {
        self.init(name, sql, repeating: text, end: String(repeating: tail, count: 1 << 20), bytes: bytes)
    }

    private init(_ name: String, _ sql: String, quoted text: String) {
        self.name = name
        self.sql = sql
        payload = Array("\"\(String(repeating: text, count: (1 << 20) / text.utf8.count))\"".utf8)
    }

    private init(_ name: String, _ sql: String, backtracking count: Int) {
        self.init(name, sql, repeating: "a", end: "!", bytes: count)
    }

    private init(_ name: String, _ sql: String, elements: Int) {
        self.name = name
        self.sql = sql
        payload = Array("[\(String(repeating: "1,", count: elements - 1))1]".utf8)
    }

    /// The median of some evaluations, as a row of a table in Markdown.
    func line(_ runs: Int) -> String {
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "bound")
        guard let rule else { fatalError("\(sql): \(diagnostics)") }
        let event = Publish(topic: "t", payload: payload)
        let context = EvaluationContext(node: "sluice@127.0.0.1")
        let rows = RowList()
        var outcome = Outcome.noResult
        let figures = (0..<runs).map { _ in
            context.arena.reset()
            rows.removeAll()
            let start = Measure.processorTime()
            outcome = rule.evaluate(event, in: context, rows: rows)
            return Measure.processorTime() - start
        }
        var name = "passed"
        if case .failed(let error) = outcome { name = "`\(error.name)`" }
        let hundredths = (figures.sorted()[runs / 2] + 5_000) / 10_000
        let fraction = hundredths % 100
        return "| \(self.name) | \(name) | \(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction) |"
    }
}
