/// Prints problems for a terminal: the headline, the source line, a caret under the place.
///
/// ```
/// rules/alert.yaml:14:17: error SQL003: unknown function "uper"; did you mean "upper"?
///    14 |       SELECT uper(payload.name) AS name
///       |              ^~~~
/// ```
package struct ProblemRenderer: Sendable {
    /// Whether ANSI colours are wanted; the caller knows whether a terminal reads.
    package var colours: Bool
    /// Longer lines are shown as a window around the caret.
    package var maximumLineLength = 160

    package init(colours: Bool = false) { self.colours = colours }

    package func render(_ problems: [ConfigProblem]) -> String {
        problems.map { render($0) + "\n" }.joined()
    }

    /// Without a final line break.
    package func render(_ problem: ConfigProblem) -> String {
        var lines = [headline(problem)]
        if problem.showsSource, !problem.source.bytes.isEmpty { lines += excerpt(problem) }
        return lines.joined(separator: "\n")
    }

    private func headline(_ problem: ConfigProblem) -> String {
        guard colours else { return Self.printable(problem.headline) }
        let colour = problem.severity == .error ? "31" : problem.severity == .warning ? "33" : "36"
        let place = "\(problem.file):\(problem.line):\(problem.column):"
        let tail = problem.hint.map { "; \($0)" } ?? ""
        return "\u{1B}[1m\(Self.printable(place))\u{1B}[0m "
            + "\u{1B}[1;\(colour)m\(problem.severity.rawValue)\u{1B}[0m "
            + Self.printable("\(problem.code): \(problem.message)\(tail)")
    }

    private func excerpt(_ problem: ConfigProblem) -> [String] {
        let number = String(problem.line)
        let gutter = String(repeating: " ", count: max(5 - number.count, 0))
        let (line, column) = window(Array(problem.source.text(ofLine: problem.line).unicodeScalars), problem.column)
        let text = Self.printable(String(String.UnicodeScalarView(line)))
        let padding = line.prefix(column - 1).map(Self.blank).joined()
        let marked = line.dropFirst(column - 1).prefix(problem.length)
        let width = marked.reduce(0) { $0 + ($1 == "\t" ? 1 : TerminalWidth.of($1)) }
        var caret = "^" + String(repeating: "~", count: max(width - 1, 0))
        if colours { caret = "\u{1B}[1;32m\(caret)\u{1B}[0m" }
        return ["\(gutter)\(number) | \(text)", "\(gutter)\(Self.spaces(number.count)) | \(padding)\(caret)"]
    }

    /// The part of a long line around the column, and the column in it.
    private func window(_ line: [Unicode.Scalar], _ column: Int) -> ([Unicode.Scalar], Int) {
        guard line.count > maximumLineLength else { return (line, column) }
        let start = max(0, min(column - 1, line.count) - maximumLineLength / 3)
        let end = min(line.count, start + maximumLineLength)
        let head: [Unicode.Scalar] = start > 0 ? ["…"] : []
        let tail: [Unicode.Scalar] = end < line.count ? ["…"] : []
        return (head + line[start..<end] + tail, column - start + head.count)
    }

    /// What takes the same room as the scalar without showing: tabs stay tabs.
    private static func blank(_ scalar: Unicode.Scalar) -> String {
        scalar == "\t" ? "\t" : spaces(TerminalWidth.of(scalar))
    }

    private static func spaces(_ count: Int) -> String { String(repeating: " ", count: count) }

    /// Control characters but tabs become U+FFFD, so that a file cannot drive the terminal.
    private static func printable(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            let isControl = (scalar.value < 0x20 && scalar != "\t") || (0x7F...0x9F).contains(scalar.value)
            result.append(isControl ? "\u{FFFD}" : scalar)
        }
        return String(result)
    }
}

/// How many terminal columns a Unicode scalar takes: 0 (combining), 1, or 2 (East Asian wide and emoji).
package enum TerminalWidth {
    package static func of(_ scalar: Unicode.Scalar) -> Int {
        let value = scalar.value
        if value < 0x300 { return 1 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        return wide.contains { $0.contains(value) } ? 2 : 1
    }

    /// [UAX #11] the wide and full-width blocks.
    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
        0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
        0x1F300...0x1F64F, 0x1F680...0x1F6FF, 0x1F900...0x1F9FF, 0x20000...0x3FFFD,
    ]
}
