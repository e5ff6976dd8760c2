/// Characters that word processors, chats and input methods put in the place of ASCII ones. Each is reported and read
/// as what it looks like.
extension Lexer {
    private static let lookalikes: [UInt32: String] = [
        0x3001: ",", 0x3002: ".", 0x3010: "[", 0x3011: "]", 0x2010: "-", 0x2011: "-", 0x2012: "-", 0x2013: "-",
        0x2014: "-", 0x2212: "-", 0xD7: "*", 0xF7: "/", 0x2260: "!=", 0x2264: "<=", 0x2265: ">=", 0xA0: " ",
        0x3000: " ", 0x202F: " ", 0xFEFF: "", 0x200B: "", 0x200C: "", 0x200D: "", 0x2018: "'", 0x2019: "'",
        0x201A: "'", 0x201B: "'", 0xB4: "'", 0x2032: "'", 0x201C: "\"", 0x201D: "\"", 0x201E: "\"", 0x201F: "\"",
        0x2033: "\"", 0x300C: "\"", 0x300D: "\"", 0x300E: "\"", 0x300F: "\"", 0xAB: "\"", 0xBB: "\"",
    ]

    /// What the scalar is taken for, if for anything. The full-width forms lie in the order of ASCII.
    private static func lookalike(_ scalar: Unicode.Scalar) -> String? {
        if (0xFF01...0xFF5E).contains(scalar.value) { return Unicode.Scalar(scalar.value - 0xFEE0).map { String($0) } }
        return lookalikes[scalar.value]
    }

    private func scalar(at index: Int) -> Unicode.Scalar? {
        guard index < end else { return nil }
        var decoder = UTF8()
        var bytes = text[index..<end].prefix(4).makeIterator()
        guard case .scalarValue(let scalar) = decoder.decode(&bytes) else { return nil }
        return scalar
    }

    mutating func scanTypographic() -> Bool {
        let start = position
        guard let scalar = scalar(at: start) else { return false }
        guard let meant = Self.lookalike(scalar), !isFullWidthLetter(meant) else {
            return scanLettersBeyondASCII(from: start)
        }
        position += UTF8.width(scalar)
        if meant == "'" || meant == "\"" {
            scanTypographicQuotes(meant.utf8.first ?? 0, from: start)
            return true
        }
        var written = meant
        // `！＝` and `！=`.
        if let next = self.scalar(at: position), let second = Self.lookalike(next) ?? ascii(next),
            Symbol(rawValue: meant + second) != nil
        {
            written += second
            position += UTF8.width(next)
        }
        report(start..<position, written)
        if let symbol = Symbol(rawValue: written) {
            append(.symbol(symbol), from: start)
        } else if written == "!" {
            append(.keyword(.not), from: start)
        } else if written == "%" {
            append(.keyword(.mod), from: start)
        } else if !written.isEmpty, written != " ", written != ";" {
            append(.invalid, from: start)
        }
        return true
    }

    private func ascii(_ scalar: Unicode.Scalar) -> String? { scalar.isASCII ? String(scalar) : nil }

    private func isFullWidthLetter(_ meant: String) -> Bool {
        meant.utf8.count == 1 && meant.utf8.allSatisfy { Self.continuesName($0) }
    }

    private mutating func report(_ span: Range<Int>, _ meant: String) {
        let shown = String(decoding: text[span], as: UTF8.self)
        switch meant {
        case " ":
            diagnostics.append(
                Diagnostic(
                    .typographicCharacter, span, "this is not the ordinary space", hint: "type the space again"))
        case "":
            diagnostics.append(
                Diagnostic(.typographicCharacter, span, "an invisible character stands here", hint: "delete it"))
        case ";":
            diagnostics.append(
                Diagnostic(
                    .typographicCharacter, span, "`\(shown)` is not the ASCII character it looks like",
                    hint: "leave it out: a rule has no semicolon at its end"))
        default:
            diagnostics.append(
                Diagnostic(
                    .typographicCharacter, span, "`\(shown)` is not the ASCII character it looks like",
                    hint: "write `\(meant)`"))
        }
    }

    /// `“t/#”`, closed by anything that looks like the same quote.
    private mutating func scanTypographicQuotes(_ quote: UInt8, from start: Int) {
        let open = position
        guard let (close, after) = typographicEnd(quote, from: open) else {
            position = end
            diagnostics.append(
                Diagnostic(
                    .unterminated, start..<open, "this typographic quote is no quote, and has no end",
                    hint: quote == UInt8(ascii: "'") ? "text stands in '…'" : "names and topics stand in \"…\""))
            return append(.invalid, from: start)
        }
        position = after
        let inner = String(decoding: text[open..<close], as: UTF8.self)
        let mark = quote == UInt8(ascii: "'") ? "'" : "\""
        diagnostics.append(
            Diagnostic(
                .typographicCharacter, start..<after, "these are typographic quotes",
                hint: "write \(mark)\(inner)\(mark)"))
        append(mark == "'" ? .string(Array(inner.utf8)) : .name(inner, quoted: true), from: start)
    }

    private func typographicEnd(_ quote: UInt8, from start: Int) -> (close: Int, after: Int)? {
        var index = start
        while let scalar = scalar(at: index) {
            let next = index + UTF8.width(scalar)
            let looks = Self.lookalike(scalar) ?? String(scalar)
            if looks.utf8.count == 1, looks.utf8.first == quote { return (index, next) }
            index = next
        }
        return nil
    }

    /// `'abc’`: begun with the right quote and ended with a typographic one.
    mutating func repairSmartEnd(_ quote: UInt8, from start: Int) -> Bool {
        guard let (close, after) = typographicEnd(quote, from: start + 1) else { return false }
        position = start + 1
        let inner = String(decoding: text[start + 1..<close], as: UTF8.self)
        let mark = quote == UInt8(ascii: "'") ? "'" : "\""
        diagnostics.append(
            Diagnostic(
                .typographicCharacter, close..<after, "a typographic quote does not end the text",
                hint: "write \(mark)\(inner)\(mark)"))
        position = after
        append(mark == "'" ? .string(Array(inner.utf8)) : .name(inner, quoted: true), from: start)
        return true
    }

    /// A bare name with letters beyond ASCII, from its first letter, which may be an ASCII one.
    mutating func scanLettersBeyondASCII(from start: Int) -> Bool {
        guard let first = scalar(at: position), isLetter(first) else { return false }
        while let scalar = scalar(at: position),
            isLetter(scalar) || scalar.isASCII && Self.continuesName(text[position])
        {
            position += UTF8.width(scalar)
        }
        let name = String(decoding: text[start..<position], as: UTF8.self)
        diagnostics.append(
            Diagnostic(
                .unknownCharacter, start..<position, "`\(name)` is no bare name: it has letters beyond ASCII",
                hint: "write \"\(name)\", or '\(name)' if it is a text"))
        append(.name(name, quoted: true), from: start)
        return true
    }

    private func isLetter(_ scalar: Unicode.Scalar) -> Bool {
        !scalar.isASCII && scalar.properties.isAlphabetic
            && (Self.lookalike(scalar).map { isFullWidthLetter($0) } ?? true)
    }
}
