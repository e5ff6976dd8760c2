package import ConfigSchema

/// What a run of tests came to, ready to be written in one of several formats.
package struct RuleTestReport: Sendable {
    package enum Format: String, CaseIterable, Sendable { case text, tap, junit, json }

    package var results: [RuleTestResult]
    /// Errors of the files themselves: without them a report could look fine when a rule could not be read at all.
    package var problems: [ConfigProblem]
    /// Nil when it was not wanted.
    package var coverage: [RuleCoverageReport]?
    /// ANSI colours in text.
    package var colours = false

    package init(
        results: [RuleTestResult], problems: [ConfigProblem] = [], coverage: [RuleCoverageReport]? = nil
    ) {
        self.results = results
        self.problems = problems.filter { $0.severity == .error }
        self.coverage = coverage
    }

    package var failedCount: Int { results.count { !$0.passed } }
    package var isSuccess: Bool { failedCount == 0 && problems.isEmpty }

    /// - Returns: the whole report; ends with a line break.
    package func rendered(as format: Format) -> String {
        switch format {
        case .text: text
        case .tap: tap
        case .junit: junit
        case .json: json
        }
    }

    /// `3 passed, 1 failed`.
    package var summary: String { "\(results.count - failedCount) passed, \(failedCount) failed" }
}

extension RuleTestReport {
    private var text: String {
        var text = ""
        let renderer = ProblemRenderer(colours: colours)
        for result in results {
            text += "\(verdict(result.passed))  \(result.rule): \(result.name)\n"
            text += renderer.render(result.failures)
        }
        return text + coverageText + summary + "\n"
    }

    private func verdict(_ passed: Bool) -> String {
        guard colours else { return passed ? "ok    " : "FAILED" }
        return passed ? "\u{1B}[32mok\u{1B}[0m    " : "\u{1B}[1;31mFAILED\u{1B}[0m"
    }

    /// A line for each rule and one for each branch that no test took; empty when coverage was not wanted.
    private var coverageText: String {
        guard let coverage else { return "" }
        var text = "coverage: \(coverage.covered) of \(coverage.total) branches (\(coverage.percent) %)\n"
        for report in coverage {
            let tests = report.testCount == 1 ? "1 test" : "\(report.testCount) tests"
            text += "  \(report.rule): \(report.covered) of \(report.branches.count), \(tests)\n"
            for branch in report.missing { text += "    \(report.file):\(branch.description)\n" }
        }
        return text
    }
}

extension RuleCoverageReport.Branch: CustomStringConvertible {
    /// `12:7: WHERE was never false: payload.temp > 40`.
    package var description: String {
        let tail = text.isEmpty ? "" : ": \(text)"
        return switch name {
        case "evaluated": "\(position): no test's event reached the rule"
        case let name where name.hasSuffix(" true") || name.hasSuffix(" false"):
            "\(position): \(name.replacing(" ", with: " was never "))\(tail)"
        default: "\(position): \(name) was never taken\(tail)"
        }
    }
}
