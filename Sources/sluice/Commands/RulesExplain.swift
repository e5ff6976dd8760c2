import ArgumentParser
import ConfigSchema
import Foundation
import RuleFiles

extension Rules {
    struct Explain: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what a rule or a statement was compiled to, and what it costs.",
            discussion: """
                The cost is measured on a sample: the event of --sample, of --topic and --payload, or the first input of \
                the rule's inline tests.
                Exit codes: 0 done, 1 problems, 4 there is no such rule.
                """)

        @Argument(help: "The rule's id; leave it out with --sql.") var id: String?
        @Option(name: .long, help: "Rule files and directories.") var from: [String] = ["rules"]
        @Option(help: "A statement, instead of a rule.") var sql: String?
        @Option(help: "A file with the event to measure with, written like the input of an inline test (YAML or JSON).")
        var sample: String?
        @Option(help: "The topic of the event to measure with.") var topic: String?
        @Option(help: "The payload of the event to measure with.") var payload: String?
        @Flag(help: "Print JSON.") var json = false

        func validate() throws {
            guard (id == nil) != (sql == nil) else { throw ValidationError("Name a rule, or give --sql.") }
            guard sample == nil || topic == nil && payload == nil else {
                throw ValidationError("--sample and --topic/--payload exclude each other.")
            }
        }

        func run() throws {
            let explanation = try explanation(givenSample())
            print(json ? try encode(explanation) : explanation.text, terminator: json ? "\n" : "")
        }

        private func explanation(_ sample: RuleSample?) throws -> RuleExplanation {
            guard let sql else {
                let (rule, loaded) = try find(id ?? "")
                return RuleExplanation.of(rule, loaded, sample: sample)
            }
            let (explanation, findings) = RuleExplanation.of(sql: sql, sample: sample)
            if !findings.isEmpty { Problems.print(line: findings) }
            guard let explanation else { throw ExitCode(1) }
            return explanation
        }

        // MARK: the rule

        private func find(_ id: String) throws -> (RuleDefinition, LoadedRules) {
            let (sources, problems) = RuleFileFinder.sources(from)
            Problems.print(problems)
            let loaded = RuleFileLoader.load(sources, RuleFileLoader.LoadOptions(environment: .process()))
            if let rule = loaded.definition.rule(id) { return (rule, loaded) }
            if let broken = loaded.broken["rule:\(id)"] {
                Problems.print(broken)
                throw ExitCode(1)
            }
            Problems.print(loaded.problems.filter { $0.severity == .error })
            let known = loaded.definition.rules.map(\.id)
            let hint =
                didYouMean(id, known).map { "; did you mean \"\($0)\"?" }
                ?? "; there are: \(known.joined(separator: ", "))"
            Problems.print(line: "there is no rule \"\(id)\"\(hint)")
            throw ExitCode(4)
        }

        // MARK: the sample

        private func givenSample() throws -> RuleSample? {
            if let sample {
                let (sources, problems) = RuleFileFinder.sources([sample])
                Problems.print(problems)
                guard let source = sources.first else { throw ExitCode(1) }
                return try read(source, "the event in \(sample)")
            }
            guard topic != nil || payload != nil else { return nil }
            var columns: [String: String] = [:]
            columns["topic"] = topic
            columns["payload"] = payload
            return try read(
                SourceFile(name: "command line", text: try encode(columns)), "the event of the command line")
        }

        private func read(_ source: SourceFile, _ origin: String) throws -> RuleSample {
            let (sample, problems) = RuleSample.read(source, origin: origin)
            Problems.print(problems)
            guard let sample else { throw ExitCode(1) }
            return sample
        }
    }
}
