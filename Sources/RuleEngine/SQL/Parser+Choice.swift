/// CASE.
extension Parser {
    var isAtBranchEnd: Bool {
        guard case .keyword(let word) = current.kind else { return false }
        return [.when, .then, .else, .end].contains(word)
    }

    mutating func parseChoice() throws -> Expression {
        let start = current.span.lowerBound
        advance()
        var operand: Expression?
        if !isAt(.when), !isAt(.then), !repairKeyword([.when]) { operand = try parseBranchValue() }
        var branches: [Expression.Branch] = []
        if !isAt(.when), !repairKeyword([.when]), isAt(.then) {
            expected(["WHEN"], hint: "CASE WHEN … THEN … ELSE … END")
            advance()
            branches.append(Expression.Branch(when: make(.invalid, from: start, .plain), then: try parseBranchValue()))
        }
        while takeWhen() {
            let when = try parseExpression()
            if when.form == .choice { misplaced(when, "CASE cannot be a condition") }
            if !isAt(.then), !repairKeyword([.then]) {
                try fail(expected: ["THEN"], hint: "CASE WHEN condition THEN value … END")
            }
            advance()
            branches.append(Expression.Branch(when: when, then: try parseBranchValue()))
        }
        guard !branches.isEmpty else { try fail(expected: ["WHEN"]) }
        let otherwise = try parseChoiceEnd(start)
        return make(.choice(operand: operand, branches: branches, otherwise: otherwise), from: start, .choice)
    }

    private mutating func takeWhen() -> Bool {
        if isAt(.elsif) {
            report(.reservedWord, "there is no ELSIF", hint: "write another WHEN … THEN …")
            advance()
            return true
        }
        if !isAt(.else), !isAt(.end) { _ = repairKeyword([.when, .else, .end]) }
        return takeKeyword(.when)
    }

    private mutating func parseChoiceEnd(_ start: Int) throws -> Expression? {
        var otherwise: Expression?
        if takeKeyword(.else) {
            otherwise = try parseBranchValue()
            if !isAt(.end) { _ = repairKeyword([.end]) }
        }
        if takeKeyword(.end) { return otherwise }
        guard isAtClause || isAt(.as) || current.kind == .symbol(.comma) || current.kind == .symbol(.closeParenthesis)
        else { try fail(expected: otherwise == nil ? ["WHEN", "ELSE", "END"] : ["END"]) }
        if !hasGivenUp {
            diagnostics.append(
                Diagnostic(
                    .unclosedBracket, start..<start + 4, "this CASE has no END",
                    hint: "write END before \(current.kind.description)"))
        }
        return otherwise
    }

    private mutating func parseBranchValue() throws -> Expression {
        let value = try parseExpression()
        if value.form == .condition { misplaced(value, "THEN and ELSE take an expression or one comparison") }
        if value.form == .choice {
            misplaced(value, "CASE cannot stand inside CASE", hint: "give the inner one an alias in a field before")
        }
        return value
    }
}
