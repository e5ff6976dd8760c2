extension YAMLNode {
    /// The place in the file of a byte of the scalar's value.
    ///
    /// Exact in literal blocks, and in plain and quoted scalars of one line that hold no escapes. Elsewhere (folded blocks,
    /// several lines, escapes, text replaced at load) it is the scalar's own place.
    package func position(ofByteOffset offset: Int) -> SourcePosition {
        guard let text, uninterpolated == nil else { return start }
        switch style {
        case .literal: return positionInLiteral(text, offset) ?? start
        case .plain, .singleQuoted, .doubleQuoted: return positionInLine(text, offset) ?? start
        case .folded, .block, .flow: return start
        }
    }

    /// True when `position(ofByteOffset:)` is exact.
    package var hasExactPositions: Bool {
        guard let text, !text.isEmpty else { return false }
        return uninterpolated == nil && (style == .literal || positionInLine(text, 0) != nil)
    }

    private func positionInLiteral(_ text: String, _ offset: Int) -> SourcePosition? {
        let utf8 = text.utf8
        let end = utf8.index(utf8.startIndex, offsetBy: min(max(offset, 0), utf8.count))
        var line = 0
        var column = 0
        for byte in utf8[..<end] {
            if byte == 0x0A {
                line += 1
                column = 0
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        return SourcePosition(line: start.line + 1 + line, column: literalIndent(text) + column + 1)
    }

    /// Spaces in front of a literal block's lines: what the source's first non-empty line has more than the value's.
    private func literalIndent(_ text: String) -> Int {
        var number = start.line + 1
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            let own = line.utf8.prefix { $0 == 0x20 }.count
            if own < line.utf8.count {
                return source.text(ofLine: number).utf8.prefix { $0 == 0x20 }.count - own
            }
            number += 1
        }
        return max(start.column - 1, 0)
    }

    private func positionInLine(_ text: String, _ offset: Int) -> SourcePosition? {
        guard start.line == end.line else { return nil }
        let quote = style == .plain ? 0 : 1
        let first = source.byteOffset(of: start) + quote
        let utf8 = Array(text.utf8)
        guard first + utf8.count <= source.bytes.count, source.bytes[first..<first + utf8.count].elementsEqual(utf8)
        else { return nil }
        return source.position(ofByte: first + min(max(offset, 0), utf8.count))
    }
}
