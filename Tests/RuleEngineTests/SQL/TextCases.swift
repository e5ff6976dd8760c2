import Foundation

/// Cases in a text file: an input, `----`, the output; cases are separated by `====`. With `UPDATE_CASES` set the file is
/// rewritten with what came out, and the difference is read by a person.
struct TextCases {
    struct Case {
        let input: String
        let output: String
    }

    let file: URL
    let cases: [Case]

    /// - Parameter name: of a file below `Tests/Cases`.
    init(_ name: String) throws {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        file = tests.appendingPathComponent("Cases").appendingPathComponent(name)
        let text = try String(contentsOf: file, encoding: .utf8)
        cases = text.components(separatedBy: "\n====\n").map { block in
            let parts = block.components(separatedBy: "\n----\n")
            return Case(input: parts[0], output: parts.count > 1 ? parts[1].trimmed : "")
        }
    }

    /// - Returns: the cases whose output differs, with what came out; none after an update.
    func run(_ transform: (String) -> String) throws -> [(input: String, expected: String, actual: String)] {
        let actual = cases.map { transform($0.input).trimmed }
        if ProcessInfo.processInfo.environment["UPDATE_CASES"] != nil {
            let text = zip(cases, actual).map { "\($0.input)\n----\n\($1)" }.joined(separator: "\n====\n")
            try (text + "\n").write(to: file, atomically: true, encoding: .utf8)
            return []
        }
        return zip(cases, actual).compactMap { $0.output == $1 ? nil : ($0.input, $0.output, $1) }
    }
}

extension String {
    fileprivate var trimmed: String {
        String(reversed().drop { $0 == "\n" }.reversed())
    }
}
