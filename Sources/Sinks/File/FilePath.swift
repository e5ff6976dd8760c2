internal import Buffers
internal import Glibc
internal import RuleEngine

/// Where a file sink writes: a directory that the operator wrote out, and below it a pattern.
///
/// What values put into the pattern cannot lead out of the directory: they are percent-encoded but for letters, digits,
/// `-`, `_`, `~` and inner dots, and a rendered path with an empty, `.` or `..` component, a NUL or a component of more
/// than 255 bytes is refused.
struct FilePath: Sendable {
    /// Absolute, without a slash at its end (empty for the root).
    let directory: String
    /// Below ``directory``; nil when ``constant`` is all.
    let pattern: Template?
    /// The only path below the directory.
    let constant: String?
    let placeholders: [Template.Placeholder]

    private static let dateFields = Set("YmdHMSjLsz")

    /// - Throws: what is wrong with the path, in words.
    init(_ settings: FileSettings) throws(SinkFailure) {
        guard !settings.path.isEmpty, !settings.path.hasSuffix("/"), !settings.path.utf8.contains(0) else {
            throw SinkFailure("the path must name a file")
        }
        let whole: String
        if settings.path.hasPrefix("/") {
            whole = settings.path
        } else {
            guard settings.baseDirectory.hasPrefix("/") else {
                throw SinkFailure("the base directory \(settings.baseDirectory) is not absolute")
            }
            guard !Self.components(settings.path).contains("..") else {
                throw SinkFailure("a relative path must not contain \"..\"")
            }
            whole = settings.baseDirectory + "/" + settings.path
        }
        let components = Self.components(whole).filter { !$0.isEmpty && $0 != "." }
        let fixed = components.prefix { !$0.contains("${") && !$0.contains("%") }.count
        let split = min(fixed, components.count - 1)
        guard split >= 0 else { throw SinkFailure("the path must name a file") }
        directory = components[..<split].reduce("") { $0 + "/" + $1 }
        let below = components[split...].joined(separator: "/")
        let template = Template.compile(
            Self.withDatePlaceholders(below), extensions: true, missing: settings.missing)
        placeholders = template.placeholders
        if let bytes = template.constant {
            guard bytes.withUnsafeBytes({ Self.isInside($0) }) else {
                throw SinkFailure("the path is no valid file name")
            }
            constant = String(decoding: bytes, as: UTF8.self)
            pattern = nil
        } else {
            constant = nil
            pattern = template
        }
    }

    /// Appends the path below the directory.
    func render(_ row: Value, into output: OutputBuffer, _ context: TemplateContext) throws(EvaluationError) {
        guard let pattern else { return }
        let mark = output.count
        try pattern.render(row: row, into: output, context: context, escaping: .fileName)
        guard Self.isInside(Bytes(rebasing: output.bytes[mark...])) else {
            throw .badArgument(
                function: "file", reason: "the rendered path is no valid path below the sink's directory")
        }
    }

    static func components(_ path: String) -> [String] {
        path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    }

    /// Whether every component is an ordinary name.
    static func isInside(_ path: Bytes) -> Bool {
        guard path.count > 0, path.count < 4096 else { return false }
        var start = 0
        for index in 0...path.count {
            guard index == path.count || path[index] == UInt8(ascii: "/") else {
                if path[index] == 0 { return false }
                continue
            }
            let length = index - start
            guard length > 0, length <= 255 else { return false }
            let dot = UInt8(ascii: ".")
            if path[start] == dot, length == 1 || (length == 2 && path[start + 1] == dot) { return false }
            start = index + 1
        }
        return true
    }

    /// `%Y` outside of placeholders becomes one, so that a value which holds a `%` is no date.
    private static func withDatePlaceholders(_ pattern: String) -> String {
        var result = ""
        var rest = pattern[...]
        while let character = rest.first {
            if rest.hasPrefix("${"), let end = rest.firstIndex(of: "}") {
                result += rest[...end]
                rest = rest[rest.index(after: end)...]
                continue
            }
            rest.removeFirst()
            guard character == "%", let field = rest.first else {
                result.append(character)
                continue
            }
            if field == "%" {
                result.append("%")
                rest.removeFirst()
            } else if dateFields.contains(field) {
                result += "${date:%\(field)}"
                rest.removeFirst()
            } else {
                result.append("%")
            }
        }
        return result
    }
}
