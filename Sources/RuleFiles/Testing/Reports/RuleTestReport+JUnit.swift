import ConfigSchema

/// JUnit's XML as continuous integration reads it: a suite for each rule, a case for each test.
extension RuleTestReport {
    var junit: String {
        let duration = results.reduce(Duration.zero) { $0 + $1.duration }
        var text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        text += "<testsuites name=\"sluice rules test\"\(Self.attribute("tests", "\(results.count + problems.count)"))"
        text += Self.attribute("failures", "\(failedCount)") + Self.attribute("errors", "\(problems.count)")
        text += Self.attribute("time", Self.seconds(duration)) + ">\n"
        if !problems.isEmpty { text += problemSuite }
        for rule in rules { text += suite(rule) }
        return text + "</testsuites>\n"
    }

    /// Of the results and of the coverage, in order, each once.
    private var rules: [String] {
        var seen: Set<String> = []
        return (results.map(\.rule) + (coverage ?? []).map(\.rule)).filter { seen.insert($0).inserted }
    }

    private var problemSuite: String {
        let count = Self.attribute("tests", "\(problems.count)") + Self.attribute("errors", "\(problems.count)")
        var text = "  <testsuite name=\"rule files\"\(count) failures=\"0\" time=\"0\">\n"
        for problem in problems {
            text += "    <testcase classname=\"rule files\"\(Self.attribute("name", problem.headline)) time=\"0\">\n"
            text += Self.fault("error", [problem]) + "    </testcase>\n"
        }
        return text + "  </testsuite>\n"
    }

    private func suite(_ rule: String) -> String {
        let cases = results.filter { $0.rule == rule }
        let report = coverage?.first { $0.rule == rule }
        let duration = cases.reduce(Duration.zero) { $0 + $1.duration }
        var text = "  <testsuite\(Self.attribute("name", rule))\(Self.attribute("tests", "\(cases.count)"))"
        text += Self.attribute("failures", "\(cases.count { !$0.passed })") + " errors=\"0\""
        text += Self.attribute("time", Self.seconds(duration)) + ">\n"
        if let report { text += Self.properties(report) }
        for result in cases {
            text += "    <testcase\(Self.attribute("classname", rule))\(Self.attribute("name", result.name))"
            text += Self.attribute("file", result.origin.file) + Self.attribute("line", "\(result.origin.line)")
            text += Self.attribute("time", Self.seconds(result.duration))
            text +=
                result.passed ? "/>\n" : ">\n" + Self.fault("failure", result.failures) + "    </testcase>\n"
        }
        return text + "  </testsuite>\n"
    }

    private static func properties(_ report: RuleCoverageReport) -> String {
        func property(_ name: String, _ value: String) -> String {
            "      <property\(attribute("name", name))\(attribute("value", value))/>\n"
        }
        var text = "    <properties>\n"
        text += property("coverage.branches", "\(report.branches.count)")
        text += property("coverage.covered", "\(report.covered)")
        for branch in report.missing { text += property("coverage.missing", "\(report.file):\(branch)") }
        return text + "    </properties>\n"
    }

    private static func fault(_ element: String, _ failures: [ConfigProblem]) -> String {
        let message = failures.first?.message ?? ""
        let picture = ProblemRenderer().render(failures)
        let attributes = attribute("message", message) + attribute("type", failures.first.map { "\($0.code)" } ?? "")
        return "      <\(element)\(attributes)>\(escaped(picture))</\(element)>\n"
    }

    private static func seconds(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let micros = String(attoseconds / 1_000_000_000_000)
        return "\(seconds).\(String(repeating: "0", count: max(0, 6 - micros.count)))\(micros)"
    }

    private static func attribute(_ name: String, _ value: String) -> String { " \(name)=\"\(escaped(value))\"" }

    /// For content and for attributes in double quotes; what XML 1.0 has no place for becomes U+FFFD.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n", "\t", "\r": result += "&#\(scalar.value);"
            case _ where scalar.value < 0x20 || scalar.value == 0xFFFE || scalar.value == 0xFFFF: result += "\u{FFFD}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}
