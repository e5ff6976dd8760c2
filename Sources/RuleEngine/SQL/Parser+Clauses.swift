extension Parser {
    mutating func parseStatement() -> Statement {
        let start = current.span.lowerBound
        var body = parseBody()
        var condition: Expression?
        if isAt(.where), tokens[index...].contains(where: { $0.kind == .keyword(.from) }) {
            report(.clauseOrder, "WHERE stands before FROM", hint: "the order is SELECT … FROM … WHERE …")
            condition = parseCondition(.where)
        }
        var topics: [Topic] = []
        if takeKeyword(.from) {
            topics = parseTopics()
        } else {
            reportMissingFrom()
        }
        if isAt(.select), case .select(let fields) = body, fields.isEmpty {
            // SELECT behind FROM has been told.
            advance()
            body = .select(parseFields(.select))
        }
        if let second = parseCondition(.where), condition == nil { condition = second }
        parseRest(&topics, &condition)
        return Statement(body: body, topics: topics, condition: condition, span: start..<current.span.upperBound)
    }

    private mutating func parseBody() -> Statement.Body {
        if repairKeyword([.select, .foreach]) || isAt(.select) || isAt(.foreach) {
            if takeKeyword(.foreach) { return parseForeach() }
            advance()
            return .select(parseFields(.select))
        }
        if isAt(.from) {
            report(
                .clauseOrder, "SELECT or FOREACH stands before FROM", hint: "SELECT * FROM \"t/#\" takes all columns")
            return .select([])
        }
        if case .name(let first, false) = current.kind, case .name(let second, false) = following.kind,
            (first + second).uppercased() == "FOREACH"
        {
            let span = current.span.lowerBound..<following.span.upperBound
            diagnostics.append(Diagnostic(.unexpectedToken, span, "FOREACH is one word", hint: "FOREACH payload.list"))
            advance()
            advance()
            return parseForeach()
        }
        let word: String? = if case .name(let name, false) = current.kind { name.uppercased() } else { nil }
        expected(["SELECT", "FOREACH"], hint: word.flatMap { ForeignWords.statements[$0] })
        if let select = tokens[index...].firstIndex(where: {
            $0.kind == .keyword(.select) || $0.kind == .keyword(.from)
        }),
            tokens[select].kind == .keyword(.select)
        {
            index = select + 1
            return .select(parseFields(.select))
        }
        skip { $0.isAtClause }
        return .select([])
    }

    private mutating func parseForeach() -> Statement.Body {
        let fields = parseFields(.foreach)
        var each: [Field]?
        if takeKeyword(.do) { each = parseFields(.do) }
        let inCase = parseCondition(.incase)
        if isAt(.do) {
            diagnostics.append(Diagnostic(.clauseOrder, current.span, "DO stands before INCASE"))
            advance()
            each = parseFields(.do)
        }
        return .foreach(fields, do: each, inCase: inCase)
    }

    private mutating func reportMissingFrom() {
        // A text that never ended has taken FROM with it.
        guard !isAtEnd || !diagnostics.contains(where: { $0.code == .unterminated }) else { return }
        expected(["FROM"], hint: "FROM names the topics: FROM \"t/#\"")
        if !isAtClause { skip { $0.isAtClause } }
    }

    // MARK: fields

    private mutating func parseFields(_ clause: Keyword) -> [Field] {
        var fields: [Field] = []
        repeat {
            let start = index
            do {
                reportEmptyField(clause)
                let field = try parseField()
                fields.append(field)
                if !isAtFieldEnd { resume(after: field, clause, &fields) }
            } catch {
                skipToNextField(from: start)
            }
        } while takeSymbol(.comma) || skipForeignClause(clause)
        return fields
    }

    /// Where a field should begin and a clause does.
    private mutating func reportEmptyField(_ clause: Keyword) {
        while isAt(.select) || isAt(.foreach) {
            report(
                .clauseOrder, "\(current.kind.description) stands here a second time",
                hint: "a rule is one statement; its fields are listed with commas")
            advance()
        }
    }

    private mutating func parseField() throws -> Field {
        let start = current.span.lowerBound
        if takeSymbol(.times) {
            stars += 1
            if stars == Self.maximumStars + 1 {
                diagnostics.append(Diagnostic(.tooDeep, start..<previousEnd, "more than \(Self.maximumStars) `*`"))
            }
            return Field(value: .all, alias: nil, span: start..<previousEnd, hasAs: false)
        }
        if isAtClause || current.kind == .symbol(.comma) {
            try fail(expected: ["a field", "*"], hint: missingFieldHint)
        }
        let expression = try parseExpression()
        if expression.form == .condition {
            misplaced(
                expression, "AND, OR, NOT, IN and comparisons in parentheses cannot stand in a field",
                hint: "CASE WHEN … THEN true ELSE false END makes a value of a condition")
        }
        var alias: Reference?
        let hasAs = takeKeyword(.as)
        if hasAs {
            alias = try parseAlias()
        } else if case .name(let name, let isQuoted) = current.kind, expression.form != .comparison {
            if isQuoted || !isForeignClause(name) { alias = try parseReference() }
        }
        return Field(value: .expression(expression), alias: alias, span: start..<previousEnd, hasAs: hasAs)
    }

    private var missingFieldHint: String? {
        switch previous {
        case _ where current.kind == .symbol(.comma): "leave this comma out"
        case .symbol(.comma)?: "leave the comma before it out"
        case .keyword(.select)?: "SELECT * takes all columns"
        default: nil
        }
    }

    private mutating func parseAlias() throws -> Reference {
        let start = current.span
        switch current.kind {
        case .string(let bytes):
            let name = String(decoding: bytes, as: UTF8.self)
            report(.unexpectedToken, "a name has no single quotes", hint: "write \"\(name)\"")
            advance()
            return Reference(name: name, steps: [], span: start, nameSpan: start, isQuoted: true)
        case .keyword(let word)
        where word != .from || following.kind == .symbol(.comma) || following.kind == .keyword(.from):
            reserved(word)
            advance()
            return Reference(name: word.rawValue, steps: [], span: start, nameSpan: start, isQuoted: true)
        case .symbol(.comma), .end, .keyword: try fail(expected: ["a name"], hint: "AS gives the value a name")
        default: return try parseReference()
        }
    }

    /// The field was read, and neither a comma nor a clause follows.
    private mutating func resume(after field: Field, _ clause: Keyword, _ fields: inout [Field]) {
        let isComparison = if case .expression(let value) = field.value { value.form == .comparison } else { false }
        var names = [","]
        if field.alias == nil, case .expression = field.value { names.append("AS") }
        names += clause == .select ? ["FROM"] : clause == .do ? ["INCASE", "FROM"] : ["DO", "INCASE", "FROM"]
        if clause == .foreach, repairKeyword([.do, .incase]) { return }
        if clause == .do, repairKeyword([.incase]) { return }
        if reportForeignClause() { return }
        if isComparison, isAt(.and) || isAt(.or) || isAt(.not) || isAt(.in) {
            return skipToNextField(from: index)
        }
        if let hint = fieldHint(field) {
            expected(names, hint: hint)
            return skipToNextField(from: index)
        }
        let topic: Bool = if case .name(let text, true) = current.kind { isTopicLike(text) } else { false }
        if topic, clause == .select, !tokens[index...].contains(where: { $0.kind == .keyword(.from) }) {
            expected(["FROM"], hint: "FROM is missing before it")
            tokens.insert(
                Token(kind: .keyword(.from), span: current.span.lowerBound..<current.span.lowerBound), at: index)
            return
        }
        if current.kind == .symbol(.closeParenthesis) || current.kind == .symbol(.closeBracket) {
            report(.unclosedBracket, "nothing is open that \(current.kind.description) closes", hint: "leave it out")
            advance()
            if isAtFieldEnd { return }
        } else {
            expected(names, hint: beginsField ? "is a comma missing before it?" : nil)
        }
        guard beginsField, isOnNewLine else { return skipToNextField(from: index) }
        tokens.insert(
            Token(kind: .symbol(.comma), span: current.span.lowerBound..<current.span.lowerBound), at: index)
    }

    private var beginsField: Bool {
        switch current.kind {
        case .name, .string, .integer, .float, .keyword(.case), .symbol(.openParenthesis), .symbol(.openBracket): true
        default: false
        }
    }

    private var isOnNewLine: Bool {
        index > 0 && text[previousEnd..<current.span.lowerBound].contains(UInt8(ascii: "\n"))
    }

    private func isTopicLike(_ text: String) -> Bool {
        text.contains("/") || text.contains("#") || text.contains("+") || text.hasPrefix("$")
    }

    // MARK: conditions

    /// The clause of that keyword, if it is there.
    mutating func parseCondition(_ keyword: Keyword) -> Expression? {
        guard takeKeyword(keyword) else { return nil }
        if keyword == .where { hasWhere = true }
        let condition = attemptCondition()
        while !isAtClause {
            let before = index
            resumeCondition(keyword)
            if index == before { advance() }
        }
        return condition
    }

    /// A condition without a clause around it, up to the end of the text.
    mutating func parseWholeCondition() -> Expression? {
        let condition = attemptCondition()
        while !isAtEnd {
            let before = index
            if isAtClause {
                expected(["AND", "OR", "the end"])
                return condition
            }
            resumeCondition(.where)
            if index == before { advance() }
        }
        return condition
    }

    private mutating func attemptCondition() -> Expression? {
        let start = index
        do {
            let condition = try parseExpression()
            if condition.form == .choice { misplaced(condition, "CASE cannot be a condition") }
            return condition
        } catch {
            skipToNextCondition(from: start)
            if isAt(.and) || isAt(.or) {
                advance()
                return attemptCondition()
            }
            return nil
        }
    }

    /// A condition was read and something follows that does not continue it.
    private mutating func resumeCondition(_ keyword: Keyword) {
        if repairKeyword([.and, .or]) || isAt(.and) || isAt(.or) {
            advance()
            _ = attemptCondition()
            return
        }
        let names = keyword == .where ? ["AND", "OR", "the end"] : ["AND", "OR", "FROM"]
        switch current.kind {
        case .symbol(.closeParenthesis), .symbol(.closeBracket):
            report(.unclosedBracket, "nothing is open that \(current.kind.description) closes", hint: "leave it out")
            return advance()
        case .symbol(.comma):
            expected(names, hint: "conditions are joined with AND")
            advance()
            _ = attemptCondition()
            return
        default: break
        }
        if reportForeignClause() { return }
        expected(names, hint: hintForWord)
        skipToNextCondition(from: index)
    }

    /// What follows a statement that seemed complete.
    private mutating func parseRest(_ topics: inout [Topic], _ condition: inout Expression?) {
        while !isAtEnd {
            let before = index
            switch current.kind {
            case .keyword(.where) where !hasWhere: condition = parseCondition(.where)
            case .keyword(.where):
                report(.clauseOrder, "WHERE stands here a second time", hint: "conditions are joined with AND")
                _ = parseCondition(.where)
            case .keyword(.from):
                report(
                    .clauseOrder, "FROM stands here a second time",
                    hint: "topics are listed with commas: FROM \"a\", \"b\"")
                advance()
                topics += parseTopics()
            case .keyword(.select), .keyword(.foreach):
                if toldSubquery { return }
                report(
                    .clauseOrder, "\(current.kind.description) begins a second statement",
                    hint: "write one rule for each statement")
                return
            case .keyword(.incase), .keyword(.do):
                report(
                    .clauseOrder, "\(current.kind.description) belongs to FOREACH and stands before FROM",
                    hint: "FOREACH payload.list AS item DO item.x INCASE item.x > 1 FROM \"t/#\"")
                if isAt(.do) { skip { $0.isAtClause && !$0.isAt(.do) } } else { _ = parseCondition(.incase) }
            default:
                expected(["the end"], hint: hintForWord)
                skip { $0.isAtClause }
            }
            if index == before { advance() }
        }
    }
}
