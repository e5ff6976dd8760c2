import ArgumentParser
import ConfigSchema
import Foundation
import RuleFiles

/// `sluice rules …`: works without a node, but for what is about the rules of a cluster.
struct Rules: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Check, test, explain and try rules; show the language's functions and events; change the rules of a cluster.",
        subcommands: [
            Check.self, Test.self, Explain.self, Try.self, Functions.self, Events.self, Apply.self, Diff.self,
            Export.self, History.self, Rollback.self,
        ])
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
                func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
                let (rules, files) = (loaded.definition.rules.count, loaded.files.count)
                if loaded.isValid {
                    let warnings = loaded.problems.isEmpty ? "" : ", \(count(loaded.problems.count, "warning"))"
                    print("\(count(rules, "rule")) in \(count(files, "file")): no errors\(warnings)")
                }
            }
            if !loaded.isValid || strict && !loaded.problems.isEmpty { throw ExitCode(1) }
        }
    }
}

/// Pretty-printed JSON with sorted keys.
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
