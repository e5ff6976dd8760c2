/// Problems, what they say, and where the reader goes on behind them.
extension Parser {
    /// Records what was expected instead of the current token. What the lexer has reported is not reported again.
    mutating func expected(_ what: [String], hint: String? = nil) {
        guard current.kind != .invalid, !hasGivenUp else { return }
        let list = what.map { $0.count <= 2 && $0 != "AS" && $0 != "OR" && $0 != "DO" ? "`\($0)`" : $0 }
        let span = isAtEnd ? previousEnd..<previousEnd + 1 : current.span
        let message = "expected \(Self.alternatives(list)), found \(current.kind.description)"
        if case .name(let name, false) = current.kind, let use = ForeignWords.operators[name.uppercased()] {
            return report(.foreignSyntax, "`\(name)` is no operator of rule SQL", hint: use)
        }
        diagnostics.append(Diagnostic(.unexpectedToken, span, message, hint: hint ?? hintForWord))
    }

    /// `a, b or c`.
    private static func alternatives(_ list: [String]) -> String {
        guard let last = list.last, list.count > 1 else { return list.joined() }
        return list.dropLast().joined(separator: ", ") + " or " + last
    }

    mutating func fail(expected what: [String], hint: String? = nil) throws -> Never {
        expected(what, hint: hint)
        throw Recover()
    }

    /// A problem at the current token.
    mutating func report(_ code: Diagnostic.Code, _ message: String, hint: String? = nil) {
        guard !hasGivenUp else { return }
        diagnostics.append(Diagnostic(code, current.span, message, hint: hint))
    }

    /// A bound is hit. Nothing is told of what follows.
    mutating func giveUp(_ span: Range<Int>, _ message: String) throws -> Never {
        if !hasGivenUp { diagnostics.append(Diagnostic(.tooDeep, span, message)) }
        hasGivenUp = true
        throw Recover()
    }

    mutating func misplaced(_ expression: Expression, _ message: String, hint: String? = nil) {
        guard !hasGivenUp else { return }
        diagnostics.append(Diagnostic(.misplacedForm, expression.span, message, hint: hint))
    }

    mutating func reserved(_ word: Keyword) {
        let hint =
            word == .if || word == .elsif
            ? "there is no \(word.rawValue.uppercased()): CASE WHEN … THEN … ELSE … END"
            : "write \"\(word.rawValue)\" if it is a name"
        report(.reservedWord, "\(current.kind.description) is a reserved word and cannot be a name", hint: hint)
    }

    // MARK: misspelt keywords

    static func misspelt(_ name: String, _ span: Range<Int>, _ meant: Keyword, expecting: [String]) -> Diagnostic {
        Diagnostic(
            .unexpectedToken, span, "expected \(alternatives(expecting)), found name `\(name)`",
            hint: "did you mean \(meant.rawValue.uppercased())?")
    }

    /// Takes a name for the keyword that it resembles, after a report.
    mutating func repairKeyword(_ words: [Keyword]) -> Bool {
        guard case .name(let name, false) = current.kind, !hasGivenUp else { return false }
        let names = words.map { $0.rawValue.uppercased() }
        guard let near = Suggestion.nearest(to: name, among: names), let word = Keyword(rawValue: near.lowercased())
        else { return false }
        diagnostics.append(Self.misspelt(name, current.span, word, expecting: names))
        tokens[index] = Token(kind: .keyword(word), span: current.span)
        return true
    }

    // MARK: hints

    var hintForWord: String? {
        if current.kind == .symbol(.dot), previous == .symbol(.dot) || following.kind == .symbol(.dot) {
            return "a range is written without white space: [1..3]"
        }
        for kind in [current.kind, previous] {
            guard case .name(let name, false)? = kind else { continue }
            if let hint = ForeignWords.operators[name.uppercased()] { return hint }
        }
        return nil
    }

    /// What the text right behind a field tells.
    func fieldHint(_ field: Field) -> String? {
        if let hint = hintForWord { return hint }
        guard case .expression(let value) = field.value else { return nil }
        return numberHint(value, field.alias)
    }

    /// `1e5` and `0x10` read as a number and a name, `.5` and `5.` as a number and a point.
    private func numberHint(_ value: Expression, _ alias: Reference?) -> String? {
        guard case .literal(.integer) = value.kind else { return nil }
        if current.kind == .symbol(.dot) { return "a number with a point has digits on both sides: 5.0" }
        guard let alias, alias.span.lowerBound == value.span.upperBound else { return nil }
        return alias.name.lowercased().hasPrefix("e")
            ? "a number with an exponent has a point: 1.0e5" : "numbers are decimal digits"
    }

    // MARK: clauses of other languages

    func isForeignClause(_ name: String) -> Bool { ForeignWords.clauses[name.uppercased()] != nil }

    var isAtForeignClause: Bool {
        if case .name(let name, false) = current.kind { isForeignClause(name) } else { false }
    }

    /// Reports the clause that begins here, and goes to what follows it.
    mutating func reportForeignClause() -> Bool {
        guard case .name(let name, false) = current.kind, let (what, hint) = ForeignWords.clauses[name.uppercased()]
        else {
            return false
        }
        report(.foreignClause, "there is no \(what) in rule SQL", hint: hint)
        advance()
        // `LEFT JOIN` and `FULL OUTER JOIN` are one clause.
        while isAtForeignClause, case .name(let next, _) = current.kind,
            ForeignWords.clauses[next.uppercased()]?.what == what
        {
            advance()
        }
        skip { $0.isAtClause || $0.isAtForeignClause }
        if isAtForeignClause { return reportForeignClause() }
        return true
    }

    /// A clause of another language among the fields ends them; true never, so that it reads well in a loop.
    mutating func skipForeignClause(_ clause: Keyword) -> Bool {
        if isAtForeignClause { _ = reportForeignClause() }
        return false
    }

    // MARK: skipping

    mutating func skip(until isThere: (Parser) -> Bool) {
        while !isAtEnd, !isThere(self) { advance() }
    }

    var isAtFieldEnd: Bool { isAtClause || current.kind == .symbol(.comma) }

    /// To the next comma outside of the brackets that were opened since the field's first token, or the next clause.
    mutating func skipToNextField(from start: Int) {
        var open = brackets(from: start)
        while !isAtClause, !(current.kind == .symbol(.comma) && open <= 0) {
            open += Self.brackets(current)
            advance()
        }
    }

    /// To the next AND or OR outside of brackets, or the next clause.
    mutating func skipToNextCondition(from start: Int) {
        var open = brackets(from: start)
        while !isAtClause, !isAtForeignClause, !((isAt(.and) || isAt(.or)) && open <= 0) {
            open += Self.brackets(current)
            advance()
        }
    }

    /// To the comma or bracket that goes on with or ends the list we are in.
    mutating func skipInBrackets(from start: Int) {
        var open = brackets(from: start)
        while !isAtClause {
            let change = Self.brackets(current)
            if open <= 0, change < 0 || current.kind == .symbol(.comma) { return }
            open += change
            advance()
        }
    }

    private func brackets(from start: Int) -> Int {
        guard start < index else { return 0 }
        return tokens[start..<index].reduce(0) { $0 + Self.brackets($1) }
    }

    private static func brackets(_ token: Token) -> Int {
        switch token.kind {
        case .symbol(.openParenthesis), .symbol(.openBracket): 1
        case .symbol(.closeParenthesis), .symbol(.closeBracket): -1
        default: 0
        }
    }
}

/// Words that mean something in other SQL dialects.
enum ForeignWords {
    private static let oneMessage = "a rule looks at one message at a time; count and sort where the rows end up"

    static let clauses: [String: (what: String, hint: String)] = [
        "ORDER": ("ORDER BY", oneMessage), "GROUP": ("GROUP BY", oneMessage), "HAVING": ("HAVING", oneMessage),
        "LIMIT": ("LIMIT", oneMessage), "OFFSET": ("OFFSET", oneMessage), "WINDOW": ("WINDOW", oneMessage),
        "UNION": ("UNION", "write one rule for each statement"),
        "JOIN": ("JOIN", "a rule sees one message; keep a value for others with kv_store_put(key, value)"),
        "INNER": ("JOIN", "a rule sees one message; keep a value for others with kv_store_put(key, value)"),
        "LEFT": ("JOIN", "a rule sees one message; keep a value for others with kv_store_put(key, value)"),
        "OUTER": ("JOIN", "a rule sees one message; keep a value for others with kv_store_put(key, value)"),
        "INTO": ("INTO", "the rule's actions say where its rows go"),
        "VALUES": ("VALUES", "the rule's actions say where its rows go"),
    ]

    static let operators: [String: String] = [
        "LIKE": "use regex_match(text, pattern), or `=~` for topics",
        "ILIKE": "use regex_match(lower(text), pattern)", "RLIKE": "use regex_match(text, pattern)",
        "REGEXP": "use regex_match(text, pattern)", "BETWEEN": "write x >= a AND x <= b",
        "IS": "use is_null(x) or is_not_null(x)", "ISNULL": "use is_null(x)", "XOR": "use (a OR b) AND NOT (a AND b)",
        "DIV": "`div` is written in lower case", "MOD": "`mod` is written in lower case",
        "CONTAINS": "use contains(x, array), or regex_match(text, pattern)",
        "MATCHES": "use regex_match(text, pattern)",
    ]

    /// Statements of other dialects.
    static let statements: [String: String] = [
        "INSERT": "a rule selects; its actions say where the rows go",
        "UPDATE": "a rule selects; its actions say where the rows go",
        "DELETE": "a rule selects; its actions say where the rows go",
        "CREATE": "a rule is only the SELECT; its name stands in the rule file",
        "WITH": "there are no subqueries; give a value an alias and use it in a later field",
        "EXPLAIN": "`sluice rules explain` shows a rule's compiled form",
    ]

    /// Functions of other dialects.
    static let functions: [String: String] = [
        "count": aggregate, "sum": aggregate, "avg": aggregate, "min": aggregate, "max": aggregate,
        "first": "use first(array) with an array", "length": "use strlen(text) or length(array)",
        "len": "use strlen(text) or length(array)", "char_length": "use strlen(text)",
        "substring": "use substr(text, start, length); start counts from 0",
        "now": "use now_timestamp() or now_rfc3339()",
        "current_timestamp": "use now_timestamp()", "to_char": "use str(x) or format_date(…)",
        "to_number": "use int(x) or float(x)", "cast": "use int(x), float(x), str(x) or bool(x)",
        "convert": "use int(x), float(x), str(x) or bool(x)", "ifnull": "use coalesce(x, y)",
        "isnull": "use is_null(x)", "nvl": "use coalesce(x, y)", "if": "use CASE WHEN … THEN … ELSE … END",
        "iif": "use CASE WHEN … THEN … ELSE … END", "json_extract": "a path reads JSON: payload.a.b",
        "json_value": "a path reads JSON: payload.a.b", "get_json_object": "a path reads JSON: payload.a.b",
        "json_parse": "use json_decode(text)", "json_stringify": "use json_encode(x)",
        "to_json": "use json_encode(x)", "from_json": "use json_decode(text)", "parseint": "use int(x)",
        "parsefloat": "use float(x)", "regexp_match": "use regex_match(text, pattern)",
        "regexp_like": "use regex_match(text, pattern)", "regexp_replace": "use regex_replace(text, pattern, new)",
        "date_format": "use format_date(unit, offset, format, time)", "uuid": "use uuid_v4()",
        "md5sum": "use md5(x)", "sha": "use sha256(x)",
    ]

    private static let aggregate = "a rule looks at one message at a time; there is no aggregation over messages"
}
