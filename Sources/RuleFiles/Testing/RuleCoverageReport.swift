package import ConfigSchema
import RuleEngine

/// Which branches of a rule its tests took.
package struct RuleCoverageReport: Sendable {
    /// One way that an evaluation can go.
    package struct Branch: Sendable {
        /// `WHERE true`, `WHERE false`, `INCASE true`, `INCASE false`, `WHEN`, `ELSE`, or `evaluated` for the rule itself.
        package let name: String
        /// The condition, shortened; empty for `evaluated`.
        package let text: String
        package let position: SourcePosition
        /// How often the tests went this way.
        package let count: Int
    }

    package let rule: String
    package let file: String
    package let testCount: Int
    /// By place. The first says whether a test's event came as far as WHERE.
    package let branches: [Branch]

    package var covered: Int { branches.count { $0.count > 0 } }
    package var missing: [Branch] { branches.filter { $0.count == 0 } }
}

extension [RuleCoverageReport] {
    package var covered: Int { reduce(0) { $0 + $1.covered } }
    package var total: Int { reduce(0) { $0 + $1.branches.count } }
    /// Of all branches, rounded down, so that 100 means all; 100 when there are none.
    package var percent: Int { total == 0 ? 100 : covered * 100 / total }
}

/// Compiles rules so that they count their branches, each statement once, and reads the counts.
struct CoverageCollector {
    private struct Instrumented {
        let rule: CompiledRule
        let coverage: RuleCoverage
    }

    /// By rule and statement: with another environment a rule may have another statement.
    private var compiled: [String: Instrumented] = [:]
    private(set) var reports: [RuleCoverageReport] = []

    mutating func compiled(_ definition: RuleDefinition) -> CompiledRule { instrumented(definition).rule }

    private mutating func instrumented(_ definition: RuleDefinition) -> Instrumented {
        let key = "\(definition.id)\u{0}\(definition.sql)"
        if let known = compiled[key] { return known }
        let coverage = RuleCoverage()
        let rule = CompiledRule.compile(sql: definition.sql, id: definition.id, coverage: coverage).rule
        let made = Instrumented(rule: rule ?? definition.compiled, coverage: coverage)
        compiled[key] = made
        return made
    }

    mutating func add(_ object: RawObject, _ definition: RuleDefinition, tests: Int) {
        let coverage = instrumented(definition).coverage
        let node = object.node["sql"].flatMap { $0.text == definition.sql ? $0 : nil }
        func place(_ span: Range<Int>) -> SourcePosition {
            node?.position(ofByteOffset: span.lowerBound) ?? (object.node["sql"] ?? object.key).start
        }
        let sql = Array(definition.sql.utf8)
        var branches = [
            RuleCoverageReport.Branch(
                name: "evaluated", text: "", position: object.key.start, count: coverage.evaluations)
        ]
        for point in coverage.points.sorted(by: { $0.span.lowerBound < $1.span.lowerBound }) {
            let text = Self.shortened(sql[point.span])
            func add(_ name: String, _ count: Int) {
                branches.append(
                    RuleCoverageReport.Branch(name: name, text: text, position: place(point.span), count: count))
            }
            switch point.kind {
            case .condition, .inCase:
                add("\(point.kind.rawValue) true", point.taken)
                add("\(point.kind.rawValue) false", point.refused)
            case .when: add("WHEN", point.taken)
            case .otherwise: add(point.isWritten ? "ELSE" : "ELSE (not written)", point.taken)
            }
        }
        reports.append(
            RuleCoverageReport(rule: object.name, file: object.key.source.name, testCount: tests, branches: branches))
    }

    /// On one line, 60 characters at most.
    private static func shortened(_ bytes: ArraySlice<UInt8>) -> String {
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        let line = words.joined(separator: " ")
        return line.count > 60 ? line.prefix(59) + "…" : line
    }
}
