import ArgumentParser
import Foundation
import RuleEngine

extension Rules {
    /// `sluice rules events`: what FROM can name besides topics.
    struct Events: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the events that rules can listen to, with their columns.")

        @Argument(help: "An event, in any spelling, or a filter such as client/+; without it, all.") var name: String?
        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            let shown = try declarations()
            if json {
                print(try encode(shown.map { EventRecord($0) }))
                return
            }
            for declaration in shown {
                print(declaration.event.rawValue)
                print(
                    "  FROM: \(declaration.topics.isEmpty ? "any topic filter" : declaration.topics.joined(separator: ", "))"
                )
                print("  columns: \(declaration.columnNames.joined(separator: ", "))")
            }
        }

        private func declarations() throws -> [EventDeclaration] {
            guard let name else { return EventDeclaration.all }
            let found = RuleTopic.events(meantBy: name).map(\.declaration)
            guard !found.isEmpty else {
                let known = EventDeclaration.all.map(\.event.rawValue).joined(separator: ", ")
                throw Failure("there is no event \"\(name)\"; there are: \(known)")
            }
            return found
        }
    }
}

private struct EventRecord: Encodable {
    struct Column: Encodable {
        let name: String
        let kind: String
        let optional: Bool
        let description: String
    }

    let event: String
    let topics: [String]
    let description: String
    let columns: [Column]

    init(_ declaration: EventDeclaration) {
        event = declaration.event.rawValue
        topics = declaration.topics
        description = declaration.doc
        columns = declaration.columns.map {
            Column(name: $0.name, kind: $0.kind.rawValue, optional: $0.isOptional, description: $0.doc)
        }
    }
}
