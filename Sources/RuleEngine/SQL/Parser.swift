/// Reads a statement: recursive descent over the clauses, precedence climbing in expressions.
///
/// A problem is recorded and the reader goes on with what was most likely meant, so that all problems of a statement
/// are found at once and none is told twice. [EMQX rule-sql: grammar]
struct Parser {
    /// The most bytes of a statement.
    static let maximumLength = 64 * 1024
    /// The most levels of nesting, and the most steps of a path.
    static let maximumDepth = 64

    static let maximumOperators = 2048
    /// Each `*` after the first does what the one before did.
    static let maximumStars = 16
    /// The most problems that are told.
    static let maximumProblems = 50

    let text: [UInt8]
    var tokens: [Token]
    var index = 0
    var depth = 0
    var operators = 0
    var stars = 0
    var diagnostics: [Diagnostic]
    /// A bound was hit: what follows is not worth telling.
    var hasGivenUp = false
    var hasWhere = false
    var toldSubquery = false

    /// Thrown to the nearest point of recovery after the problem has been recorded.
    struct Recover: Error {}

    struct Result {
        /// Whole if no diagnostic is an error, else what could be read of it.
        var statement: Statement?
        var diagnostics: [Diagnostic]

        var isValid: Bool { statement != nil && !diagnostics.contains { $0.severity == .error } }
    }

    static func parse(_ sql: String) -> Result {
        let text = Array(sql.utf8)
        guard text.count <= maximumLength else {
            let problem = "the statement has \(text.count) bytes, more than the \(maximumLength) allowed"
            return Result(statement: nil, diagnostics: [Diagnostic(.badText, 0..<1, problem)])
        }
        guard text.contains(where: { $0 > 32 }) else {
            let blank = Diagnostic(.badText, 0..<0, "the statement is blank", hint: "SELECT … FROM \"topic\"")
            return Result(statement: nil, diagnostics: [blank])
        }
        let (result, openComment) = parse(text, takesOpenComment: false)
        guard let openComment else { return result }
        if !result.isValid {
            // Differs from EMQX: a comment may end with the statement where that is the only way to read it.
            let second = parse(text, takesOpenComment: true).result
            return second.isValid || second.diagnostics.count < result.diagnostics.count ? second : result
        }
        let problem = "`--` on the last line is read as two minus signs"
        let warning = Diagnostic(
            .commentAtEnd, openComment..<openComment + 2, problem, hint: "end the comment with a line break")
        return Result(statement: result.statement, diagnostics: result.diagnostics + [warning])
    }

    private static func parse(_ text: [UInt8], takesOpenComment: Bool) -> (result: Result, openComment: Int?) {
        var lexer = Lexer(text, takesOpenComment: takesOpenComment)
        lexer.run()
        var problems: [Diagnostic] = []
        if let from = misspeltFrom(lexer.tokens), case .name(let name, _) = lexer.tokens[from].kind {
            let span = lexer.tokens[from].span
            lexer = Lexer(text, takesOpenComment: takesOpenComment, repairedFrom: span.lowerBound)
            lexer.run()
            problems.append(misspelt(name, span, .from, expecting: ["FROM"]))
        }
        var parser = Parser(text: text, tokens: lexer.tokens, diagnostics: lexer.diagnostics + problems)
        let statement = parser.parseStatement()
        let found = parser.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound }
        return (Result(statement: statement, diagnostics: Array(found.prefix(maximumProblems))), lexer.openComment)
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
        var parser = Parser(text: bytes, tokens: lexer.tokens, diagnostics: lexer.diagnostics)
        let condition = parser.parseWholeCondition()
        let found = parser.diagnostics.sorted { $0.span.lowerBound < $1.span.lowerBound }
        return (found.contains { $0.severity == .error } ? nil : condition, Array(found.prefix(maximumProblems)))
    }

    /// Every statement has FROM. Where none is, a name like it in front of a topic is one.
    private static func misspeltFrom(_ tokens: [Token]) -> Int? {
        guard !tokens.contains(where: { $0.kind == .keyword(.from) }), tokens.count > 2 else { return nil }
        let candidates = (1..<tokens.count - 1).filter { index in
            guard case .name(let name, false) = tokens[index].kind,
                Suggestion.nearest(to: name, among: ["FROM"]) != nil
            else { return false }
            if tokens[index - 1].kind == .symbol(.dot) || tokens[index - 1].kind == .keyword(.as) { return false }
            switch tokens[index + 1].kind {
            case .name, .string, .invalid: return true
            default: return false
            }
        }
        let quoted = candidates.first { index in
            switch tokens[index + 1].kind {
            case .name(_, true), .string: true
            default: false
            }
        }
        return quoted ?? candidates.first
    }

    init(text: [UInt8], tokens: [Token], diagnostics: [Diagnostic]) {
        self.text = text
        self.tokens = tokens
        self.diagnostics = diagnostics
    }

    // MARK: tokens

    var current: Token { tokens[index] }
    var previousEnd: Int { index > 0 ? tokens[index - 1].span.upperBound : 0 }
    var previous: Token.Kind? { index > 0 ? tokens[index - 1].kind : nil }
    var following: Token { tokens[min(index + 1, tokens.count - 1)] }
    var isAtEnd: Bool { current.kind == .end }

    /// No white space stands between the current token and the one before.
    var isAdjoining: Bool { index > 0 && current.span.lowerBound == previousEnd }

    mutating func advance() {
        if index < tokens.count - 1 { index += 1 }
    }

    func isAt(_ keyword: Keyword) -> Bool { current.kind == .keyword(keyword) }

    mutating func takeKeyword(_ keyword: Keyword) -> Bool {
        guard isAt(keyword) else { return false }
        advance()
        return true
    }

    mutating func takeSymbol(_ symbol: Symbol) -> Bool {
        guard current.kind == .symbol(symbol) else { return false }
        advance()
        return true
    }

    /// A keyword that begins a clause, or the end.
    var isAtClause: Bool {
        switch current.kind {
        case .end: true
        case .keyword(let word): [.select, .foreach, .do, .incase, .from, .where].contains(word)
        default: false
        }
    }
}
