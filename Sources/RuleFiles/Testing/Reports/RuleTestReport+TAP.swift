import ConfigSchema

/// The Test Anything Protocol. [TAP 14]
extension RuleTestReport {
    var tap: String {
        var text = "TAP version 14\n1..\(results.count + problems.count)\n"
        var number = 0
        for problem in problems {
            number += 1
            text += "not ok \(number) - \(Self.escaped("the rule files are right"))\n" + Self.diagnostics([problem])
        }
        for result in results {
            number += 1
            let name = Self.escaped("\(result.rule): \(result.name)")
            text += "\(result.passed ? "ok" : "not ok") \(number) - \(name)\n"
            if !result.passed { text += Self.diagnostics(result.failures) }
        }
        guard let coverage else { return text }
        text += "# coverage: \(coverage.covered) of \(coverage.total) branches (\(coverage.percent) %)\n"
        for report in coverage {
            for branch in report.missing { text += "# \(Self.oneLine("\(report.file):\(branch)"))\n" }
        }
        return text
    }

    /// A description is one line; `#` would begin a directive.
    private static func escaped(_ text: String) -> String {
        oneLine(text).replacing("\\", with: "\\\\").replacing("#", with: "\\#")
    }

    private static func oneLine(_ text: String) -> String {
        String(text.map { $0.isNewline ? " " : $0 })
    }

    /// A YAML block. JSON's strings are YAML's.
    private static func diagnostics(_ failures: [ConfigProblem]) -> String {
        var text = "  ---\n  severity: fail\n  failures:\n"
        for failure in failures {
            text += "    - message: \(jsonQuoted(failure.message))\n"
            text += "      code: \(failure.code)\n"
            text += "      file: \(jsonQuoted(failure.file))\n"
            text += "      line: \(failure.line)\n      column: \(failure.column)\n"
        }
        return text + "  ...\n"
    }
}
