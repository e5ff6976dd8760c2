import Foundation
import RuleEngine
import Testing

/// The vectors of the rule language, from the folder that the environment variable `RULE_VECTORS` names.
@Suite struct `Rule vectors` {
    @Test func `every case gives what it should, or differs as the reference page says`() throws {
        guard let folder = VectorFile.folder else {
            print("RULE_VECTORS names no folder: the rule vectors are skipped")
            return
        }
        var counts: [VectorFile.Kind: (passed: Int, total: Int)] = [:]
        for file in try VectorFile.run(folder: folder) {
            print(file.summary)
            for kind in VectorFile.Kind.allCases {
                counts[kind, default: (0, 0)].passed += file.passed[kind] ?? 0
                counts[kind, default: (0, 0)].total += file.total[kind] ?? 0
            }
            if file.name == "quirks" {
                try check(quirks: file)
            } else {
                for failure in file.failures {
                    print("  \(failure.id) \(failure.subject.prefix(200)) -- \(failure.reason.prefix(400))")
                }
                #expect(file.failures.isEmpty, "\(file.name): \(file.failures.map(\.id))")
            }
        }
        let sums = VectorFile.Kind.allCases.map {
            "\($0.rawValue) \(counts[$0]?.passed ?? 0)/\(counts[$0]?.total ?? 0)"
        }
        print("all: \(sums.joined(separator: ", "))")
    }

    /// A quirk of the reference may be left out where the page of differences says so, and only there.
    private func check(quirks file: VectorFile) throws {
        let entries = try DifferencesPage.quirks()
        var used: Set<String> = []
        for failure in file.failures {
            let entry = entries.first { DifferencesPage.matches($0, failure.subject) }
            print("  \(failure.id) \(entry.map { "differs as documented: \($0)" } ?? failure.reason)")
            #expect(entry != nil, "\(failure.id) (\(failure.subject)) has no entry in \(DifferencesPage.name)")
            if let entry { used.insert(entry) }
        }
        for entry in entries {
            #expect(used.contains(entry), "stale: no case differs as \(entry) in \(DifferencesPage.name)")
        }
    }

    @Test func `a pattern of the page of differences matches as a whole, with asterisks for any text`() {
        #expect(DifferencesPage.matches("quirk.a: *not in*", "quirk.a: SELECT x WHERE y NOT IN (1)"))
        #expect(!DifferencesPage.matches("quirk.a: *not in*", "quirk.b: SELECT x WHERE y NOT IN (1)"))
        #expect(!DifferencesPage.matches("quirk.a: *in", "quirk.a: in x"))
        #expect(DifferencesPage.matches("quirk.a: *(*)*", "quirk.a: f(x)"))
    }

    @Test func `the page of differences has a reason in each row about a quirk`() throws {
        let rows = try DifferencesPage.rows()
        #expect(!rows.isEmpty)
        for row in rows {
            #expect(row.count == 4 && row.allSatisfy { !$0.isEmpty }, "\(row)")
            #expect(row.first?.contains("`quirk.") == true, "\(row)")
        }
    }
}
