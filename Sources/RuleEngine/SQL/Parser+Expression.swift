extension Parser {
    /// How tightly an operator binds, loosest first.
    private enum Precedence: Int {
        case or = 1
        case and, not, comparison, sum, product, sign
    }

    private enum Infix {
        case or, and
        case comparison(ComparisonOperator)
        case isIn(negated: Bool)
        case arithmetic(ArithmeticOperator)

        var precedence: Precedence {
            switch self {
            case .or: .or
            case .and: .and
            case .comparison, .isIn: .comparison
            case .arithmetic(.add), .arithmetic(.subtract): .sum
            case .arithmetic: .product
            }
        }
    }

    /// Reads anything that can be an expression, condition or CASE; whoever asked looks at its form.
    mutating func parseExpression() throws -> Expression {
        try parse(atLeast: .or)
    }

    private mutating func parse(atLeast minimum: Precedence) throws -> Expression {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            try giveUp(current.span, "expressions are nested more than \(Self.maximumDepth) deep")
        }
        var left = try parsePrefix(minimum)
        while let infix = infixOperator, infix.precedence.rawValue >= minimum.rawValue {
            // Left-associative chains are a loop here, but deep trees later.
            operators += 1
            guard operators <= Self.maximumOperators else {
                try giveUp(current.span, "more than \(Self.maximumOperators) operators")
            }
            left = try parseInfix(infix, left)
        }
        return left
    }

    private var infixOperator: Infix? {
        switch current.kind {
        case .keyword(.or): .or
        case .keyword(.and): .and
        case .keyword(.in): .isIn(negated: false)
        case .keyword(.not): following.kind == .keyword(.in) ? .isIn(negated: true) : nil
        case .keyword(.div): .arithmetic(.integerDivide)
        case .keyword(.mod): .arithmetic(.remainder)
        case .symbol(.plus): .arithmetic(.add)
        case .symbol(.minus): .arithmetic(.subtract)
        case .symbol(.times): .arithmetic(.multiply)
        case .symbol(.divide): .arithmetic(.divide)
        case .symbol(.equal): .comparison(.equal)
        case .symbol(.notEqual), .symbol(.notEqualAngled): .comparison(.notEqual)
        case .symbol(.less): .comparison(.less)
        case .symbol(.lessOrEqual): .comparison(.lessOrEqual)
        case .symbol(.greater): .comparison(.greater)
        case .symbol(.greaterOrEqual): .comparison(.greaterOrEqual)
        case .symbol(.matchesTopic): .comparison(.matchesTopic)
        default: nil
        }
    }

    private mutating func parseInfix(_ infix: Infix, _ left: Expression) throws -> Expression {
        let start = left.span.lowerBound
        switch infix {
        case .or, .and:
            let isOr = if case .or = infix { true } else { false }
            advance()
            let right = try parse(atLeast: isOr ? .and : .not)
            checkCondition(left)
            checkCondition(right)
            return make(isOr ? .or(left, right) : .and(left, right), from: start, .condition)
        case .isIn(let negated):
            requirePlain(left, in: "IN")
            if negated { advance() }
            advance()
            let list = try parseInList()
            return make(.isIn(left, list, negated: negated), from: start, .condition)
        case .comparison(let operation):
            if left.form == .comparison {
                misplaced(left, "comparisons cannot be chained", hint: "join them with AND")
            } else {
                requirePlain(left, in: "a comparison")
            }
            advance()
            let right = try parse(atLeast: .sum)
            requirePlain(right, in: "a comparison")
            return make(.comparison(operation, left, right), from: start, .comparison)
        case .arithmetic(let operation):
            requirePlain(left, in: "arithmetic")
            advance()
            let right = try parse(atLeast: infix.precedence == .sum ? .product : .sign)
            requirePlain(right, in: "arithmetic")
            return make(.arithmetic(operation, left, right), from: start, .plain)
        }
    }

    private mutating func parsePrefix(_ minimum: Precedence) throws -> Expression {
        let start = current.span.lowerBound
        switch current.kind {
        case .keyword(.not) where minimum.rawValue <= Precedence.not.rawValue:
            advance()
            let operand = try parse(atLeast: .not)
            checkCondition(operand)
            return make(.not(operand), from: start, .condition)
        case .symbol(.minus), .symbol(.plus):
            let isMinus = current.kind == .symbol(.minus)
            advance()
            let operand = try parse(atLeast: .sign)
            requirePlain(operand, in: "arithmetic")
            return make(isMinus ? .negate(operand) : .plus(operand), from: start, .plain)
        default:
            return try parsePrimary()
        }
    }

    private mutating func parsePrimary() throws -> Expression {
        let start = current.span.lowerBound
        switch current.kind {
        case .symbol(.openParenthesis):
            return try parseParenthesised()
        case .symbol(.openBracket):
            return try parseList()
        case .keyword(.case):
            return try parseChoice()
        case .keyword(let word) where (word == .div || word == .mod) && following.kind == .symbol(.openParenthesis):
            let nameSpan = current.span
            advance()
            let arguments = try parseArguments()
            return make(.call(word.rawValue, arguments, nameSpan: nameSpan), from: start, .plain)
        case .string(let bytes):
            advance()
            return make(.literal(.string(bytes)), from: start, .plain)
        case .integer(let digits):
            advance()
            return make(.literal(StoredValue(decimal: digits)), from: start, .plain)
        case .float(let value):
            advance()
            return make(.literal(.float(value.bitPattern)), from: start, .plain)
        case .range(let first, let last):
            advance()
            return make(.range(first, last), from: start, .plain)
        case .name:
            return try parseName()
        case .keyword(let word):
            return try parseMisplacedKeyword(word)
        case .invalid:
            // What stands here has been told by the lexer.
            advance()
            return make(.invalid, from: start, .plain)
        default:
            try fail(expected: ["an expression"], hint: operandHint)
        }
    }

    private mutating func parseMisplacedKeyword(_ word: Keyword) throws -> Expression {
        let start = current.span.lowerBound
        switch word {
        case .if, .elsif, .div, .mod, .in:
            reserved(word)
            advance()
            if word == .if || word == .elsif, current.kind == .symbol(.openParenthesis) { _ = try parseArguments() }
            return make(.invalid, from: start, .plain)
        case .select:
            toldSubquery = true
            try fail(expected: ["an expression"], hint: "there are no subqueries")
        case .as where previous == .symbol(.comma) || previous == .keyword(.select):
            try fail(expected: ["an expression"], hint: "AS stands between a value and its name")
        case .end, .when, .then, .else:
            try fail(expected: ["an expression"], hint: operandHint ?? "write \"\(word.rawValue)\" if it is a name")
        default: try fail(expected: ["an expression"], hint: operandHint)
        }
    }

    /// Why no operand stands where one should.
    private var operandHint: String? {
        switch (previous, current.kind) {
        case (.symbol(.comma)?, .symbol(.closeParenthesis)), (.symbol(.comma)?, .symbol(.comma)):
            "leave the comma before it out"
        case (.symbol(.openParenthesis)?, .symbol(.comma)): "leave this comma out"
        case (.symbol(.openParenthesis)?, .symbol(.times)):
            "a rule looks at one message at a time; there is no COUNT(*)"
        case (_, .symbol(.dot)) where isDigit(following): "a number with a point has digits on both sides: 0.5"
        case (.symbol?, .end), (.keyword?, .end): "the statement ends in the middle of an expression"
        default: hintForWord
        }
    }

    private func isDigit(_ token: Token) -> Bool { if case .integer = token.kind { true } else { false } }

    /// What stands in parentheses keeps its form, but a comparison becomes a condition: it may then stand only there.
    private mutating func parseParenthesised() throws -> Expression {
        let start = current.span.lowerBound
        let open = current
        advance()
        let inner = try parseExpression()
        if !takeSymbol(.closeParenthesis) { try unclosed(open, expected: [")"]) }
        return make(inner.kind, from: start, inner.form == .comparison ? .condition : inner.form)
    }

    /// A bracket that a clause, AS or the end leaves open is told, and counts as closed there.
    private mutating func unclosed(_ open: Token, expected what: [String]) throws {
        if current.kind == .invalid || hasGivenUp { throw Recover() }
        guard isAtClause || isAt(.as) || isAtBranchEnd || isAtForeignClause else { try fail(expected: what) }
        let closing = open.kind == .symbol(.openBracket) ? "]" : ")"
        diagnostics.append(
            Diagnostic(
                .unclosedBracket, open.span, "this \(open.kind.description) is not closed",
                hint: "write `\(closing)` before \(current.kind.description)"))
    }

    /// `[a, b,]`; a trailing comma is allowed.
    private mutating func parseList() throws -> Expression {
        let start = current.span.lowerBound
        let open = current
        advance()
        var elements: [Expression] = []
        while !takeSymbol(.closeBracket) {
            let element = try parseExpression()
            requirePlain(element, in: "a list")
            elements.append(element)
            if takeSymbol(.comma) { continue }
            if !takeSymbol(.closeBracket) { try unclosed(open, expected: [",", "]"]) }
            break
        }
        return make(.list(elements), from: start, .plain)
    }

    private mutating func parseInList() throws -> [Expression] {
        let open = current
        guard takeSymbol(.openParenthesis) else {
            try fail(expected: ["("], hint: "IN takes values in parentheses; for an array use contains(value, array)")
        }
        var elements: [Expression] = []
        repeat {
            let element = try parseExpression()
            if element.form == .condition || element.form == .choice {
                misplaced(element, "the list of IN takes expressions and comparisons")
            }
            elements.append(element)
        } while takeSymbol(.comma)
        if !takeSymbol(.closeParenthesis) { try unclosed(open, expected: [",", ")"]) }
        return elements
    }

    private mutating func parseArguments() throws -> [Expression] {
        let open = current
        advance()
        var arguments: [Expression] = []
        if takeSymbol(.closeParenthesis) { return arguments }
        repeat {
            arguments.append(try parseArgument())
        } while takeSymbol(.comma)
        if !takeSymbol(.closeParenthesis) { try unclosed(open, expected: [",", ")"]) }
        if isAdjoining, current.kind == .symbol(.dot) || current.kind == .symbol(.openBracket) {
            report(
                .misplacedForm, "a path cannot go on after a call",
                hint: "give the call an alias and read from that in the next field")
            throw Recover()
        }
        return arguments
    }

    /// A problem inside an argument ends with it.
    private mutating func parseArgument() throws -> Expression {
        let start = index
        let begin = current.span.lowerBound
        do {
            let argument = try parseExpression()
            if argument.form == .condition {
                misplaced(argument, "AND, OR, NOT, IN and comparisons in parentheses cannot be arguments")
            }
            if current.kind == .symbol(.comma) || current.kind == .symbol(.closeParenthesis) || isAtClause || isAt(.as)
                || isAtBranchEnd
            {
                return argument
            }
            expected([",", ")"])
        } catch {
            if hasGivenUp { throw error }
        }
        skipInBrackets(from: start)
        return make(.invalid, from: min(begin, previousEnd), .plain)
    }

    private mutating func parseName() throws -> Expression {
        let start = current.span.lowerBound
        let reference = try parseReference()
        switch current.kind {
        case .symbol(.openParenthesis):
            let keys = reference.steps.map { if case .key(let key) = $0 { key } else { "[]" } }
            let name = ([reference.name] + keys).joined(separator: ".")
            let arguments = try parseArguments()
            return make(.call(name, arguments, nameSpan: reference.span), from: start, .plain)
        case .range(let first, let last):
            advance()
            return make(.rangeOf(reference, first, last), from: start, .plain)
        default:
            if reference.steps.isEmpty, reference.name == "true" || reference.name == "false" {
                return make(.literal(.boolean(reference.name == "true")), from: start, .plain)
            }
            return make(.reference(reference), from: start, .plain)
        }
    }

    // MARK: forms

    func make(_ kind: Expression.Kind, from start: Int, _ form: Expression.Form) -> Expression {
        Expression(kind: kind, span: start..<previousEnd, form: form)
    }

    private mutating func requirePlain(_ expression: Expression, in place: String) {
        switch expression.form {
        case .plain: break
        case .choice: misplaced(expression, "CASE cannot stand inside \(place)")
        case .comparison: misplaced(expression, "a comparison cannot stand inside \(place)")
        case .condition:
            misplaced(
                expression, "a condition cannot stand inside \(place)",
                hint: "AND, OR, NOT, IN and comparisons in parentheses belong to WHERE, INCASE and WHEN")
        }
    }

    private mutating func checkCondition(_ expression: Expression) {
        if expression.form == .choice { misplaced(expression, "CASE cannot be a condition") }
    }
}
