import ArgumentParser
import ConfigSchema
import Foundation
import RuleFiles

/// `sluice rules …`: works on files, needs no node.
struct Rules: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check, test and explain rule files.",
        subcommands: [Check.self, Test.self, Explain.self, Events.self])
}

/// The files that a command works on.
struct RuleFileArguments: ParsableArguments {
    @Argument(help: "Rule files and directories.")
    var paths: [String] = ["rules"]

    /// - Throws: 1 after the problems have been printed, when a path can't be read.
    func sources() throws -> [SourceFile] {
        let (sources, problems) = RuleFileFinder.sources(paths)
        Problems.print(problems)
        if problems.hasErrors { throw ExitCode(1) }
        return sources
    }
}

extension Rules {
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Check rule files; all problems at once.", discussion: "Exit codes: 0 clean, 1 problems.")

        @OptionGroup var files: RuleFileArguments
        @Flag(help: "Warnings count as problems.") var strict = false
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let sources = try files.sources()
            let loaded = RuleFileLoader.load(sources, RuleFileLoader.LoadOptions(environment: .process()))
            if json {
                print(try encode(loaded.problems.map { ProblemRecord($0) }))
            } else {
                Problems.print(loaded.problems)
                let rules = loaded.definition.rules.count
                if loaded.isValid {
                    print("\(rules) \(rules == 1 ? "rule" : "rules") in \(loaded.files.count) files: no errors")
                }
            }
            if !loaded.isValid || strict && !loaded.problems.isEmpty { throw ExitCode(1) }
        }
    }

    struct Test: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run the tests that stand in rule files.", discussion: "Exit codes: 0 all passed, 1 not.")

        @OptionGroup var files: RuleFileArguments
        @Option(help: "Only tests whose rule or name contains this.") var filter: String?
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let sources = try files.sources()
            let loaded = RuleFileLoader.load(sources, RuleFileLoader.LoadOptions(environment: .process()))
            let results = RuleTestRunner.run(sources, filter: filter)
            let failed = results.count { !$0.passed }
            if json {
                print(try encode(results.map { TestRecord($0) }))
            } else {
                Problems.print(loaded.problems.filter { $0.severity == .error })
                for result in results {
                    print("\(result.passed ? "ok    " : "FAILED")  \(result.rule): \(result.name)")
                    Problems.print(result.failures)
                }
                print("\(results.count - failed) passed, \(failed) failed")
            }
            if failed > 0 || !loaded.isValid { throw ExitCode(1) }
        }
    }
}

func encode(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

private struct ProblemRecord: Encodable {
    let file: String
    let line: Int
    let column: Int
    let severity: String
    let code: String
    let message: String
    let hint: String?

    init(_ problem: ConfigProblem) {
        file = problem.file
        line = problem.line
        column = problem.column
        severity = problem.severity.rawValue
        code = "\(problem.code)"
        message = problem.message
        hint = problem.hint
    }
}

private struct TestRecord: Encodable {
    let rule: String
    let name: String
    let place: String
    let passed: Bool
    let failures: [ProblemRecord]

    init(_ result: RuleTestResult) {
        rule = result.rule
        name = result.name
        place = result.origin.description
        passed = result.passed
        failures = result.failures.map { ProblemRecord($0) }
    }
}
