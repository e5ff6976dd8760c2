/// The reference page of the functions, made of their entries, and what the command line shows of one.
package enum FunctionReference {
    /// The whole page, in Markdown.
    package static func markdown() -> String {
        var page = """
            # Rule SQL: functions

            This page is generated: `sluice rules functions --markdown > docs/reference/functions.md`. Every example runs as a
            test. `sluice rules functions NAME` shows one function, `--json` gives all of it to programs.

            An argument in brackets may be left out; three dots take any number. An argument of another type than the table says
            makes the call raise: the rule counts `failed.exception` and nothing is sent. Types are not converted unless a
            function says so. The names are case-sensitive.

            The functions of EMQX's schema registry are left out; using one is an error that says what to do instead:
            \(LeftOutFunctions.names.map { "`\($0)`" }.joined(separator: ", ")).

            """
        for group in FunctionEntry.Group.allCases {
            let entries = FunctionTable.all.filter { $0.group == group }
            page += "\n## \(group.title)\n"
            for entry in entries { page += "\n" + section(entry) }
        }
        return page
    }

    /// `lower(s) → string`.
    package static func signature(_ entry: FunctionEntry) -> String {
        let parameters = entry.parameters.map { parameter in
            let name = "\(parameter.name): \(parameter.kind.rawValue)"
            return parameter.isRest ? "\(name)…" : parameter.isOptional ? "[\(name)]" : name
        }
        return "\(entry.name)(\(parameters.joined(separator: ", "))) → \(entry.returns.rawValue)"
    }

    /// `lower('A')  →  'a'`, or that it raises.
    package static func line(_ example: FunctionEntry.Example) -> String {
        example.result.map { "\(example.expression)  →  \($0)" } ?? "\(example.expression)  raises"
    }

    /// The known name that is nearest to one that there is not, or what to do instead of a function that is left out.
    package static func hint(forUnknown name: String) -> String? {
        LeftOutFunctions.advice(for: name) ?? Suggestion.hint(for: name, among: FunctionTable.all.map(\.name))
    }

    private static func section(_ entry: FunctionEntry) -> String {
        """
        ### \(entry.name)

        `\(signature(entry))`

        \(entry.doc)

        ```
        \(entry.examples.map(line).joined(separator: "\n"))
        ```

        """
    }
}

extension FunctionEntry.Group {
    /// As a heading.
    package var title: String {
        switch self {
        case .message: "Message"
        case .null: "Null and types"
        case .math: "Mathematics"
        case .bits: "Bits and bytes"
        case .conversion: "Conversion"
        case .string: "Strings"
        case .array: "Arrays"
        case .map: "Objects"
        case .codec: "Encoding"
        case .hash: "Digests"
        case .compression: "Compression"
        case .date: "Date and time"
        case .state: "State, chance and environment"
        case .jq: "jq"
        }
    }
}
