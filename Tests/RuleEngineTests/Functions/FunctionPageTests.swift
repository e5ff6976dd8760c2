import Foundation
import RuleEngine
import Testing

@Suite struct `The page of the functions` {
    @Test func `the page is what the entries say`() throws {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<4 { folder.deleteLastPathComponent() }
        let page = try String(contentsOf: folder.appendingPathComponent("docs/reference/functions.md"), encoding: .utf8)
        #expect(page == FunctionReference.markdown(), "run `make functions-page`")
    }

    @Test func `every group has functions, and no entry is left out of the page`() {
        let page = FunctionReference.markdown()
        for group in FunctionEntry.Group.allCases {
            #expect(FunctionTable.all.contains { $0.group == group }, "\(group)")
        }
        for entry in FunctionTable.all { #expect(page.contains("\n### \(entry.name)\n"), "\(entry.name)") }
    }

    @Test func `a signature shows what may be left out`() throws {
        let substring = try #require(FunctionTable.entry(named: "substr"))
        #expect(
            FunctionReference.signature(substring).hasPrefix("substr(s: string, start: integer, [length: integer])"))
    }

    @Test(arguments: [("uper", "did you mean `upper`?"), ("Upper", "did you mean `upper`?")])
    func `an unknown name gets the nearest one`(name: String, hint: String) {
        #expect(FunctionReference.hint(forUnknown: name) == hint)
        #expect(FunctionReference.hint(forUnknown: "there_is_nothing_like_it") == nil)
    }

    @Test(arguments: LeftOutFunctions.names) func `a function of the schema registry is refused with advice`(
        name: String
    ) {
        let (rule, diagnostics) = CompiledRule.compile(sql: "SELECT \(name)('s', payload) as r FROM \"t/#\"", id: "r")
        #expect(rule == nil)
        #expect(diagnostics.first?.code == .unknownFunction)
        #expect(diagnostics.first?.hint?.contains("schema registry") == true)
        #expect(FunctionTable.entry(named: name) == nil)
    }
}
