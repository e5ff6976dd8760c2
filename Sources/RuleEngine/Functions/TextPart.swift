internal import Buffers

/// Measures and parts of text.
enum TextPart {
    static func length(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        .integer(try characterCount(of: try arguments.subject(0, of: "strlen"), "strlen"))
    }

    static func characterCount(of text: Bytes, _ function: String) throws(EvaluationError) -> Int {
        text.isOneByteGraphemes ? text.count : try text.wellFormed(function).count
    }

    static func firstByte(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        guard let byte = try arguments.subject(0, of: "ascii").first else {
            throw .badArgument(function: "ascii", reason: "the text is empty")
        }
        return .integer(Int(byte))
    }

    static func substring(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "substr")
        let start = try arguments.integer(1, of: "substr")
        let length = arguments.count > 2 ? try arguments.integer(2, of: "substr") : Int.max
        if length == 0 { return .emptyString }
        guard start >= 0, length >= 0 else {
            throw .badArgument(function: "substr", reason: "start and length are not negative")
        }
        if start == 0, length == Int.max { return .string(text) }
        if text.isOneByteGraphemes {
            let first = min(start, text.count)
            return .string(text.part(first..<first + min(length, text.count - first)))
        }
        let characters = try text.wellFormed("substr")
        let last = characters.endIndex
        guard let first = characters.index(characters.startIndex, offsetBy: start, limitedBy: last) else {
            return .emptyString
        }
        let end = characters.index(first, offsetBy: length, limitedBy: last) ?? last
        let offset = characters.utf8.distance(from: characters.startIndex, to: first)
        return .string(text.part(offset..<offset + characters.utf8.distance(from: first, to: end)))
    }

    static func removePrefix(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        // What does not begin with the prefix comes back as it is, whatever its type.
        let prefix = try arguments.text(1, of: "rm_prefix")
        guard arguments[0].isText else { return arguments[0] }
        let text = arguments[0].bytes
        guard text.starts(with: prefix) else { return .string(text) }
        return .string(text.part(prefix.count..<text.count))
    }

    static func find(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "find")
        let bytes = try arguments.text(1, of: "find")
        let side = arguments.count > 2 ? try arguments.side("find", 2, ["leading", "trailing"]) : 0
        guard bytes.count > 0 else { return .string(text) }
        let pattern = BytePattern(bytes)
        guard let hit = side == 0 ? pattern.first(in: text) : pattern.last(in: text) else { return .emptyString }
        return .string(text.part(hit..<text.count))
    }
}

// Arrays of parts. They lie in the text they are parts of.
extension TextPart {
    private static let splitOptions: [StaticString] = [
        "notrim", "leading", "leading_notrim", "trailing", "trailing_notrim",
    ]

    static func split(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "split")
        let separator = try arguments.text(1, of: "split")
        let option = arguments.count > 2 ? try arguments.side("split", 2, splitOptions) + 1 : 0
        let keepsEmpty = option % 2 == 1
        guard separator.count > 0 else { return try parts([text], keepsEmpty, context.arena) }
        if option < 2 { return try splitEverywhere(text, separator, keepsEmpty, context.arena) }
        let pattern = BytePattern(separator)
        guard let hit = option < 4 ? pattern.first(in: text) : pattern.last(in: text) else {
            return try parts([text], keepsEmpty, context.arena)
        }
        let rest = text.part(hit + separator.count..<text.count)
        return try parts([text.part(0..<hit), rest], keepsEmpty, context.arena)
    }

    private static func parts(_ parts: [Bytes], _ keepsEmpty: Bool, _ arena: Arena) throws(EvaluationError) -> Value {
        try arena.array(parts.filter { keepsEmpty || $0.count > 0 }.map { .string($0) })
    }

    private static func splitEverywhere(
        _ text: Bytes, _ separator: Bytes, _ keepsEmpty: Bool, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        let pattern = BytePattern(separator)
        var count = 1
        var position = 0
        while let hit = pattern.first(in: text, from: position) {
            count += 1
            position = hit + separator.count
        }
        let parts = try arena.allocate(Value.self, count: count)
        var used = 0
        position = 0
        while position <= text.count {
            let hit = pattern.first(in: text, from: position) ?? text.count
            if hit > position || keepsEmpty {
                parts[used] = .string(text.part(position..<hit))
                used += 1
            }
            // Behind the end when there is no further separator.
            position = hit + separator.count
        }
        return .array(UnsafeBufferPointer(rebasing: parts[0..<used]))
    }

    static func tokens(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "tokens")
        var separators = CharacterSetText(try arguments.text(1, of: "tokens"))
        if arguments.count > 2 {
            _ = try arguments.side("tokens", 2, ["nocrlf"])
            separators.insert(0x0D)
            separators.insert(0x0A)
        }
        var count = 0
        eachToken(of: text, separators) { _ in count += 1 }
        let parts = try context.arena.allocate(Value.self, count: count)
        var used = 0
        eachToken(of: text, separators) { token in
            parts[used] = .string(token)
            used += 1
        }
        return .array(UnsafeBufferPointer(parts))
    }

    private static func eachToken(of text: Bytes, _ separators: CharacterSetText, _ take: (Bytes) -> Void) {
        var start = 0
        var position = 0
        while position < text.count {
            let (code, length) = text.code(at: position)
            if separators.contains(code) {
                if position > start { take(text.part(start..<position)) }
                start = position + length
            }
            position += length
        }
        if position > start { take(text.part(start..<position)) }
    }
}
