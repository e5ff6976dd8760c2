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
            let shown = source[line - 1].unicodeScalars
            let number = String(line)
            let end = Self.position(of: span.upperBound, in: sql)
            let width = end.line == line ? max(1, end.column - column) : max(1, shown.count - column + 1)
            // Tabs stay tabs, so that the caret stands under its character.
            let indent = shown.prefix(column - 1).map { $0 == "\t" ? "\t" : " " }.joined()
            text += " \(number) | \(source[line - 1])\n"
            text += String(repeating: " ", count: number.count + 1) + " | "
            text += indent + String(repeating: "^", count: width) + "\n"
        }
        if let hint { text += "  hint: \(hint)\n" }
        return text
    }
}
