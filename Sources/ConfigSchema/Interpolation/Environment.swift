import Glibc

/// What load-time references and overrides read: a value, so that tests depend on nothing.
package struct Environment: Sendable {
    package var variables: [String: String]
    /// The bytes of a file, nil when it cannot be read.
    package var readFile: @Sendable (String) -> [UInt8]?

    package init(variables: [String: String] = [:], readFile: @escaping @Sendable (String) -> [UInt8]? = { _ in nil }) {
        self.variables = variables
        self.readFile = readFile
    }

    /// The process's variables and the machine's files.
    package static func process() -> Environment {
        var variables: [String: String] = [:]
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if let equals = text.firstIndex(of: "=") {
                variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return Environment(variables: variables) { FileReading.bytes(ofFile: $0) }
    }
}

/// Whole files without Foundation.
package enum FileReading {
    /// Nil when the file cannot be read, is a directory, or has more than `limit` bytes.
    package static func bytes(ofFile path: String, limit: Int = 32 * 1024 * 1024) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var result: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0, result.count + count <= limit else { return nil }
            if count == 0 { return result }
            result += chunk[..<count]
        }
    }
}
