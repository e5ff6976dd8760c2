import Foundation
import RuleEngine
import Testing

/// The vectors of the rule language, from the folder that the environment variable `RULE_VECTORS` names.
@Suite struct `Rule vectors` {
    /// The least share of cases of a file that pass; files that are not listed are only reported.
    static let thresholds: [String: Double] = [
        "arithmetic": 0.95, "events": 0.95, "foreach": 0.95, "from": 1, "grammar": 0.95, "metrics": 0.9,
        "payload": 0.95, "where": 0.95,
    ]

    @Test func `the cases of each file give what they should`() throws {
        guard let folder = ProcessInfo.processInfo.environment["RULE_VECTORS"] else {
            print("RULE_VECTORS names no folder: the rule vectors are skipped")
            return
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".jsonl") }
        for name in names.sorted() {
            let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
            let share = try run(name: String(name.dropLast(6)), lines: text.split(separator: "\n"))
            if let least = Self.thresholds[String(name.dropLast(6))] {
                #expect(share >= least, "\(name): \(share) of the cases pass")
            }
        }
    }

    private func run(name: String, lines: [Substring]) throws -> Double {
        var total = 0
        var failures: [(id: String, sql: String, reason: String)] = []
        for line in lines {
            guard let vector = try RuleVector(line: Array(line.utf8)) else { continue }
            total += 1
            if let reason = RuleVectorRun(vector: vector).failure() {
                failures.append((vector.id, vector.sql ?? "", reason))
            }
        }
        print("\(name): \(total - failures.count)/\(total)")
        for failure in failures { print("  \(failure.id) \(failure.sql.prefix(200)) -- \(failure.reason.prefix(400))") }
        return total == 0 ? 1 : Double(total - failures.count) / Double(total)
    }
}
