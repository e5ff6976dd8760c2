import Buffers

/// Splits a statement into tokens, the longest match first. [EMQX rule-sql: grammar]
struct Lexer {
    private let text: [UInt8]
    private var position: Int
    private let end: Int
    /// A comment needs a line break at its end. On the statement's last line `--` is two minus signs, as in `1--1`,
    /// unless this is set.
    private let takesOpenComment: Bool
    private(set) var tokens: [Token] = []
    private(set) var diagnostics: [Diagnostic] = []
    /// Where a `--` on the last line stands, if there is one.
    private(set) var openComment: Int?

    init(_ text: [UInt8], takesOpenComment: Bool) {
        self.text = text
        self.takesOpenComment = takesOpenComment
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
        let byte = text[position]
        switch byte {
        case UInt8(ascii: "'"): scanQuoted(byte)
        case UInt8(ascii: "\""): scanQuoted(byte)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): scanNumber()
        case _ where Self.startsName(byte): scanName()
        default: if !scanRange() { scanSymbol() }
        }
    }

    private mutating func scanName() {
        let start = position
        while position < end, Self.continuesName(text[position]) { position += 1 }
        let name = String(decoding: text[start..<position], as: UTF8.self)
        if let keyword = Keyword(rawValue: name.lowercased()),
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
        position += 1
        while position < end {
            if text[position] != quote {
                position += 1
            } else if peek(1) == quote {
                position += 2
            } else {
                break
            }
        }
        guard position < end else {
            position = end
            let kind = quote == UInt8(ascii: "'") ? "string" : "quoted name"
            diagnostics.append(
                Diagnostic(
                    .unterminated, start..<start + 1, "this \(kind) has no end",
                    hint: "a quote inside is written twice; there are no backslash escapes"))
            return append(.invalid, from: start)
        }
        position += 1
        var inner = text[start..<position]
        while inner.first == quote { inner.removeFirst() }
        while inner.last == quote { inner.removeLast() }
        if quote == UInt8(ascii: "'") {
            append(.string(Array(inner)), from: start)
        } else {
            append(.name(String(decoding: inner, as: UTF8.self), quoted: true), from: start)
        }
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
        append(.invalid, from: start)
    }

    private mutating func reportCharacter(_ span: Range<Int>) {
        let character = String(decoding: text[span], as: UTF8.self)
        let hint: String? =
            switch character {
            case "`": "names are quoted with double quotes"
            case ";": "a rule is one statement and has no semicolon at its end"
            case "%": "the remainder is written `mod`"
            case "#": "a comment begins with `--`; a topic filter stands in quotes"
            case "_": "a name begins with a letter; others stand in double quotes"
            case "|": "text is joined with `+` or concat()"
            case "~": "topics are matched with `=~`"
            default: text[span.lowerBound] >= 0x80 ? "names beyond ASCII stand in double quotes" : nil
            }
        diagnostics.append(Diagnostic(.unknownCharacter, span, "`\(character)` has no meaning here", hint: hint))
    }

    private mutating func append(_ kind: Token.Kind, from start: Int) {
        tokens.append(Token(kind: kind, span: start..<position))
    }

    private mutating func skipDigits() {
        while position < end, isDigit(text[position]) { position += 1 }
    }

    private func peek(_ distance: Int) -> UInt8 { position + distance < end ? text[position + distance] : 0 }

    private func isDigit(_ byte: UInt8) -> Bool { byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || byte == 9 || byte == 10 || byte == 13 }

    private static func startsName(_ byte: UInt8) -> Bool {
        (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
    }

    private static func continuesName(_ byte: UInt8) -> Bool {
        startsName(byte) || byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
            || [UInt8(ascii: "_"), UInt8(ascii: "$"), UInt8(ascii: "@"), UInt8(ascii: "~")].contains(byte)
    }
}
