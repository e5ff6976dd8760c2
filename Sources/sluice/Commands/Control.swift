import ArgumentParser
import ConfigSchema
import Foundation
import Management

/// `sluice ctl`: asks the running node of a configuration file.
struct Control: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ctl", abstract: "Administrate a running node.",
        discussion: "Exit codes: 0 done, 1 failed, 2 usage, 3 node not reachable, 4 not found, 5 conflict.\n\n" + usage)

    @Option(name: .shortAndLong, help: "The node's configuration file.")
    var config: String?

    @Flag(help: "Print JSON.")
    var json = false

    @Flag(help: "With users add and users passwd: keep a verifier for SCRAM.")
    var scram = false

    @Flag(help: "With cluster join: give up what only this node has.")
    var discard = false

    @Flag(help: "With cluster force-leave: also a node that is alive.")
    var live = false

    @Flag(help: "With cluster recover: show what the stopped node's log knows.")
    var inspect = false

    @Option(help: "With cluster recover: the survivors, with commas between them.")
    var keep: String?

    @Argument(help: "The command and its arguments.")
    var words: [String] = []

    static var usage: String {
        let width = AdminCommands.all.map { $0.name.count + $0.arguments.count + 1 }.max() ?? 0
        return AdminCommands.all.map { command in
            let left = "\(command.name) \(command.arguments)"
            return left + String(repeating: " ", count: max(0, width - left.count)) + " # \(command.summary)"
        }.joined(separator: "\n")
    }

    func run() throws {
        guard !words.isEmpty, words != ["help"] else {
            print(Self.usage)
            if words.isEmpty { throw ExitCode(2) }
            return
        }
        let configuration = try Configuration.load(config)
        do throws(AdminError) {
            let (command, words) = try split()
            if command == "cluster recover" { return try Recovery(configuration, json: json).run(inspect, keep) }
            let arguments = try prepared(words, for: command)
            let answer = try AdminClient.run(
                path: AdminServer.path(dataDirectory: configuration.node.dataDirectory), command: command,
                arguments: arguments, seconds: command.hasPrefix("cluster ") ? 90 : 10)
            if json {
                FileHandle.standardOutput.write(answer.data.encoded(pretty: true) + Data("\n".utf8))
            } else {
                print(answer.text, terminator: "")
            }
        } catch {
            if json {
                let data = JSONValue.object([
                    "error": .string(error.description), "code": .integer(Int(error.exitCode)),
                ])
                FileHandle.standardOutput.write(data.encoded(pretty: true) + Data("\n".utf8))
            }
            Problems.print(line: error.description)
            throw ExitCode(error.exitCode)
        }
    }

    /// Secrets come from standard input, so that no list of processes shows them; the node's folder is not ours.
    private func prepared(_ arguments: [String], for command: String) throws(AdminError) -> [String] {
        var arguments = arguments
        if ["users add", "users passwd"].contains(command), arguments.count > 1, arguments[1] == "-" {
            guard let line = readLine(strippingNewline: true), !line.isEmpty else {
                throw .usage("there is no password on standard input")
            }
            arguments[1] = line
        }
        if command == "users import", let path = arguments.first {
            arguments[0] = URL(fileURLWithPath: path).path
        }
        for (isSet, option) in [(scram, "--scram"), (discard, "--discard"), (live, "--live")] where isSet {
            arguments.append(option)
        }
        return arguments
    }

    /// The longest command that the words begin with, and the rest.
    private func split() throws(AdminError) -> (String, [String]) {
        for count in [2, 1] where words.count >= count {
            let name = words.prefix(count).joined(separator: " ")
            if AdminCommands.all.contains(where: { $0.name == name }) { return (name, Array(words.dropFirst(count))) }
        }
        let name = words.prefix(2).joined(separator: " ")
        let hint = didYouMean(name, AdminCommands.all.map(\.name)).map { "; did you mean \"\($0)\"?" } ?? ""
        throw .usage("there is no command \"\(name)\"\(hint)\n\(Self.usage)")
    }
}
