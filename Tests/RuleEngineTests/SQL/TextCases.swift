import Foundation

/// Cases in text files: an input, `----`, the output; one file for each case. With `UPDATE_CASES` set the files are
/// rewritten with what came out, and the difference is read by a person.
struct TextCases {
    struct Case {
        let file: URL
        let input: String
        let output: String

        var name: String { file.deletingPathExtension().lastPathComponent }
    }

    let cases: [Case]

    /// - Parameter folder: below `Tests/Cases`; its `.case` files in name order.
    init(_ folder: String) throws {
        let directory = repositoryRoot.appendingPathComponent("Tests/Cases").appendingPathComponent(folder)
        cases = try FileManager.default.contentsOfDirectory(at: directory, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "case" }
            .sorted { $0.lastPathComponent < $1.lastPathComponent }
            .map { file in
                let parts = try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n----\n")
                return Case(file: file, input: parts[0], output: parts.count > 1 ? parts[1].trimmed : "")
            }
    }

    /// - Returns: the cases whose output differs, with what came out; none after an update.
    func run(_ transform: (String) -> String) throws -> [(case: Case, actual: String)] {
        var differing: [(case: Case, actual: String)] = []
        for one in cases {
            let actual = transform(one.input).trimmed
            guard actual != one.output else { continue }
            if isUpdating {
                try "\(one.input)\n----\n\(actual)\n".write(to: one.file, atomically: true, encoding: .utf8)
            } else {
                differing.append((one, actual))
            }
        }
        return differing
    }
}

/// Whether expected outputs are rewritten.
var isUpdating: Bool { ProcessInfo.processInfo.environment["UPDATE_CASES"] != nil }

/// The folder with `Package.swift`.
let repositoryRoot = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

extension String {
    fileprivate var trimmed: String {
        String(reversed().drop { $0 == "\n" }.reversed())
    }
}
