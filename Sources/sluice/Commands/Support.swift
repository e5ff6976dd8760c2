import ArgumentParser
import ConfigSchema
import Foundation

/// Ends the program with code 1 and one sentence that says what to do.
struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

enum Configuration {
    /// The configuration in that file, variables applied.
    /// - Throws: after all problems have been printed.
    static func load(_ file: String?) throws -> BrokerConfiguration {
        let loaded = BrokerConfiguration.load(file: file, environment: .process())
        Problems.print(loaded.problems)
        guard let configuration = loaded.configuration else { throw ExitCode(1) }
        return configuration
    }
}

/// Problems go to standard error, in colour on a terminal.
enum Problems {
    static func print(_ problems: [ConfigProblem]) {
        guard !problems.isEmpty else { return }
        print(line: ProblemRenderer(colours: Terminal.hasColours(2)).render(problems))
    }

    static func print(line: String) {
        FileHandle.standardError.write(Data((line.hasSuffix("\n") ? line : line + "\n").utf8))
    }
}

enum Terminal {
    /// Whether a person reads what is written to the descriptor, and wants it in colour.
    static func hasColours(_ descriptor: Int32) -> Bool {
        isatty(descriptor) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    }
}
