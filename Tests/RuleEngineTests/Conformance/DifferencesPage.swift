import Foundation

/// The table of `docs/reference/rule-sql-differences.md` that says which cases of the vectors differ, and why.
enum DifferencesPage {
    static let name = "docs/reference/rule-sql-differences.md"
    static let heading = "## Quirks of EMQX that are not kept"

    /// The cells of each row: the cases, what EMQX does, what is done here, why.
    static func rows() throws -> [[String]] {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let text = try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8)
        let section = text.components(separatedBy: heading).dropFirst().first ?? ""
        let lines = section.components(separatedBy: "\n## ")[0].split(separator: "\n")
        let table = lines.filter { $0.hasPrefix("|") }
        // Without the heading and the line below it.
        return table.dropFirst(2).map { line in
            line.dropFirst().dropLast().components(separatedBy: " | ").map { $0.trimmingCharacters(in: .whitespaces) }
        }
    }

    /// `group: statement` with asterisks for any text, as the first column has them between backticks.
    static func quirks() throws -> [String] {
        try rows().flatMap { row in
            row[0].components(separatedBy: "`").filter { $0.hasPrefix("quirk.") }
        }
    }

    /// Whether a pattern is the whole subject; letters of either case are the same.
    static func matches(_ pattern: String, _ subject: String) -> Bool {
        let parts = pattern.lowercased().components(separatedBy: "*").map(NSRegularExpression.escapedPattern)
        let expression = "(?s)^" + parts.joined(separator: ".*") + "$"
        return subject.lowercased().range(of: expression, options: .regularExpression) != nil
    }
}
