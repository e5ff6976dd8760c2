/// What other languages have and this one has not: each is reported once, and read as what was meant, so that the rest
/// of the statement is looked at as well.
extension Lexer {
    /// An operator of another language, and the token that stands for it here.
    private struct Foreign {
        let text: String
        let meaning: Token.Kind
        let hint: String
    }

    /// None of these can stand in a valid statement. The longer ones first.
    private static let operators: [Foreign] = [
        Foreign(text: "===", meaning: .symbol(.equal), hint: "equality is written `=`"),
        Foreign(text: "==", meaning: .symbol(.equal), hint: "equality is written `=`"),
        Foreign(text: "!==", meaning: .symbol(.notEqual), hint: "inequality is written `!=` or `<>`"),
        Foreign(text: "=<", meaning: .symbol(.lessOrEqual), hint: "at most is written `<=`"),
        Foreign(text: "=>", meaning: .symbol(.greaterOrEqual), hint: "at least is written `>=`"),
        Foreign(text: ":=", meaning: .symbol(.equal), hint: "a value gets its name behind it: 1 AS x"),
        Foreign(text: "&&", meaning: .keyword(.and), hint: "conditions are joined with AND"),
        Foreign(text: "->>", meaning: .symbol(.dot), hint: "a path is written with dots: payload.temp"),
        Foreign(text: "->", meaning: .symbol(.dot), hint: "a path is written with dots: payload.temp"),
        Foreign(text: "**", meaning: .symbol(.times), hint: "use power(x, y)"),
        Foreign(text: "&", meaning: .symbol(.plus), hint: "use AND for conditions, bitand(x, y) for bits"),
        Foreign(text: "^", meaning: .symbol(.plus), hint: "use power(x, y), or bitxor(x, y) for bits"),
    ]

    /// - Returns: false where the language itself has something that begins with this byte.
    mutating func scanForeign() -> Bool {
        let start = position
        if text[start] >= 0x80 { return scanTypographic() }
        if scanPathRoot() || scanComment() || scanBraces() || scanBackticks() || scanBars() || scanCast()
            || scanUnderscore()
        {
            return true
        }
        for foreign in Self.operators where starts(with: foreign.text) {
            position += foreign.text.utf8.count
            reportForeign(start..<position, "`\(foreign.text)` is no operator of rule SQL", hint: foreign.hint)
            append(foreign.meaning, from: start)
            return true
        }
        guard text[start] == UInt8(ascii: "!"), peek(1) != UInt8(ascii: "=") else { return false }
        position += 1
        reportForeign(start..<position, "`!` is no operator of rule SQL", hint: "write NOT")
        append(.keyword(.not), from: start)
        return true
    }

    /// `||` joins text in one dialect and conditions in another; where it stands tells.
    private mutating func scanBars() -> Bool {
        guard text[position] == UInt8(ascii: "|") else { return false }
        let start = position
        position += peek(1) == UInt8(ascii: "|") ? 2 : 1
        let isCondition = [.where, .incase, .when].contains(clause) && position - start == 2
        let name = String(decoding: text[start..<position], as: UTF8.self)
        reportForeign(
            start..<position, "`\(name)` is no operator of rule SQL",
            hint: isCondition ? "conditions are joined with OR" : "text is joined with `+` or concat(a, b)")
        append(isCondition ? .keyword(.or) : .symbol(.plus), from: start)
        return true
    }

    /// `$.payload.temp`.
    private mutating func scanPathRoot() -> Bool {
        guard starts(with: "$.") else { return false }
        position += 2
        reportForeign(position - 2..<position, "a path has no `$`", hint: "it begins with the column: payload.temp")
        return true
    }

    /// `x::int`.
    private mutating func scanCast() -> Bool {
        guard starts(with: "::") else { return false }
        let start = position
        position += 2
        while position < end, Self.continuesName(text[position]) { position += 1 }
        reportForeign(start..<position, "there are no casts", hint: "convert with int(x), float(x), str(x) or bool(x)")
        return true
    }

    /// `/* … */`, `// …` and `# …`.
    private mutating func scanComment() -> Bool {
        let start = position
        if starts(with: "/*"), let close = find("*/", from: start + 2) {
            position = close + 2
        } else if starts(with: "//")
            || text[start] == UInt8(ascii: "#") && (start == 0 || Self.isSpace(text[start - 1]))
        {
            position = text[start..<end].firstIndex(of: UInt8(ascii: "\n")) ?? end
        } else {
            return false
        }
        let shown = text[start] == UInt8(ascii: "#") ? "#" : starts(with: "//", at: start) ? "//" : "/* */"
        reportForeign(
            start..<start + (shown == "#" ? 1 : 2), "`\(shown)` begins no comment",
            hint: "a comment begins with `--` and ends with its line; a topic filter stands in quotes")
        return true
    }

    /// Placeholders of templates, and objects.
    private mutating func scanBraces() -> Bool {
        let start = position
        let open = starts(with: "${") ? start + 1 : start
        guard text[open] == UInt8(ascii: "{"), let close = closingBrace(open) else { return false }
        position = close + 1
        let shown = String(decoding: text[start..<position], as: UTF8.self)
        let inner = shown.drop { "${ ".contains($0) }.prefix { !"} ".contains($0) }
        let short = shown.count > 40 ? shown.prefix(40) + "…" : shown[...]
        if open > start {
            reportForeign(
                start..<position, "`\(short)` is a placeholder, which templates of actions have",
                hint: "in SQL the column itself is written: \(inner)")
        } else if starts(with: "{{", at: start) {
            reportForeign(
                start..<position, "`\(short)` is of a template language, which SQL is not run through",
                hint: "in SQL the column itself is written: \(inner)")
        } else if starts(with: "{%", at: start) {
            reportForeign(
                start..<position, "`\(short)` is of a template language, which SQL is not run through",
                hint: "a choice is written CASE WHEN … THEN … ELSE … END")
            return true
        } else {
            reportForeign(
                start..<position, "objects cannot be written out",
                hint: "build one with aliases, `1 AS obj.a`, or with json_decode('{\"a\":1}')")
        }
        append(.invalid, from: start)
        return true
    }

    private func closingBrace(_ open: Int) -> Int? {
        var depth = 0
        for index in open..<end {
            if text[index] == UInt8(ascii: "{") { depth += 1 }
            if text[index] == UInt8(ascii: "}") {
                depth -= 1
                if depth == 0 { return index }
            }
        }
        return nil
    }

    private mutating func scanBackticks() -> Bool {
        let start = position
        guard text[start] == UInt8(ascii: "`"), let close = find("`", from: start + 1) else { return false }
        position = close + 1
        let name = String(decoding: text[start + 1..<close], as: UTF8.self)
        reportForeign(start..<position, "names are not quoted with backticks", hint: "write \"\(name)\"")
        append(.name(name, quoted: true), from: start)
        return true
    }

    private mutating func scanUnderscore() -> Bool {
        guard text[position] == UInt8(ascii: "_") else { return false }
        let start = position
        while position < end, Self.continuesName(text[position]) { position += 1 }
        let name = String(decoding: text[start..<position], as: UTF8.self)
        diagnostics.append(
            Diagnostic(
                .unknownCharacter, start..<position, "a bare name begins with a letter, unlike `\(name)`",
                hint: "write \"\(name)\""))
        append(.name(name, quoted: true), from: start)
        return true
    }

    /// `FROM t/#`: filters stand in quotes; what is only a name needs none.
    mutating func scanBareTopic() -> Bool {
        switch tokens.last?.kind {
        case .keyword(.from)?: break
        case .symbol(.comma)? where clause == .from: break
        default: return false
        }
        var next = position
        while next < end, !Self.isSpace(text[next]), !",;'\"()`“”‘’，".utf8.contains(text[next]) {
            if text[next] == UInt8(ascii: "-"), next + 1 < end, text[next + 1] == UInt8(ascii: "-") { break }
            next += 1
        }
        let bare = String(decoding: text[position..<next], as: UTF8.self)
        guard bare.utf8.contains(where: { !Self.continuesName($0) }), bare.first != "{", !bare.hasPrefix("${") else {
            return false
        }
        let start = position
        position = next
        diagnostics.append(
            Diagnostic(
                .unexpectedToken, start..<next, "a topic filter stands in quotes", hint: "write \"\(bare)\""))
        append(.string(Array(bare.utf8)), from: start)
        return true
    }

    /// What begins with this quote and never ends. Read on as far as something can be made of it.
    mutating func reportUnterminated(_ quote: UInt8, from start: Int) {
        if repairSmartEnd(quote, from: start) || repairBackslash(quote, from: start) { return }
        let kind = quote == UInt8(ascii: "'") ? "string" : "quoted name"
        if let (culprit, word) = runaway(quote) {
            let span = tokens[culprit].span.lowerBound..<tokens[culprit].span.lowerBound + 1
            tokens.removeSubrange(culprit...)
            diagnostics.removeAll { $0.span.lowerBound >= span.lowerBound }
            diagnostics.append(
                Diagnostic(
                    .unterminated, span, "this \(kind) seems to have no end: it runs on over \(word)",
                    hint: "the number of quotes is odd; write the one that is missing"))
            position = end
            return append(.invalid, from: span.lowerBound)
        }
        position = end
        diagnostics.append(
            Diagnostic(
                .unterminated, start..<start + 1, "this \(kind) has no end",
                hint: "write the closing \(quote == UInt8(ascii: "'") ? "`'`" : "`\"`")"))
        append(.invalid, from: start)
    }

    /// An earlier text in the same quotes with a clause inside, which is then rather between two texts.
    private func runaway(_ quote: UInt8) -> (index: Int, word: String)? {
        for (index, token) in tokens.enumerated() where text[token.span.lowerBound] == quote {
            let words = String(decoding: text[token.span], as: UTF8.self).split { !$0.isLetter }
            for word in words where ["FROM", "WHERE", "AS", "AND"].contains(word.uppercased()) {
                return (index, String(word))
            }
        }
        return nil
    }

    /// `'it\'s'`: the string ends at the first quote; with the backslash as an escape the rest makes sense.
    private mutating func repairBackslash(_ quote: UInt8, from start: Int) -> Bool {
        guard
            let escaped = tokens.lastIndex(where: { token in
                token.span.count > 2 && text[token.span.lowerBound] == quote && text[token.span.upperBound - 1] == quote
                    && text[token.span.upperBound - 2] == UInt8(ascii: "\\")
            })
        else { return false }
        let begin = tokens[escaped].span.lowerBound
        var next = begin + 1
        while next < end, text[next] != quote { next += text[next] == UInt8(ascii: "\\") ? 2 : 1 }
        guard next < end else { return false }
        let backslash = tokens[escaped].span.upperBound - 2
        tokens.removeSubrange(escaped...)
        diagnostics.removeAll { $0.span.lowerBound >= begin }
        diagnostics.append(
            Diagnostic(
                .unterminated, backslash..<backslash + 2, "a backslash escapes nothing: the text ends at this quote",
                hint: quote == UInt8(ascii: "'")
                    ? "write a line break or a quote with unescape('it\\x27s')" : "leave the quote out"))
        position = next + 1
        appendQuoted(quote, from: begin)
        return true
    }
}

extension Lexer {
    func starts(with prefix: String, at index: Int? = nil) -> Bool {
        text[(index ?? position)..<end].starts(with: prefix.utf8)
    }

    func find(_ wanted: String, from start: Int) -> Int? {
        guard start < end else { return nil }
        let bytes = Array(wanted.utf8)
        return (start..<end).first { text[$0..<end].starts(with: bytes) }
    }

    mutating func reportForeign(_ span: Range<Int>, _ message: String, hint: String) {
        diagnostics.append(Diagnostic(.foreignSyntax, span, message, hint: hint))
    }

    /// A character that means nothing. What it most likely was decides whether something stands for it.
    mutating func reportCharacter(_ span: Range<Int>) {
        let character = String(decoding: text[span], as: UTF8.self)
        var hint: String?
        switch character {
        case "`": hint = "names are quoted with double quotes"
        case "#":
            hint = "a topic filter stands in quotes"
            append(.invalid, from: span.lowerBound)
        case ";": hint = "a rule is one statement and has no semicolon at its end"
        case "%":
            hint = "the remainder is written `mod`"
            append(.keyword(.mod), from: span.lowerBound)
        case "~":
            hint = "topics are matched with `=~`"
            append(.symbol(.matchesTopic), from: span.lowerBound)
        case "$", "@": hint = "a column is written without it"
        case "\\": hint = "there are no escapes; a line may just break"
        case ":":
            hint = "a range is written [1..2], a name is given with AS"
            append(.invalid, from: span.lowerBound)
        case "?":
            hint = "there are no parameters; write the value"
            append(.invalid, from: span.lowerBound)
        default: append(.invalid, from: span.lowerBound)
        }
        diagnostics.append(Diagnostic(.unknownCharacter, span, "`\(character)` has no meaning here", hint: hint))
    }
}
