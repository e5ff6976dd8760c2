import Buffers

/// Splits a statement into tokens, the longest match first. [EMQX rule-sql: grammar]
struct Lexer {
    let text: [UInt8]
    var position: Int
    let end: Int
    /// A comment needs a line break at its end. On the statement's last line `--` is two minus signs, as in `1--1`,
    /// unless this is set.
    private let takesOpenComment: Bool
    /// Where a misspelt FROM stands that is read as one.
    private let repairedFrom: Int?
    var tokens: [Token] = []
    var diagnostics: [Diagnostic] = []
    /// The clause that the text is in: its keyword.
    private(set) var clause = Keyword.select
    /// Where a `--` on the last line stands, if there is one.
    private(set) var openComment: Int?

    init(_ text: [UInt8], takesOpenComment: Bool, repairedFrom: Int? = nil) {
        self.text = text
        self.takesOpenComment = takesOpenComment
        self.repairedFrom = repairedFrom
        var first = 0
        var last = text.count
        while first < last, Self.isSpace(text[first]) { first += 1 }
        while last > first, Self.isSpace(text[last - 1]) { last -= 1 }
        position = first
        end = last
    }

    mutating func run() {
        while skipSpace() { scanToken() }
        tokens.append(Token(kind: .end, span: end..<end))
    }

    /// - Returns: whether a token follows.
    private mutating func skipSpace() -> Bool {
        while position < end {
            if Self.isSpace(text[position]) {
                position += 1
            } else if text[position] == UInt8(ascii: "-"), peek(1) == UInt8(ascii: "-") {
                let lineEnd = text[position..<end].firstIndex(of: UInt8(ascii: "\n"))
                if lineEnd == nil {
                    openComment = openComment ?? position
                    guard takesOpenComment else { return true }
                }
                position = lineEnd ?? end
            } else {
                return true
            }
        }
        return false
    }

    private mutating func scanToken() {
        if scanBareTopic() { return }
        let byte = text[position]
        switch byte {
        case UInt8(ascii: "'"): scanQuoted(byte)
        case UInt8(ascii: "\""): scanQuoted(byte)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): scanNumber()
        case _ where Self.startsName(byte): scanName()
        default: if !scanRange(), !scanForeign() { scanSymbol() }
        }
    }

    private mutating func scanName() {
        let start = position
        while position < end, Self.continuesName(text[position]) { position += 1 }
        if scanLettersBeyondASCII(from: start) { return }
        let name = String(decoding: text[start..<position], as: UTF8.self)
        if start == repairedFrom {
            append(.keyword(.from), from: start)
        } else if let keyword = Keyword(rawValue: name.lowercased()),
            keyword != .div && keyword != .mod || name == keyword.rawValue
        {
            append(.keyword(keyword), from: start)
        } else {
            append(.name(name, quoted: false), from: start)
        }
    }

    private mutating func scanNumber() {
        let start = position
        skipDigits()
        guard peek(0) == UInt8(ascii: "."), isDigit(peek(1)) else {
            return append(.integer(String(decoding: text[start..<position], as: UTF8.self)), from: start)
        }
        position += 1
        skipDigits()
        if peek(0) == UInt8(ascii: "e") || peek(0) == UInt8(ascii: "E") {
            let signed = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-")
            if isDigit(peek(signed ? 2 : 1)) {
                position += signed ? 2 : 1
                skipDigits()
            }
        }
        let digits = String(decoding: text[start..<position], as: UTF8.self)
        guard let value = Double(digits), value.isFinite else {
            diagnostics.append(Diagnostic(.badNumber, start..<position, "\(digits) is beyond the range of a float"))
            return append(.float(0), from: start)
        }
        append(.float(value), from: start)
    }

    /// A doubled quote does not end the text and stays doubled; all quotes at both ends are stripped.
    private mutating func scanQuoted(_ quote: UInt8) {
        let start = position
        guard let close = closingQuote(quote, after: start) else { return reportUnterminated(quote, from: start) }
        position = close + 1
        appendQuoted(quote, from: start)
    }

    private func closingQuote(_ quote: UInt8, after start: Int) -> Int? {
        var next = start + 1
        while next < end {
            if text[next] != quote {
                next += 1
            } else if next + 1 < end, text[next + 1] == quote {
                next += 2
            } else {
                return next
            }
        }
        return nil
    }

    func quotedToken(_ quote: UInt8, _ span: Range<Int>) -> Token {
        var inner = text[span]
        while inner.first == quote { inner.removeFirst() }
        while inner.last == quote { inner.removeLast() }
        let kind: Token.Kind =
            quote == UInt8(ascii: "'")
            ? .string(Array(inner)) : .name(String(decoding: inner, as: UTF8.self), quoted: true)
        return Token(kind: kind, span: span)
    }

    mutating func appendQuoted(_ quote: UInt8, from start: Int) {
        tokens.append(quotedToken(quote, start..<position))
    }

    /// `[b..e]` is one token and has no white space.
    private mutating func scanRange() -> Bool {
        guard text[position] == UInt8(ascii: "[") else { return false }
        var next = position + 1
        guard let first = scanSigned(&next), next + 1 < end, text[next] == UInt8(ascii: "."),
            text[next + 1] == UInt8(ascii: ".")
        else { return false }
        next += 2
        guard let last = scanSigned(&next), next < end, text[next] == UInt8(ascii: "]") else { return false }
        let start = position
        position = next + 1
        guard let lower = Int(first), let upper = Int(last) else {
            diagnostics.append(Diagnostic(.badNumber, start..<position, "the bounds of a range must fit 64 bits"))
            append(.range(1, 1), from: start)
            return true
        }
        append(.range(lower, upper), from: start)
        return true
    }

    private func scanSigned(_ next: inout Int) -> String? {
        let start = next
        if next < end, text[next] == UInt8(ascii: "+") || text[next] == UInt8(ascii: "-") { next += 1 }
        let digits = next
        while next < end, isDigit(text[next]) { next += 1 }
        return next > digits ? String(decoding: text[start..<next], as: UTF8.self) : nil
    }

    private mutating func scanSymbol() {
        let start = position
        for symbol in Symbol.allCases where text[start..<end].starts(with: symbol.rawValue.utf8) {
            position += symbol.rawValue.utf8.count
            return append(.symbol(symbol), from: start)
        }
        position += 1
        while position < end, text[position] & 0xC0 == 0x80 { position += 1 }
        reportCharacter(start..<position)
    }

    mutating func append(_ kind: Token.Kind, from start: Int) {
        if case .keyword(let word) = kind,
            [.select, .foreach, .do, .incase, .from, .where, .when, .then].contains(word)
        {
            clause = word
        }
        tokens.append(Token(kind: kind, span: start..<position))
    }

    private mutating func skipDigits() {
        while position < end, isDigit(text[position]) { position += 1 }
    }

    func peek(_ distance: Int) -> UInt8 { position + distance < end ? text[position + distance] : 0 }

    func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }

    static func startsName(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
    }

    static func continuesName(_ byte: UInt8) -> Bool {
        startsName(byte) || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            || [UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: "@"), UInt8(ascii: "~")].contains(byte)
    }
}
