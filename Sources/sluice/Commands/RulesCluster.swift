import ArgumentParser
import ConfigSchema
import Foundation
import Management
import RuleFiles

/// The node that is asked, and how its answer is shown.
struct NodeArguments: ParsableArguments {
    @Option(name: .shortAndLong, help: "The configuration file of the node that is asked.")
    var config: String?

    @Flag(help: "Print JSON.")
    var json = false

    /// Asks, prints, and ends with the code that `sluice ctl` would end with.
    func ask(_ command: String, _ arguments: [String] = []) throws {
        let path = AdminServer.path(dataDirectory: try Configuration.load(config).node.dataDirectory)
        do throws(AdminError) {
            let answer = try AdminClient.run(path: path, command: command, arguments: arguments, seconds: 60)
            if json {
                FileHandle.standardOutput.write(answer.data.encoded(pretty: true) + Data("\n".utf8))
            } else {
                print(answer.text, terminator: "")
            }
        } catch {
            Problems.print(line: error.description)
            throw ExitCode(error.exitCode)
        }
    }
}

extension Rules {
    private static let codes = "Exit codes: 0 committed, 1 refused, 3 node not reachable, 5 conflict."

    /// Names and contents, as the admin socket takes them.
    private static func contents(_ files: RuleFileArguments) throws -> [String] {
        ["--"] + (try files.sources().flatMap { [$0.name, String(decoding: $0.bytes, as: UTF8.self)] })
    }

    struct Apply: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put rule files in force on all nodes of the cluster.", discussion: Rules.codes)

        @OptionGroup var files: RuleFileArguments
        @OptionGroup var node: NodeArguments
        @Flag(help: "Only say what would change.") var dryRun = false
        @Flag(help: "Remove what was applied before and is not in these files.") var prune = false
        @Flag(help: "Also objects that come from a node's own files.") var takeOver = false

        func run() throws {
            let options = [(dryRun, "--dry-run"), (prune, "--prune"), (takeOver, "--take-over")]
            try node.ask("rules apply", options.filter(\.0).map(\.1) + Rules.contents(files))
        }
    }

    struct Diff: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what applying rule files would change.", discussion: Rules.codes)

        @OptionGroup var files: RuleFileArguments
        @OptionGroup var node: NodeArguments

        func run() throws { try node.ask("rules apply", ["--dry-run"] + Rules.contents(files)) }
    }

    struct Export: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Print the rules of the cluster.")

        @OptionGroup var node: NodeArguments

        func run() throws { try node.ask("rules export") }
    }

    struct History: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the generations of the rules.")

        @OptionGroup var node: NodeArguments

        func run() throws { try node.ask("rules history") }
    }

    struct Rollback: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Go back to an earlier generation of the rules.", discussion: Rules.codes)

        @Argument(help: "The generation's number; see rules history.") var generation: Int
        @OptionGroup var node: NodeArguments

        func run() throws { try node.ask("rules rollback", ["\(generation)"]) }
    }
}
