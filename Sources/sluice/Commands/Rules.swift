import ArgumentParser
import ConfigSchema
import Foundation
import RuleFiles

/// `sluice rules …`: works without a node.
struct Rules: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check, test, explain and try rules; show the language's functions and events.",
        subcommands: [Check.self, Test.self, Explain.self, Try.self, Functions.self, Events.self])
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

    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show what a rule was compiled to.")

        @Argument(help: "The rule's id.") var id: String
        @Option(name: .long, help: "Rule files and directories.") var from: [String] = ["rules"]
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let (sources, problems) = RuleFileFinder.sources(from)
            Problems.print(problems)
            let loaded = RuleFileLoader.load(sources, RuleFileLoader.LoadOptions(environment: .process()))
            guard let rule = loaded.definition.rule(id) else {
                Problems.print(loaded.problems.filter { $0.severity == .error })
                let known = loaded.definition.rules.map(\.id)
                let hint =
                    didYouMean(id, known).map { "; did you mean \"\($0)\"?" }
                    ?? "; there are: \(known.joined(separator: ", "))"
                Problems.print(line: "there is no rule \"\(id)\"\(hint)")
                throw ExitCode(4)
            }
            var text = rule.compiled.explain()
            if !text.hasSuffix("\n") { text += "\n" }
            let actions = rule.actions.map(\.summary)
            if json {
                print(
                    try encode(
                        Explanation(
                            id: rule.id, file: rule.origin.description, sql: rule.sql, explanation: text,
                            actions: actions)))
            } else {
                for line in rule.gate?.lines ?? [] { text += "  holds back by \(line)\n" }
                print("\(text)  defined at \(rule.origin)\n  actions, in order:")
                for (number, action) in actions.enumerated() { print("    \(number + 1). \(action)") }
                if actions.isEmpty { print("    none: the rule only counts") }
            }
        }
    }
}

private struct Explanation: Encodable {
    let id: String
    let file: String
    let sql: String
    let explanation: String
    let actions: [String]
}

extension RuleActionUse {
    /// The action's kind and name: `republish hot~1`.
    fileprivate var summary: String {
        let condition = when.map { "  when \($0.text)" } ?? ""
        return switch kind {
        case .action(let id): id + condition
        case .republish(let arguments): "republish to \(arguments.topic)  (\(name))\(condition)"
        case .console: "console  (\(name))\(condition)"
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
