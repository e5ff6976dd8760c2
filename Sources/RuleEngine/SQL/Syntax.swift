/// A rule's statement as it was written, every part with its place in the text.
struct Statement: Sendable {
    enum Body: Sendable {
        case select([Field])
        case foreach([Field], do: [Field]?, inCase: Expression?)
    }

    var body: Body
    var topics: [Topic]
    var condition: Expression?
    /// Of the WHERE clause or the end of FROM; where a finding about the whole statement points.
    var span: Range<Int>
}

struct Topic: Sendable {
    let text: String
    let span: Range<Int>
}

struct Field: Sendable {
    enum Value: Sendable {
        case all
        case expression(Expression)
    }

    let value: Value
    let alias: Reference?
    let span: Range<Int>
    /// Whether AS stands before the alias.
    var hasAs = true
}

/// `a.b[1].c`.
struct Reference: Sendable {
    enum Step: Sendable {
        case key(String)
        /// Negative from the end. `isFromEnd` tells `-0`, which appends when written, from `0`.
        case index(Int, isFromEnd: Bool)
        case variable(Reference)
    }

    /// The first step: the column, alias or element.
    let name: String
    let steps: [Step]
    let span: Range<Int>
    let nameSpan: Range<Int>
    /// The name stands in double quotes.
    var isQuoted = false
}

struct Expression: Sendable {
    indirect enum Kind: Sendable {
        case literal(StoredValue)
        case reference(Reference)
        case rangeOf(Reference, Int, Int)
        case range(Int, Int)
        case list([Expression])
        case call(String, [Expression], nameSpan: Range<Int>)
        case negate(Expression)
        case plus(Expression)
        case arithmetic(ArithmeticOperator, Expression, Expression)
        case comparison(ComparisonOperator, Expression, Expression)
        case and(Expression, Expression)
        case or(Expression, Expression)
        case not(Expression)
        case isIn(Expression, [Expression], negated: Bool)
        case choice(operand: Expression?, branches: [Branch], otherwise: Expression?)
        /// Stands for what could not be read; its problem has been reported.
        case invalid
    }

    struct Branch: Sendable {
        let when: Expression
        let then: Expression
    }

    /// Which production of the grammar this is; decides where it may stand.
    enum Form: Sendable {
        case plain
        case comparison
        case condition
        case choice
    }

    let kind: Kind
    let span: Range<Int>
    let form: Form
}

enum ArithmeticOperator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case integerDivide = "div"
    case remainder = "mod"
}
