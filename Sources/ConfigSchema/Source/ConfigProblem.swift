/// Something in a text of the operator that must or should be changed. Loaders collect all of them and throw none.
package struct ConfigProblem: Sendable {
    package enum Severity: String, Sendable, Comparable {
        case info, warning, error

        package static func < (a: Severity, b: Severity) -> Bool { a.rank < b.rank }

        private var rank: Int {
            switch self {
            case .info: 0
            case .warning: 1
            case .error: 2
            }
        }
    }

    package var severity: Severity
    package var code: ProblemCode
    /// A sentence's beginning without a full stop; holds no secret.
    package var message: String
    /// What to do about it, such as `did you mean "upper"?`.
    package var hint: String?
    package var source: SourceFile
    package var position: SourcePosition
    /// Unicode scalars to underline, at least 1.
    package var length: Int
    /// False where the line holds a secret: it is not printed then.
    package var showsSource: Bool

    package init(
        _ code: ProblemCode, _ message: String, severity: Severity = .error, hint: String? = nil,
        in source: SourceFile, at position: SourcePosition, length: Int = 1, showsSource: Bool = true
    ) {
        self.severity = severity
        self.code = code
        self.message = message
        self.hint = hint
        self.source = source
        self.position = position
        self.length = max(length, 1)
        self.showsSource = showsSource
    }

    package var file: String { source.name }
    package var line: Int { position.line }
    package var column: Int { position.column }

    /// `file:line:column: error CODE: message; hint`, without the source line.
    package var headline: String {
        let tail = hint.map { "; \($0)" } ?? ""
        return "\(file):\(line):\(column): \(severity.rawValue) \(code): \(message)\(tail)"
    }
}

extension Sequence where Element == ConfigProblem {
    package var hasErrors: Bool { contains { $0.severity == .error } }

    /// By file in order of first mention, then by place.
    package func sortedByPlace() -> [ConfigProblem] {
        var order: [String: Int] = [:]
        for problem in self where order[problem.file] == nil { order[problem.file] = order.count }
        return sorted { a, b in
            let files = (order[a.file] ?? 0, order[b.file] ?? 0)
            return files.0 != files.1 ? files.0 < files.1 : a.position < b.position
        }
    }
}
