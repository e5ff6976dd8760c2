/// A word of the language, with its place in the text.
struct Token: Sendable {
    enum Kind: Equatable, Sendable {
        case keyword(Keyword)
        /// A bare name, or one in double quotes: a name either way.
        case name(String, quoted: Bool)
        /// In single quotes; what stands between them.
        case string([UInt8])
        /// Decimal digits.
        case integer(String)
        case float(Double)
        /// `[b..e]`.
        case range(Int, Int)
        case symbol(Symbol)
        case invalid
        case end
    }

    let kind: Kind
    let span: Range<Int>
}

/// The reserved words, in any case; `div` and `mod` only in lower case.
enum Keyword: String, CaseIterable, Sendable {
    case select, foreach, `do`, incase, from, `where`, `as`, and, or, not, `in`, `case`, when, then, `else`, end
    case `if`, elsif
    case div, mod
}

enum Symbol: String, CaseIterable, Sendable {
    case notEqual = "!="
    case notEqualAngled = "<>"
    case lessOrEqual = "<="
    case greaterOrEqual = ">="
    case matchesTopic = "=~"
    case equal = "="
    case less = "<"
    case greater = ">"
    case plus = "+"
    case minus = "-"
    case times = "*"
    case divide = "/"
    case openParenthesis = "("
    case closeParenthesis = ")"
    case openBracket = "["
    case closeBracket = "]"
    case comma = ","
    case dot = "."
}

extension Token.Kind {
    /// How a message names this token.
    var description: String {
        switch self {
        case .keyword(let word): word == .div || word == .mod ? "`\(word.rawValue)`" : word.rawValue.uppercased()
        case .name(let name, let quoted): quoted ? "name \"\(name)\"" : "name `\(name)`"
        case .string(let bytes): "string '\(String(decoding: bytes, as: UTF8.self))'"
        case .integer(let digits): "number \(digits)"
        case .float(let value): "number \(value)"
        case .range(let first, let last): "range [\(first)..\(last)]"
        case .symbol(let symbol): "`\(symbol.rawValue)`"
        case .invalid: "invalid text"
        case .end: "the end of the statement"
        }
    }
}
