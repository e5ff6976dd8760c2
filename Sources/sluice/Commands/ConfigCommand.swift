import ArgumentParser
import ConfigSchema

/// What the configuration file may say.
struct Config: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look things up about the configuration file.", subcommands: [Reference.self])

    struct Reference: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show the keys of the configuration.",
            discussion: "Exit codes: 0 shown, 1 there is no key of that name.")

        @Argument(help: "A key or the beginning of some: mqtt, listeners.tcp; without it, all.") var key: String?
        @Flag(help: "Print the reference page, docs/reference/config.md.") var markdown = false

        func run() throws {
            if markdown { return print(ConfigReference.markdown(), terminator: "") }
            let rows = ConfigReference.sections.flatMap(\.rows).filter { row in
                key.map { row.path == $0 || row.path.hasPrefix($0 + ".") || row.path.hasPrefix($0 + "[") } ?? true
            }
            guard !rows.isEmpty else {
                Problems.print(line: "there is no key \"\(key ?? "")\"")
                throw ExitCode(1)
            }
            for row in rows {
                let shown = row.field.isRequired ? "required" : row.field.defaultText.map { "default \($0)" } ?? ""
                print(row.path)
                print("    \(row.field.expectation)\(shown.isEmpty ? "" : "; \(shown)")")
                if !row.field.doc.isEmpty { print("    \(row.field.doc)") }
                if let noEffect = row.field.noEffect { print("    no effect: \(noEffect)") }
            }
        }
    }
}
