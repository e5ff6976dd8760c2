/// One finding about a statement: a problem that keeps the rule from being created, or a warning.
///
/// The span is a range of bytes in the UTF-8 text of the statement as it was given.
package struct Diagnostic: Sendable, Equatable {
    package enum Severity: String, Sendable {
        case error
        case warning
    }

    /// The number by which documentation and tests name a kind of finding. Errors of the text are below 100, errors of
    /// its meaning below 200, warnings from 200.
    package enum Code: String, Sendable, CaseIterable {
        case unexpectedToken = "SQL001"
        case unknownCharacter = "SQL002"
        case unterminated = "SQL003"
        case badText = "SQL004"
        case tooDeep = "SQL005"
        case misplacedForm = "SQL006"
        case reservedWord = "SQL007"
        case badNumber = "SQL008"
        case foreignSyntax = "SQL009"
        case typographicCharacter = "SQL010"
        case foreignClause = "SQL011"
        case clauseOrder = "SQL012"
        case unclosedBracket = "SQL013"
        case unknownFunction = "SQL101"
        case wrongArity = "SQL102"
        case unknownEvent = "SQL103"
        case bridgeTopic = "SQL104"
        case foreachStar = "SQL105"
        case foreachAlias = "SQL106"
        case literalCondition = "SQL107"
        case unknownColumn = "SQL201"
        case inequalityOnMissing = "SQL202"
        case everyMessage = "SQL203"
        case alwaysRaises = "SQL204"
        case neverMatches = "SQL205"
        case commentAtEnd = "SQL206"
        case hiddenColumn = "SQL207"
        case aliasLikeColumn = "SQL208"
        case textLikeColumn = "SQL209"
        case wildcardEquality = "SQL210"
        case indexZero = "SQL211"
        case eventLikeTopic = "SQL212"
        case dashInName = "SQL213"
    }

    package let code: Code
    package let severity: Severity
    package let span: Range<Int>
    package let message: String
    /// What to write instead, or why; one sentence.
    package let hint: String?

    package init(_ code: Code, _ span: Range<Int>, _ message: String, hint: String? = nil) {
        self.code = code
        self.severity = code.rawValue >= "SQL200" ? .warning : .error
        self.span = span
        self.message = message
        self.hint = hint
    }
}

extension Diagnostic {
    /// Where a byte offset lies: both from 1, the column counted in characters (Unicode scalars).
    package static func position(of offset: Int, in sql: String) -> (line: Int, column: Int) {
        var line = 1
        var column = 1
        var index = 0
        for scalar in sql.unicodeScalars {
            guard index < offset else { break }
            index += UTF8.width(scalar)
            if scalar == "\n" {
                line += 1
                column = 1
            } else {
                column += 1
            }
        }
        return (line, column)
    }

    /// The finding as a person reads it: message, the source line with a caret under the span, and the hint.
    package func rendered(in sql: String) -> String {
        let (line, column) = Self.position(of: span.lowerBound, in: sql)
        let source = sql.split(separator: "\n", omittingEmptySubsequences: false)
        var text = "\(severity.rawValue)[\(code.rawValue)] \(line):\(column): \(message)\n"
        if line <= source.count {
            let end = Self.position(of: span.upperBound, in: sql)
            let all = Array(source[line - 1].unicodeScalars)
            let last = end.line == line ? end.column : all.count + 1
            let (shown, shift) = Self.window(all, column)
            let before = shown.prefix(max(0, column - 1 - shift)).map { Self.blank($0) }.joined()
            let marked = shown.dropFirst(max(0, column - 1 - shift)).prefix(max(1, last - column))
            let width = max(1, marked.reduce(0) { $0 + (Self.isWide($1) ? 2 : 1) })
            let number = String(line)
            text += " \(number) | \(String(String.UnicodeScalarView(shown)))\n"
            text += String(repeating: " ", count: number.count + 1) + " | "
            text += before + String(repeating: "^", count: width) + "\n"
        }
        if let hint { text += "  hint: \(hint)\n" }
        return text
    }

    /// Of a long line what is around the column, and how many characters the columns move to the left.
    private static func window(_ line: [Unicode.Scalar], _ column: Int) -> ([Unicode.Scalar], Int) {
        let width = 160
        guard line.count > width else { return (line, 0) }
        let start = max(0, min(column - 1, line.count) - width / 3)
        let end = min(line.count, start + width)
        let head: [Unicode.Scalar] = start > 0 ? ["…"] : []
        let tail: [Unicode.Scalar] = end < line.count ? ["…"] : []
        return (head + line[start..<end] + tail, start - head.count)
    }

    /// Takes the room of the character: tabs stay tabs, so that the caret stands under its character.
    private static func blank(_ scalar: Unicode.Scalar) -> String {
        scalar == "\t" ? "\t" : isWide(scalar) ? "  " : " "
    }

    /// Whether a terminal gives it two columns. [UAX #11]
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.value >= 0x1100 else { return false }
        let wide: [ClosedRange<UInt32>] = [
            0x1100...0x115F, 0x2E80...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60,
            0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
        ]
        return wide.contains { $0.contains(scalar.value) }
    }
}
