import ConfigSchema
import Foundation
import RuleEngine
import RuleFiles
import Testing

/// The page docs/reference/diagnostics.md is made of the codes and of the cases that show them.
@Suite struct `Reference of diagnostics` {
    private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private static let cases = root.appendingPathComponent("Tests/Cases/RuleSQL/diagnostics")

    @Test func `the page is current`() throws {
        let file = Self.root.appendingPathComponent("docs/reference/diagnostics.md")
        let page = try page()
        if ProcessInfo.processInfo.environment["UPDATE_CASES"] != nil {
            try page.write(to: file, atomically: true, encoding: .utf8)
        }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written == page, "run the tests with UPDATE_CASES=1 and read the difference")
    }

    @Test(arguments: Diagnostic.Code.allCases)
    func `every code has a case that shows it`(code: Diagnostic.Code) throws {
        let (_, output) = try Self.example(code)
        #expect(output.contains("[\(code.rawValue)]"), "\(code.reference.example)")
    }

    @Test func `codes of rule files are listed once and none is without a sentence`() {
        let codes = ProblemCode.meanings.map(\.code.text)
        #expect(Set(codes).count == codes.count)
        #expect(ProblemCode.meanings.allSatisfy { $0.meaning.hasSuffix(".") })
    }

    /// Codes of references and templates are shown with a rule file; what the loader says of it stands behind it.
    private static let fileCases = root.appendingPathComponent("Tests/Cases/RuleFiles/diagnostics")
    private static let shownCodes = ProblemCode.meanings.filter {
        // No key that is supported can make dead letters come back.
        $0.code != .referenceCycle && ($0.code.text.hasPrefix("REF") || $0.code.text.hasPrefix("TPL"))
    }

    @Test(arguments: shownCodes.map(\.code))
    func `every code of references and templates has a rule file that shows it`(code: ProblemCode) throws {
        let file = Self.fileCases.appendingPathComponent("\(code.text).case")
        let text = try String(contentsOf: file, encoding: .utf8)
        let yaml = text.components(separatedBy: "----\n")[0]
        let loaded = RuleFileLoader.load(
            [SourceFile(name: "rules.yaml", text: yaml)],
            RuleFileLoader.LoadOptions(environment: Environment(variables: [:])))
        let output = ProblemRenderer().render(loaded.problems)
        #expect(loaded.problems.contains { $0.code == code }, "\(output)")
        if ProcessInfo.processInfo.environment["UPDATE_CASES"] != nil {
            try "\(yaml)----\n\(output)".write(to: file, atomically: true, encoding: .utf8)
        } else {
            #expect(text == "\(yaml)----\n\(output)")
        }
    }

    private static func fileExample(_ code: ProblemCode) throws -> (yaml: String, output: String) {
        let file = fileCases.appendingPathComponent("\(code.text).case")
        let parts = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "----\n")
        return (parts[0], parts.count > 1 ? parts[1] : "")
    }

    private static func example(_ code: Diagnostic.Code) throws -> (sql: String, output: String) {
        let file = cases.appendingPathComponent("\(code.reference.example).case")
        let parts = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n----\n")
        return (parts[0], parts.count > 1 ? parts[1].trimmingCharacters(in: .newlines) : "")
    }

    private func page() throws -> String {
        var page = """
            # Diagnostics

            <!-- Made by the tests from the codes in the source: UPDATE_CASES=1 swift test --filter "Reference of diagnostics" -->

            What `sluice rules check`, the loader and the editors say of rules. A finding has a code that stays the same over
            versions, a place, and mostly a hint. Errors keep a rule set from going live; warnings do not. All findings of a
            statement come at once. In a rule file the place is the file's line and column, inside of SQL as well.

            ## Statements


            """
        page += "| code | | |\n| --- | --- | --- |\n"
        for code in Diagnostic.Code.allCases {
            let anchor = code.rawValue.lowercased()
            page += "| [\(code.rawValue)](#\(anchor)) | \(severity(code)) | \(code.reference.title) |\n"
        }
        for code in Diagnostic.Code.allCases {
            let (sql, output) = try Self.example(code)
            let shown = output.components(separatedBy: "\n").dropFirst().joined(separator: "\n")
            page += """

                ### \(code.rawValue)

                **\(code.reference.title)** (\(severity(code))). \(code.reference.meaning)

                ```sql
                \(sql)
                ```
                ```text
                \(shown)
                ```

                \(code.reference.remedy)

                """
        }
        page += "\n## Rule files and configuration\n\n| code | |\n| --- | --- |\n"
        let shown = Set(Self.shownCodes.map(\.code.text))
        for (code, meaning) in ProblemCode.meanings {
            let name = shown.contains(code.text) ? "[\(code.text)](#\(code.text.lowercased()))" : code.text
            page += "| \(name) | \(meaning) |\n"
        }
        for (code, meaning) in Self.shownCodes {
            let (yaml, output) = try Self.fileExample(code)
            page += "\n### \(code.text)\n\n\(meaning)\n\n```yaml\n\(yaml)```\n```text\n\(output)```\n"
        }
        return page
    }

    private func severity(_ code: Diagnostic.Code) -> String {
        Diagnostic(code, 0..<0, "").severity.rawValue
    }
}
