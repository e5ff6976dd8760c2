/// Collects problems while fields are read. A value passed along, no shared state.
package struct ReadContext {
    package var problems: [ConfigProblem] = []
    /// The keys from the document's root to what is being read.
    package private(set) var path: [String] = []

    package init(path: [String] = []) { self.path = path }

    package var pathText: String { path.isEmpty ? "the file" : path.joined(separator: ".") }

    /// Runs `body` one key deeper.
    package mutating func under<Result>(_ key: String, _ body: (inout ReadContext) -> Result) -> Result {
        path.append(key)
        defer { path.removeLast() }
        return body(&self)
    }

    package mutating func report(_ problem: ConfigProblem) { problems.append(problem) }

    package var errorCount: Int { problems.reduce(0) { $0 + ($1.severity == .error ? 1 : 0) } }
}
