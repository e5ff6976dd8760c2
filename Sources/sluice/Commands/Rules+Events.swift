import ArgumentParser
import Foundation
import RuleEngine

extension Rules {
    /// `sluice rules events`: what FROM can name besides topics.
    struct Events: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the events that rules can listen to, with their columns.")

        @Flag(help: "Print JSON.") var json = false

        func run() throws {
            if json {
                print(try encode(EventDeclaration.all.map { EventRecord($0) }))
                return
            }
            for declaration in EventDeclaration.all {
                print(declaration.event.rawValue)
                print(
                    "  FROM: \(declaration.topics.isEmpty ? "any topic filter" : declaration.topics.joined(separator: ", "))"
                )
                print("  columns: \(declaration.columnNames.joined(separator: ", "))")
            }
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
