/// Reads a statement: recursive descent over the clauses, precedence climbing in expressions.
///
/// A problem is recorded and the reader goes on at the next field or clause, so that all problems of a statement are
/// found at once. [EMQX rule-sql: grammar]
struct Parser {
    /// The most bytes of a statement.
    static let maximumLength = 64 * 1024
    /// The most levels of nesting, and the most steps of a path.
    static let maximumDepth = 64

    static let maximumOperators = 2048
    /// Each `*` after the first does what the one before did.
    static let maximumStars = 16

    var tokens: [Token]
    var index = 0
    var depth = 0
    var operators = 0
    var stars = 0
    var diagnostics: [Diagnostic]

    /// Thrown to the nearest point of recovery after the problem has been recorded.
    struct Recover: Error {}

    /// - Returns: the statement, if it could be read without an error, and what there is to say about it.
    static func parse(_ sql: String) -> (statement: Statement?, diagnostics: [Diagnostic]) {
        let text = Array(sql.utf8)
        guard text.count <= maximumLength else {
            let problem = "the statement has \(text.count) bytes, more than the \(maximumLength) allowed"
            return (nil, [Diagnostic(.badText, 0..<1, problem)])
        }
        guard text.contains(where: { $0 > 32 }) else {
            return (nil, [Diagnostic(.badText, 0..<0, "the statement is blank", hint: "SELECT … FROM \"topic\"")])
        }
        let (result, openComment) = parse(text, takesOpenComment: false)
        guard let openComment else { return result }
        if result.statement == nil {
            // Differs from EMQX: a comment may end with the statement where that is the only way to read it.
            let (second, _) = parse(text, takesOpenComment: true)
            if second.statement != nil { return second }
            return result
        }
        let problem = "`--` on the last line is read as two minus signs"
        let warning = Diagnostic(
            .commentAtEnd, openComment..<openComment + 2, problem, hint: "end the comment with a line break")
        return (result.statement, result.diagnostics + [warning])
    }

    private static func parse(
        _ text: [UInt8], takesOpenComment: Bool
    ) -> (result: (statement: Statement?, diagnostics: [Diagnostic]), openComment: Int?) {
        var lexer = Lexer(text, takesOpenComment: takesOpenComment)
        lexer.run()
        var parser = Parser(tokens: lexer.tokens, diagnostics: lexer.diagnostics)
        let statement = parser.parseStatement()
        let found = parser.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound }
        return ((found.contains { $0.severity == .error } ? nil : statement, found), lexer.openComment)
    }

    /// Reads a condition that stands alone, such as an action's `when`.
    static func parseCondition(_ text: String) -> (condition: Expression?, diagnostics: [Diagnostic]) {
        let bytes = Array(text.utf8)
        guard bytes.count <= maximumLength, bytes.contains(where: { $0 > 32 }) else {
            let problem = bytes.count > maximumLength ? "the condition is too long" : "the condition is blank"
            return (nil, [Diagnostic(.badText, 0..<min(1, bytes.count), problem)])
        }
        var lexer = Lexer(bytes, takesOpenComment: false)
        lexer.run()
        var parser = Parser(tokens: lexer.tokens, diagnostics: lexer.diagnostics)
        let condition = parser.readCondition(recoveringAt: [])
        if condition != nil, parser.current.kind != .end { parser.unexpectedAtEnd() }
        let found = parser.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound }
        return (found.contains { $0.severity == .error } ? nil : condition, found)
    }

    init(tokens: [Token], diagnostics: [Diagnostic]) {
        self.tokens = tokens
        self.diagnostics = diagnostics
    }

    // MARK: clauses

    mutating func parseStatement() -> Statement? {
        let start = current.span.lowerBound
        let body: Statement.Body
        if takeKeyword(.select) {
            body = .select(parseFields(after: "SELECT"))
            skip(to: [.from])
        } else if takeKeyword(.foreach) {
            body = parseForeach()
        } else {
            expected(["SELECT", "FOREACH"])
            skip(to: [.from])
            body = .select([])
        }
        var topics: [Topic] = []
        if takeKeyword(.from) {
            topics = parseTopics()
        } else if current.kind != .end || diagnostics.isEmpty {
            expected(["FROM"])
        }
        let condition = parseCondition(.where)
        if current.kind != .end { unexpectedAtEnd() }
        return Statement(body: body, topics: topics, condition: condition, span: start..<current.span.upperBound)
    }

    private mutating func parseForeach() -> Statement.Body {
        let fields = parseFields(after: "FOREACH")
        skip(to: [.do, .incase, .from])
        var each: [Field]?
        if takeKeyword(.do) {
            each = parseFields(after: "DO")
            skip(to: [.incase, .from])
        }
        let inCase = parseCondition(.incase)
        if case .keyword(.do) = current.kind {
            diagnostics.append(Diagnostic(.unexpectedToken, current.span, "DO stands before INCASE"))
        }
        skip(to: [.from])
        return .foreach(fields, do: each, inCase: inCase)
    }

    /// The clause of that keyword, if it is there.
    private mutating func parseCondition(_ keyword: Keyword) -> Expression? {
        guard takeKeyword(keyword) else { return nil }
        return readCondition(recoveringAt: keyword == .where ? [] : [.from])
    }

    private mutating func readCondition(recoveringAt keywords: [Keyword]) -> Expression? {
        do {
            let condition = try parseExpression()
            if condition.form == .choice {
                misplaced(condition, "CASE cannot be a condition")
            }
            return condition
        } catch {
            skip(to: keywords)
            return nil
        }
    }

    private mutating func parseFields(after clause: String) -> [Field] {
        var fields: [Field] = []
        repeat {
            let start = index
            do {
                fields.append(try parseField())
            } catch {
                skipToNextField(from: start)
            }
            if !isAtFieldEnd {
                expected([",", "AS", "FROM"])
                skipToNextField(from: start)
            }
        } while takeSymbol(.comma)
        return fields
    }

    private mutating func parseField() throws -> Field {
        let start = current.span.lowerBound
        if takeSymbol(.times) {
            if case .symbol(.dot) = current.kind { try fail(expected: [",", "FROM"]) }
            stars += 1
            if stars == Self.maximumStars + 1 {
                diagnostics.append(Diagnostic(.tooDeep, start..<previousEnd, "more than \(Self.maximumStars) `*`"))
            }
            return Field(value: .all, alias: nil, span: start..<previousEnd)
        }
        let expression = try parseExpression()
        if expression.form == .condition {
            misplaced(expression, "AND, OR, NOT, IN and comparisons in parentheses cannot stand in a field")
        }
        var alias: Reference?
        if takeKeyword(.as) {
            alias = try parseReference()
        } else if case .name = current.kind, expression.form != .comparison {
            alias = try parseReference()
        }
        return Field(value: .expression(expression), alias: alias, span: start..<previousEnd)
    }

    private mutating func parseTopics() -> [Topic] {
        var topics: [Topic] = []
        repeat {
            switch current.kind {
            case .name(let text, _): topics.append(Topic(text: text, span: current.span))
            case .string(let bytes):
                topics.append(Topic(text: String(decoding: bytes, as: UTF8.self), span: current.span))
            default:
                expected(["a topic in quotes"])
                skip(to: [.where])
                return topics
            }
            advance()
        } while takeSymbol(.comma)
        if case .keyword(.where) = current.kind { return topics }
        if current.kind != .end {
            expected([",", "WHERE", "the end"])
            skip(to: [.where])
        }
        return topics
    }

    // MARK: tokens

    var current: Token { tokens[index] }
    var previousEnd: Int { index > 0 ? tokens[index - 1].span.upperBound : 0 }
    var following: Token { tokens[min(index + 1, tokens.count - 1)] }

    mutating func advance() {
        if index < tokens.count - 1 { index += 1 }
    }

    mutating func takeKeyword(_ keyword: Keyword) -> Bool {
        guard current.kind == .keyword(keyword) else { return false }
        advance()
        return true
    }

    mutating func takeSymbol(_ symbol: Symbol) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    private var isAtFieldEnd: Bool {
        switch current.kind {
        case .end, .symbol(.comma), .keyword(.from), .keyword(.do), .keyword(.incase), .keyword(.where): true
        default: false
        }
    }

    /// To the next comma outside of the brackets that were opened since the field's first token, or the next clause.
    private mutating func skipToNextField(from start: Int) {
        var open = tokens[start..<index].reduce(0) { $0 + Self.brackets($1) }
        while !isAtFieldEnd || current.kind == .symbol(.comma) && open > 0 {
            open += Self.brackets(current)
            advance()
        }
    }

    private static func brackets(_ token: Token) -> Int {
        switch token.kind {
        case .symbol(.openParenthesis), .symbol(.openBracket): 1
        case .symbol(.closeParenthesis), .symbol(.closeBracket): -1
        default: 0
        }
    }

    private mutating func skip(to keywords: [Keyword]) {
        while current.kind != .end {
            if case .keyword(let word) = current.kind, keywords.contains(word) { return }
            advance()
        }
    }

    // MARK: problems

    /// Records what was expected instead of the current token. What the lexer has reported is not reported again.
    mutating func expected(_ what: [String]) {
        guard current.kind != .invalid else { return }
        let list = what.map { $0.count <= 2 && $0 != "AS" ? "`\($0)`" : $0 }
        let text = list.count > 1 ? list.dropLast().joined(separator: ", ") + " or " + list[list.count - 1] : list[0]
        let span = current.kind == .end ? previousEnd..<previousEnd + 1 : current.span
        let message = "expected \(text), found \(current.kind.description)"
        diagnostics.append(Diagnostic(.unexpectedToken, span, message, hint: hint(expecting: what)))
    }

    mutating func fail(expected what: [String]) throws -> Never {
        expected(what)
        throw Recover()
    }

    mutating func misplaced(_ expression: Expression, _ message: String, hint: String? = nil) {
        diagnostics.append(Diagnostic(.misplacedForm, expression.span, message, hint: hint))
    }

    private func hint(expecting what: [String]) -> String? {
        let before = index > 0 ? tokens[index - 1].kind : .end
        if before == .symbol(.equal), current.kind == .symbol(.equal) { return "equality is written `=`" }
        if current.kind == .symbol(.dot), before == .symbol(.dot) || following.kind == .symbol(.dot) {
            return "a range is written without white space: [1..3]"
        }
        for kind in [current.kind, before] {
            guard case .name(let name, false) = kind else { continue }
            if let hint = Self.hintsForForeignWords[name.uppercased()] { return hint }
            let keywords = what.filter { $0.allSatisfy(\.isUppercase) }
            if let word = Suggestion.nearest(to: name, among: keywords) { return "did you mean \(word)?" }
        }
        return nil
    }

    private static let hintsForForeignWords = [
        "ORDER": "there is no ORDER BY", "GROUP": "there is no GROUP BY", "LIMIT": "there is no LIMIT",
        "LIKE": "use regex_match(…) or `=~` for topics", "BETWEEN": "write a >= x AND a <= y",
        "IS": "use is_null(…) or is_not_null(…)", "DIV": "`div` is written in lower case",
        "MOD": "`mod` is written in lower case",
    ]

    private mutating func unexpectedAtEnd() {
        expected(["the end"])
    }
}
