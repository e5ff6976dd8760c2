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
            diagnostics.append(
                Diagnostic(.tooDeep, current.span, "expressions are nested more than \(Self.maximumDepth) deep"))
            throw Recover()
        }
        var left = try parsePrefix(minimum)
        while let infix = infixOperator, infix.precedence.rawValue >= minimum.rawValue {
            // Left-associative chains are a loop here, but deep trees later.
            operators += 1
            guard operators <= Self.maximumOperators else {
                diagnostics.append(Diagnostic(.tooDeep, current.span, "more than \(Self.maximumOperators) operators"))
                throw Recover()
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
            return make(.isIn(left, try parseInList(), negated: negated), from: start, .condition)
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
            return make(.call(word.rawValue, try parseArguments(), nameSpan: nameSpan), from: start, .plain)
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
            reserved(word)
            throw Recover()
        default:
            try fail(expected: ["an expression"])
        }
    }

    private mutating func reserved(_ word: Keyword) {
        guard [.if, .elsif, .end, .div, .mod, .as, .in].contains(word) else { return expected(["an expression"]) }
        diagnostics.append(
            Diagnostic(
                .reservedWord, current.span, "\(current.kind.description) is a reserved word and cannot be a name",
                hint: "quote it: \"\(word.rawValue)\""))
    }

    /// What stands in parentheses keeps its form, but a comparison becomes a condition: it may then stand only there.
    private mutating func parseParenthesised() throws -> Expression {
        let start = current.span.lowerBound
        advance()
        let inner = try parseExpression()
        guard takeSymbol(.closeParenthesis) else { try fail(expected: [")"]) }
        return make(inner.kind, from: start, inner.form == .comparison ? .condition : inner.form)
    }

    /// `[a, b,]`; a trailing comma is allowed.
    private mutating func parseList() throws -> Expression {
        let start = current.span.lowerBound
        advance()
        var elements: [Expression] = []
        while !takeSymbol(.closeBracket) {
            let element = try parseExpression()
            requirePlain(element, in: "a list")
            elements.append(element)
            if takeSymbol(.comma) { continue }
            guard takeSymbol(.closeBracket) else { try fail(expected: [",", "]"]) }
            break
        }
        return make(.list(elements), from: start, .plain)
    }

    private mutating func parseInList() throws -> [Expression] {
        guard takeSymbol(.openParenthesis) else { try fail(expected: ["("]) }
        var elements: [Expression] = []
        repeat {
            let element = try parseExpression()
            if element.form == .condition || element.form == .choice {
                misplaced(element, "the list of IN takes expressions and comparisons")
            }
            elements.append(element)
        } while takeSymbol(.comma)
        guard takeSymbol(.closeParenthesis) else { try fail(expected: [",", ")"]) }
        return elements
    }

    private mutating func parseArguments() throws -> [Expression] {
        advance()
        var arguments: [Expression] = []
        if takeSymbol(.closeParenthesis) { return arguments }
        repeat {
            let argument = try parseExpression()
            if argument.form == .condition {
                misplaced(argument, "AND, OR, NOT, IN and comparisons in parentheses cannot be arguments")
            }
            arguments.append(argument)
        } while takeSymbol(.comma)
        guard takeSymbol(.closeParenthesis) else { try fail(expected: [",", ")"]) }
        if current.kind == .symbol(.dot) || current.kind == .symbol(.openBracket) {
            diagnostics.append(
                Diagnostic(
                    .misplacedForm, current.span, "a path cannot go on after a call",
                    hint: "give the call an alias and read from that in the next field"))
            throw Recover()
        }
        return arguments
    }

    private mutating func parseChoice() throws -> Expression {
        let start = current.span.lowerBound
        advance()
        var operand: Expression?
        if current.kind != .keyword(.when) {
            operand = try parseBranchValue()
        }
        var branches: [Expression.Branch] = []
        while takeKeyword(.when) {
            let when = try parseExpression()
            if when.form == .choice { misplaced(when, "CASE cannot be a condition") }
            guard takeKeyword(.then) else { try fail(expected: ["THEN"]) }
            branches.append(Expression.Branch(when: when, then: try parseBranchValue()))
        }
        guard !branches.isEmpty else { try fail(expected: ["WHEN"]) }
        let otherwise = takeKeyword(.else) ? try parseBranchValue() : nil
        guard takeKeyword(.end) else { try fail(expected: ["WHEN", "ELSE", "END"]) }
        return make(.choice(operand: operand, branches: branches, otherwise: otherwise), from: start, .choice)
    }

    private mutating func parseBranchValue() throws -> Expression {
        let value = try parseExpression()
        if value.form == .condition { misplaced(value, "THEN and ELSE take an expression or one comparison") }
        if value.form == .choice { misplaced(value, "CASE cannot stand inside CASE") }
        return value
    }

    // MARK: names

    private mutating func parseName() throws -> Expression {
        let start = current.span.lowerBound
        let reference = try parseReference()
        switch current.kind {
        case .symbol(.openParenthesis):
            let keys = reference.steps.map { if case .key(let key) = $0 { key } else { "[]" } }
            let name = ([reference.name] + keys).joined(separator: ".")
            return make(.call(name, try parseArguments(), nameSpan: reference.span), from: start, .plain)
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

    mutating func parseReference() throws -> Reference {
        let start = current.span
        guard case .name(let name, _) = current.kind else {
            if case .keyword(let word) = current.kind, word != .from { reserved(word) } else { expected(["a name"]) }
            throw Recover()
        }
        advance()
        var steps: [Reference.Step] = []
        while let step = try parseStep() {
            steps.append(step)
            guard steps.count <= Self.maximumDepth else {
                diagnostics.append(
                    Diagnostic(
                        .tooDeep, start.lowerBound..<previousEnd, "a path has at most \(Self.maximumDepth) steps"))
                throw Recover()
            }
        }
        return Reference(name: name, steps: steps, span: start.lowerBound..<previousEnd, nameSpan: start)
    }

    private mutating func parseStep() throws -> Reference.Step? {
        if takeSymbol(.dot) {
            let key = try parseKey()
            advance()
            return .key(key)
        }
        guard takeSymbol(.openBracket) else { return nil }
        let step = try parseIndex()
        guard takeSymbol(.closeBracket) else { try fail(expected: ["]"]) }
        return step
    }

    private mutating func parseKey() throws -> String {
        switch current.kind {
        case .name(let key, _): return key
        case .string(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .integer(let digits):
            let significant = digits.drop { $0 == "0" }
            return significant.isEmpty ? "0" : String(significant)
        case .keyword(let word) where word != .from:
            diagnostics.append(
                Diagnostic(
                    .reservedWord, current.span, "\(current.kind.description) is a reserved word",
                    hint: "quote it: .'\(word.rawValue)'"))
            throw Recover()
        default: try fail(expected: ["a name", "a string", "a number"])
        }
    }

    private mutating func parseIndex() throws -> Reference.Step {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else {
            diagnostics.append(Diagnostic(.tooDeep, current.span, "indexes are nested too deep"))
            throw Recover()
        }
        if case .name = current.kind { return .variable(try parseReference()) }
        let isNegative = current.kind == .symbol(.minus)
        if isNegative || current.kind == .symbol(.plus) { advance() }
        guard case .integer(let digits) = current.kind else { try fail(expected: ["a number", "a name"]) }
        guard let index = Int(digits) else {
            diagnostics.append(Diagnostic(.badNumber, current.span, "an index must fit 64 bits"))
            throw Recover()
        }
        advance()
        return .index(isNegative ? -index : index, isFromEnd: isNegative)
    }

    // MARK: forms

    private func make(_ kind: Expression.Kind, from start: Int, _ form: Expression.Form) -> Expression {
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
