import Foundation
import RuleFiles
import Testing

/// The page on the language shows what the statements really give.
struct LanguagePageTests {
    private static let page: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "docs/reference/rule-sql.md"), encoding: .utf8)) ?? ""
    }()

    /// What stands between a fence of that kind and the next.
    private static func blocks(_ fence: String) -> [String] {
        page.components(separatedBy: "```\(fence)\n").dropFirst().map { $0.components(separatedBy: "\n```")[0] }
    }

    private static let payload = blocks("json payload").first ?? ""

    /// A statement and its rows, one a line.
    static let statements: [(sql: String, result: String)] = page.components(separatedBy: "```sql\n").dropFirst().map {
        let parts = $0.components(separatedBy: "\n```\n```json\n")
        return (parts[0], parts.count > 1 ? parts[1].components(separatedBy: "\n```")[0] : "no result is shown")
    }

    /// The first two cells of each row of the tables with that heading.
    private static func rows(_ heading: String) -> [(String, String)] {
        page.components(separatedBy: "| \(heading) |\n| --- | --- |\n").dropFirst().flatMap { table in
            table.components(separatedBy: "\n").prefix { $0.hasPrefix("|") }.map { line in
                let cells = line.dropFirst(2).dropLast(2).components(separatedBy: " | ")
                return (bare(cells[0]), cells.count == 2 ? bare(cells[1]) : "no result is shown")
            }
        }
    }

    private static func bare(_ cell: String) -> String {
        cell.hasPrefix("`") && cell.hasSuffix("`") ? String(cell.dropFirst().dropLast()) : cell
    }

    static let expressions = rows("expression | result")
    static let conditions = rows("condition | is")
    static let refused = rows("statement | problem")

    /// The rows, one a line; `no row`, or `failed:` and the class.
    private func result(_ sql: String) throws -> String {
        let (rule, findings) = TriedRule.compile(sql)
        let compiled = try #require(rule, "\(sql): \(findings.map(\.picture))")
        var request = TryRequest(nowNanoseconds: 1_767_225_600_000_000_000)
        if !sql.contains("$events/") {
            (request.topic, request.payload, request.clientID) = ("t/1", Array(Self.payload.utf8), "c1")
            request.qos = 1
        }
        switch try compiled.run(request) {
        case .rows(let rows): return rows.joined(separator: "\n")
        case .noRow: return "no row"
        case .failed(let name, _, _): return "failed: \(name)"
        }
    }

    @Test(arguments: statements) func `a statement of the page gives its rows`(sql: String, rows: String) throws {
        #expect(try result(sql) == rows)
    }

    @Test(arguments: expressions) func `an expression of the page has its value`(expression: String, value: String)
        throws
    {
        let row = try result("SELECT 1 AS a, \(expression) AS r FROM \"t/#\"")
        switch value {
        case "raises": #expect(row.hasPrefix("failed: "), "\(row)")
        case "undefined": #expect(row == #"{"a":1,"r":"undefined"}"#)
        default: #expect(row == #"{"a":1,"r":\#(value)}"#)
        }
    }

    @Test(arguments: conditions) func `a condition of the page holds or does not`(condition: String, holds: String)
        throws
    {
        let row = try result("SELECT 1 AS r FROM \"t/#\" WHERE \(condition)")
        switch holds {
        case "raises": #expect(row.hasPrefix("failed: "), "\(row)")
        case "true": #expect(row == #"{"r":1}"#)
        default: #expect(row == "no row" && holds == "false")
        }
    }

    @Test(arguments: refused) func `a statement that the page says is refused is refused`(sql: String, code: String) {
        let (rule, findings) = TriedRule.compile(sql)
        #expect(rule == nil)
        #expect(findings.contains { $0.isError && $0.code == code }, "\(findings.map(\.code))")
    }

    @Test func `the examples of the page are found`() {
        #expect(!Self.payload.isEmpty)
        #expect(Self.statements.count >= 10)
        #expect(Self.expressions.count >= 35)
        #expect(Self.conditions.count >= 20)
        #expect(Self.refused.count >= 5)
    }
}
