package import RuleEngine

/// When what was written is forced to the disk.
package enum FileSync: Sendable, Equatable {
    case never
    case interval(Duration)
    /// Before a line counts as delivered.
    case always
}

/// What the lines of a file are.
package enum FileFormat: String, Sendable, CaseIterable {
    case jsonl
    /// The rendered template as it is, a line feed behind it; line feeds inside are the template's affair.
    case raw
}

package struct FileSettings: Sendable {
    /// Path with `%Y %m %d %H %M` of the event's time and `${field}` parts. A relative one is below ``baseDirectory``.
    package var path: String
    package var baseDirectory: String
    package var format = FileFormat.jsonl
    /// A line; nil for the row as JSON. In a JSONL file a rendered line feed is refused.
    package var template: String?
    package var extensions = true
    package var missing = MissingPolicy.compat
    /// A file is closed and renamed before it would grow beyond; nil for no limit.
    package var rotateSize: Int?
    /// A file is renamed at the multiples of this time of the clock.
    package var rotateEvery: Duration?
    /// Whether dates are the machine's local time; UTC otherwise.
    package var usesLocalTime = false
    /// How many renamed files of each path are kept; 0 for all.
    package var maxFiles = 0
    package var sync = FileSync.interval(.seconds(1))
    package var maxOpenFiles = 64

    package init(path: String, baseDirectory: String) {
        self.path = path
        self.baseDirectory = baseDirectory
    }
}
