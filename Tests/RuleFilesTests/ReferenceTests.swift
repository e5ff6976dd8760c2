import ConfigSchema
import Foundation
import RuleFiles
import Testing

/// The examples of the reference pages are rule files that load without a problem and whose tests pass.
struct ReferenceTests {
    private static let page: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "docs/reference/rule-yaml.md"), encoding: .utf8)) ?? ""
    }()

    static let examples: [String] = page.components(separatedBy: "```yaml\n").dropFirst().map { block in
        block.components(separatedBy: "```")[0]
    }

    @Test(arguments: examples)
    func `an example of the page on rule files loads, and its tests pass`(text: String) {
        #expect(problems(load(text)) == [])
        let results = RuleTestRunner.run(sources([text]))
        #expect(!results.isEmpty)
        #expect(results.flatMap(\.failures).map(\.headline) == [])
    }

    @Test func `the page has an example for each option that can be tested without a broker`() {
        #expect(Self.examples.count >= 7)
        for option in ["suppress:", "on_change:", "throttle:", "when:", "on_error:", "payload_encoding:", "${json:"] {
            #expect(Self.examples.contains { $0.contains(option) }, "\(option)")
        }
    }
}
