import ConfigSchema

/// One object; its members stay as they are within a version of the program's command line.
extension RuleTestReport {
    var json: String {
        var members: [(String, JSONText)] = [
            ("passed", .integer(results.count - failedCount)), ("failed", .integer(failedCount)),
            ("tests", .array(results.map(Self.object))), ("problems", .array(problems.map(Self.object))),
        ]
        if let coverage {
            members.append(
                (
                    "coverage",
                    .object([
                        ("covered", .integer(coverage.covered)), ("total", .integer(coverage.total)),
                        ("percent", .integer(coverage.percent)), ("rules", .array(coverage.map(Self.object))),
                    ])
                ))
        }
        return JSONText.object(members).pretty + "\n"
    }

    private static func object(_ result: RuleTestResult) -> JSONText {
        let (seconds, attoseconds) = result.duration.components
        return .object([
            ("rule", .text(result.rule)), ("name", .text(result.name)), ("file", .text(result.origin.file)),
            ("line", .integer(result.origin.line)), ("passed", .boolean(result.passed)),
            ("microseconds", .integer(Int(seconds * 1_000_000 + attoseconds / 1_000_000_000_000))),
            ("failures", .array(result.failures.map(object))),
        ])
    }

    private static func object(_ problem: ConfigProblem) -> JSONText {
        .object([
            ("file", .text(problem.file)), ("line", .integer(problem.line)), ("column", .integer(problem.column)),
            ("severity", .text(problem.severity.rawValue)), ("code", .text("\(problem.code)")),
            ("message", .text(problem.message)), ("hint", problem.hint.map { .text($0) } ?? .null),
        ])
    }

    private static func object(_ report: RuleCoverageReport) -> JSONText {
        .object([
            ("rule", .text(report.rule)), ("file", .text(report.file)), ("tests", .integer(report.testCount)),
            ("covered", .integer(report.covered)), ("total", .integer(report.branches.count)),
            ("branches", .array(report.branches.map(object))),
        ])
    }

    private static func object(_ branch: RuleCoverageReport.Branch) -> JSONText {
        .object([
            ("name", .text(branch.name)), ("text", .text(branch.text)), ("line", .integer(branch.position.line)),
            ("column", .integer(branch.position.column)), ("count", .integer(branch.count)),
        ])
    }
}
