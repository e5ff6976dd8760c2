internal import Buffers

/// Case, white space, order and width of text.
enum TextShape {
    static func lower(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "lower")
        guard text.isASCII else { return try context.arena.string(try text.wellFormed("lower").lowercased()) }
        return try map(text, context.arena) { $0 &- 0x41 < 26 ? $0 | 0x20 : $0 }
    }

    static func upper(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "upper")
        guard text.isASCII else { return try context.arena.string(try text.wellFormed("upper").uppercased()) }
        return try map(text, context.arena) { $0 &- 0x61 < 26 ? $0 & 0xDF : $0 }
    }

    @inline(__always)
    private static func map(
        _ text: Bytes, _ arena: Arena, _ change: (UInt8) -> UInt8
    ) throws(EvaluationError) -> Value {
        guard text.count > 0 else { return .emptyString }
        let result = try arena.bytes(count: text.count)
        for index in 0..<text.count { result[index] = change(text[index]) }
        return .string(Bytes(result))
    }

    static func reverse(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "reverse")
        guard text.isOneByteGraphemes else {
            return try context.arena.string(String(try text.wellFormed("reverse").reversed()))
        }
        guard text.count > 0 else { return .emptyString }
        let result = try context.arena.bytes(count: text.count)
        for index in 0..<text.count { result[index] = text[text.count - 1 - index] }
        return .string(Bytes(result))
    }
}

// White space is what Unicode calls pattern white space.
extension TextShape {
    static func trim(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "trim")
        let end = self.end(of: text, isWhiteSpace)
        return .string(text.part(start(of: text.part(0..<end))..<end))
    }

    static func trimStart(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "ltrim")
        return .string(text.part(start(of: text)..<text.count))
    }

    static func trimEnd(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "rtrim")
        guard arguments.count > 1 else { return .string(text.part(0..<end(of: text, isWhiteSpace))) }
        let characters = CharacterSetText(try arguments.text(1, of: "rtrim"))
        return .string(text.part(0..<end(of: text) { characters.contains($0) }))
    }

    private static func start(of text: Bytes) -> Int {
        var start = 0
        while start < text.count {
            let (code, length) = text.code(at: start)
            guard isWhiteSpace(code) else { break }
            start += length
        }
        return start
    }

    private static func end(of text: Bytes, _ isCut: (UInt32) -> Bool) -> Int {
        var end = text.count
        while end > 0 {
            let (code, length) = text.code(before: end)
            guard isCut(code) else { break }
            end -= length
        }
        return end
    }

    private static func isWhiteSpace(_ code: UInt32) -> Bool {
        switch code {
        case 0x09...0x0D, 0x20, 0x85, 0x200E, 0x200F, 0x2028, 0x2029: true
        default: false
        }
    }
}

extension TextShape {
    static func pad(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "pad")
        let length = try arguments.integer(1, of: "pad")
        let side = arguments.count > 2 ? try arguments.side("pad", 2, ["trailing", "leading", "both"]) : 0
        let filler = arguments.count > 3 ? try arguments.text(3, of: "pad") : Value.string(" ").bytes
        let count = try TextPart.characterCount(of: text, "pad")
        guard length > count, filler.count > 0 else { return .string(text) }
        let missing = length - count
        let before = side == 0 ? 0 : side == 1 ? missing : missing / 2
        let (fill, overflow) = missing.multipliedReportingOverflow(by: filler.count)
        guard !overflow, fill <= context.arena.limit else { throw .memoryLimit }
        let result = try context.arena.bytes(count: fill + text.count)
        let start = before * filler.count
        repeated(filler, UnsafeMutableRawBufferPointer(rebasing: result[0..<start]))
        UnsafeMutableRawBufferPointer(rebasing: result[start..<start + text.count]).copyMemory(from: text)
        repeated(filler, UnsafeMutableRawBufferPointer(rebasing: result[(start + text.count)...]))
        return .string(Bytes(result))
    }

    /// Fills memory whose size is a multiple of the filler's, doubling what is there.
    static func repeated(_ filler: Bytes, _ target: UnsafeMutableRawBufferPointer) {
        guard let base = target.baseAddress, target.count >= filler.count else { return }
        target.copyBytes(from: filler)
        var done = filler.count
        while done > 0, done < target.count {
            let more = min(done, target.count - done)
            (base + done).copyMemory(from: base, byteCount: more)
            done += more
        }
    }
}

extension Arguments {
    /// The index of a word among those that a function knows.
    func side(_ function: String, _ index: Int, _ words: [StaticString]) throws(EvaluationError) -> Int {
        let word = try text(index, of: function)
        for (number, known) in words.enumerated() where compareBytes(word, Value.string(known).bytes) == 0 {
            return number
        }
        throw .badArgument(function: function, reason: "argument \(index + 1) is one of \(words)")
    }
}
