extension Parser {
    mutating func parseReference() throws -> Reference {
        let start = current.span
        guard case .name(let name, let isQuoted) = current.kind else {
            if case .keyword(let word) = current.kind, word != .from { reserved(word) } else { expected(["a name"]) }
            throw Recover()
        }
        advance()
        var steps: [Reference.Step] = []
        while let step = try parseStep() {
            steps.append(step)
            guard steps.count <= Self.maximumDepth else {
                try giveUp(start.lowerBound..<previousEnd, "a path has at most \(Self.maximumDepth) steps")
            }
        }
        return Reference(
            name: name, steps: steps, span: start.lowerBound..<previousEnd, nameSpan: start, isQuoted: isQuoted)
    }

    private mutating func parseStep() throws -> Reference.Step? {
        if takeSymbol(.dot) {
            let key = try parseKey()
            advance()
            return .key(key)
        }
        let open = current
        guard takeSymbol(.openBracket) else { return nil }
        if isAt(.as) || isAtClause {
            reportUnclosed(open)
            return .index(1, isFromEnd: false)
        }
        let start = index
        var step: Reference.Step?
        do {
            step = try parseIndex()
            if takeSymbol(.closeBracket) { return step }
            expected(["]"], hint: "an index is a number or a name; compute it in a field before")
        } catch {
            if hasGivenUp { throw error }
        }
        skipInBrackets(from: start)
        if !takeSymbol(.closeBracket) {
            guard step != nil, current.kind == .symbol(.comma) || isAtClause else { throw Recover() }
            diagnostics.removeAll { $0.code == .unexpectedToken && $0.span.lowerBound >= open.span.upperBound }
            reportUnclosed(open)
        }
        return step ?? .index(1, isFromEnd: false)
    }

    private mutating func reportUnclosed(_ open: Token) {
        diagnostics.append(
            Diagnostic(.unclosedBracket, open.span, "this `[` is not closed", hint: "write `]` behind the index"))
    }

    /// Leaves the key's token current.
    private mutating func parseKey() throws -> String {
        switch current.kind {
        case .name(let key, _): return key
        case .string(let bytes): return String(decoding: bytes, as: UTF8.self)
        case .integer(let digits):
            let significant = digits.drop { $0 == "0" }
            return significant.isEmpty ? "0" : String(significant)
        case .keyword(let word) where word != .from || isAdjoining:
            report(
                .reservedWord, "\(current.kind.description) is a reserved word",
                hint: "quote it: .'\(word.rawValue)'")
            return word.rawValue
        case .symbol(.times):
            expected(["a name", "a string", "a number"], hint: "without `.*` it is the whole value")
            return "*"
        case .symbol(.dot): try fail(expected: ["a name", "a string", "a number"], hint: "one dot between two names")
        default: try fail(expected: ["a name", "a string", "a number"])
        }
    }

    private mutating func parseIndex() throws -> Reference.Step {
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.maximumDepth else { try giveUp(current.span, "indexes are nested too deep") }
        switch current.kind {
        case .name: return .variable(try parseReference())
        case .string(let bytes):
            let key = String(decoding: bytes, as: UTF8.self)
            expected(["a number", "a name"], hint: "a key follows a dot: .\(Self.written(key))")
            advance()
            return .key(key)
        case .symbol(.times):
            try fail(expected: ["a number", "a name"], hint: "FOREACH takes all elements of an array")
        default: break
        }
        let isNegative = current.kind == .symbol(.minus)
        if isNegative || current.kind == .symbol(.plus) { advance() }
        guard case .integer(let digits) = current.kind else { try fail(expected: ["a number", "a name"]) }
        guard let index = Int(digits) else {
            report(.badNumber, "an index must fit 64 bits")
            throw Recover()
        }
        advance()
        return .index(isNegative ? -index : index, isFromEnd: isNegative)
    }

    /// The key as a path writes it.
    static func written(_ key: String) -> String {
        let isBare =
            key.utf8.first.map { Lexer.startsName($0) } ?? false && key.utf8.allSatisfy { Lexer.continuesName($0) }
        return isBare && Keyword(rawValue: key.lowercased()) == nil ? key : "'\(key)'"
    }
}
