import Foundation
import RuleEngine
import Testing

@Suite struct EventReferenceTests {
    @Test func `docs/reference/events.md is what the declarations make`() throws {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        let file = root.appendingPathComponent("docs/reference/events.md")
        if ProcessInfo.processInfo.environment["UPDATE_DOCS"] != nil {
            try EventReference.markdown.write(to: file, atomically: true, encoding: .utf8)
            return
        }
        let written = try String(contentsOf: file, encoding: .utf8)
        #expect(written == EventReference.markdown, "UPDATE_DOCS=1 swift test --filter EventReference writes it anew")
    }
}
