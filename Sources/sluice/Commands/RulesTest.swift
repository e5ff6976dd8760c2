import ArgumentParser
import ConfigSchema
import Foundation
import RuleFiles

extension RuleTestReport.Format: ExpressibleByArgument {}

extension Rules {
    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the tests that stand in rule files.",
            discussion: """
                Exit codes: 0 all passed, 1 a test failed, a file has problems, --filter takes no test, or fewer \
                branches than wanted were taken.

                A branch is a WHERE or INCASE that is true, the same that is false, a WHEN, an ELSE (one that is not \
                written, too), and the rule itself.

                --update writes what came into the files in place of what was expected; comments and layout stay. Read \
                the difference before you keep it.
                """)

        @OptionGroup var files: RuleFileArguments
        @Option(help: "Only tests whose rule or name contains this.") var filter: String?
        @Option(help: "text, tap (version 14), junit (XML) or json.") var format = RuleTestReport.Format.text
        @Flag(help: "The same as --format json.") var json = false
        @Option(help: "Write the report to this file; standard output gets the summary.") var output: String?
        @Flag(help: "Tell which branches of WHERE, INCASE and CASE no test took.") var coverage = false
        @Option(help: "The least percentage of branches that tests must take; implies --coverage.")
        var coverageMinimum: Int?
        @Flag(help: "Rewrite expected values that differ.") var update = false

        func validate() throws {
            if let minimum = coverageMinimum, !(0...100).contains(minimum) {
                throw ValidationError("--coverage-minimum is a percentage")
            }
            if update, coverage || coverageMinimum != nil || output != nil || json || format != .text {
                throw ValidationError("--update goes with --filter alone")
            }
        }

        func run() throws {
            let sources = try files.sources()
            let loaded = RuleFileLoader.load(sources, RuleFileLoader.LoadOptions(environment: .process()))
            if update { return try rewrite(sources, loaded) }
            var report = RuleTestReport(results: [], problems: loaded.problems)
            if coverage || coverageMinimum != nil {
                let run = RuleTestRunner.runWithCoverage(sources, filter: filter)
                (report.results, report.coverage) = (run.results, run.coverage)
            } else {
                report.results = RuleTestRunner.run(sources, filter: filter)
            }
            Problems.print(report.problems)
            try write(report)
            if let filter, report.results.isEmpty {
                throw Failure("no test has \"\(filter)\" in its name or its rule's")
            }
            let isCovered = try meetsMinimum(report)
            if !report.isSuccess || !isCovered { throw ExitCode(1) }
        }

        private func write(_ report: RuleTestReport) throws {
            let format = json ? .json : self.format
            guard let output else {
                var report = report
                report.colours = Terminal.hasColours(1)
                return print(report.rendered(as: format), terminator: "")
            }
            do throws(FileReplacement.Failure) {
                try FileReplacement.write(Array(report.rendered(as: format).utf8), to: output)
            } catch {
                throw Failure(error.description)
            }
            print(report.summary)
        }

        private func meetsMinimum(_ report: RuleTestReport) throws -> Bool {
            guard let minimum = coverageMinimum, let coverage = report.coverage, coverage.percent < minimum else {
                return true
            }
            Problems.print(line: "\(coverage.percent) % of the branches were taken, wanted are \(minimum) %")
            return false
        }

        private func rewrite(_ sources: [SourceFile], _ loaded: LoadedRules) throws {
            Problems.print(loaded.problems.filter { $0.severity == .error })
            guard loaded.isValid else { throw Failure("nothing was changed: the files have problems") }
            let update = RuleTestUpdate(sources, filter: filter)
            Problems.print(update.refusals)
            for file in update.files {
                do throws(FileReplacement.Failure) {
                    try FileReplacement.write(file.bytes, to: file.source.name, replacing: file.source.bytes)
                } catch {
                    throw Failure(error.description)
                }
                for change in file.changes { print(change) }
            }
            let count = update.files.reduce(0) { $0 + $1.changes.count }
            let files = update.files.count
            print("\(count) \(count == 1 ? "change" : "changes") in \(files) \(files == 1 ? "file" : "files")")
            if !update.refusals.isEmpty { throw ExitCode(1) }
        }
    }
}
