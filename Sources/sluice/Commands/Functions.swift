import ArgumentParser
import Foundation
import RuleEngine

extension Rules {
    struct Functions: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the functions of the rule language.",
            discussion: "Exit codes: 0 shown, 1 there is no function or group of that name.")

        @Argument(help: "One function; without it, all.") var name: String?
        @Option(help: "Only a group: \(Self.groupNames).") var group: String?
        @Flag(help: "Print JSON.") var json = false
        @Flag(help: "Print the reference page, docs/reference/functions.md.") var markdown = false

        private static let groupNames = FunctionEntry.Group.allCases.map(\.rawValue).joined(separator: ", ")

        func run() throws {
            if markdown { return print(FunctionReference.markdown(), terminator: "") }
            let entries = try selected()
            if json {
                print(try encode(entries.map { FunctionRecord($0) }))
            } else if name != nil {
                for entry in entries { print(Self.details(entry)) }
            } else {
                print(Self.overview(entries))
            }
        }

        private func selected() throws -> [FunctionEntry] {
            var entries = FunctionTable.all
            if let name {
                guard let entry = FunctionTable.entry(named: name) else {
                    let hint = FunctionReference.hint(forUnknown: name).map { "; \($0)" } ?? ""
                    Problems.print(line: "there is no function \"\(name)\"\(hint)")
                    throw ExitCode(1)
                }
                entries = [entry]
            }
            if let group {
                guard let wanted = FunctionEntry.Group(rawValue: group) else {
                    Problems.print(line: "there is no group \"\(group)\"; there are: \(Self.groupNames)")
                    throw ExitCode(1)
                }
                entries = entries.filter { $0.group == wanted }
                guard !entries.isEmpty else {
                    Problems.print(line: "\"\(name ?? "")\" is not in the group \"\(group)\"")
                    throw ExitCode(1)
                }
            }
            return entries
        }

        private static func details(_ entry: FunctionEntry) -> String {
            let examples = entry.examples.map { "    " + FunctionReference.line($0) }
            return ([FunctionReference.signature(entry), "", "  " + entry.doc, ""] + examples).joined(separator: "\n")
        }

        private static func overview(_ entries: [FunctionEntry]) -> String {
            var lines: [String] = []
            for group in FunctionEntry.Group.allCases {
                let members = entries.filter { $0.group == group }
                if members.isEmpty { continue }
                if !lines.isEmpty { lines.append("") }
                lines.append("\(group.title) (\(group.rawValue))")
                lines += members.map { "  " + FunctionReference.signature($0) }
            }
            return lines.joined(separator: "\n")
        }
    }
}

private struct FunctionRecord: Encodable {
    struct Parameter: Encodable {
        let name: String
        let type: String
        let optional: Bool
        let rest: Bool
    }

    struct Example: Encodable {
        let expression: String
        /// Absent when the expression raises.
        let result: String?
        let raises: Bool
    }

    let name: String
    let group: String
    let signature: String
    let parameters: [Parameter]
    let returns: String
    let doc: String
    let examples: [Example]

    init(_ entry: FunctionEntry) {
        name = entry.name
        group = entry.group.rawValue
        signature = FunctionReference.signature(entry)
        parameters = entry.parameters.map {
            Parameter(name: $0.name, type: $0.kind.rawValue, optional: $0.isOptional, rest: $0.isRest)
        }
        returns = entry.returns.rawValue
        doc = entry.doc
        examples = entry.examples.map {
            Example(expression: $0.expression, result: $0.result, raises: $0.result == nil)
        }
    }
}
