internal import Buffers

/// Text with parts exchanged.
enum TextChange {
    static func replace(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "replace")
        let pattern = try arguments.text(1, of: "replace")
        let replacement = try arguments.text(2, of: "replace")
        let place = arguments.count > 3 ? try arguments.side("replace", 3, ["all", "leading", "trailing"]) : 0
        guard pattern.count > 0 else { return .string(text) }
        if place == 0 { return try replaceAll(text, pattern, replacement, context.arena) }
        let search = BytePattern(pattern)
        guard let hit = place == 1 ? search.first(in: text) : search.last(in: text) else { return .string(text) }
        let result = try context.arena.bytes(count: text.count - pattern.count + replacement.count)
        var writer = Writer(result)
        writer.append(text.part(0..<hit))
        writer.append(replacement)
        writer.append(text.part(hit + pattern.count..<text.count))
        return .string(Bytes(result))
    }

    private static func replaceAll(
        _ text: Bytes, _ pattern: Bytes, _ replacement: Bytes, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        let search = BytePattern(pattern)
        var count = 0
        var position = 0
        while let hit = search.first(in: text, from: position) {
            count += 1
            position = hit + pattern.count
        }
        guard count > 0 else { return .string(text) }
        let (added, overflow) = count.multipliedReportingOverflow(by: replacement.count)
        guard !overflow, added <= arena.limit else { throw .memoryLimit }
        let result = try arena.bytes(count: text.count - count * pattern.count + added)
        var writer = Writer(result)
        position = 0
        while let hit = search.first(in: text, from: position) {
            writer.append(text.part(position..<hit))
            writer.append(replacement)
            position = hit + pattern.count
        }
        writer.append(text.part(position..<text.count))
        return .string(Bytes(result))
    }

    /// Fills memory whose size is that of all that is appended.
    private struct Writer {
        private var rest: UnsafeMutableRawBufferPointer

        init(_ target: UnsafeMutableRawBufferPointer) { rest = target }

        mutating func append(_ bytes: Bytes) {
            rest.copyMemory(from: bytes)
            rest = UnsafeMutableRawBufferPointer(rebasing: rest[bytes.count...])
        }
    }
}

extension TextChange {
    /// No escape is shorter than the UTF-8 of what it stands for, so the result fits in the text's length.
    static func unescape(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments.subject(0, of: "unescape")
        guard text.contains(UInt8(ascii: "\\")) else { return .string(text) }
        let result = try context.arena.bytes(count: text.count)
        var used = 0
        var position = 0
        while position < text.count {
            let byte = text[position]
            position += 1
            guard byte == UInt8(ascii: "\\"), position < text.count else {
                result[used] = byte
                used += 1
                continue
            }
            let scalar = try escaped(text, &position)
            guard let target = result.baseAddress?.assumingMemoryBound(to: UInt8.self) else { break }
            if scalar < 0x80 {
                target[used] = UInt8(scalar)
                used += 1
            } else {
                used += storeUTF8(scalar, at: target + used)
            }
        }
        return .string(Bytes(rebasing: result[0..<used]))
    }

    /// - Parameter position: of the character behind the backslash; then behind the escape.
    private static func escaped(_ text: Bytes, _ position: inout Int) throws(EvaluationError) -> UInt32 {
        let letter = text[position]
        position += 1
        switch letter {
        case UInt8(ascii: "n"): return 0x0A
        case UInt8(ascii: "t"): return 0x09
        case UInt8(ascii: "r"): return 0x0D
        case UInt8(ascii: "b"): return 0x08
        case UInt8(ascii: "f"): return 0x0C
        case UInt8(ascii: "v"): return 0x0B
        case UInt8(ascii: "a"): return 0x07
        case UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "?"), UInt8(ascii: "\\"): return UInt32(letter)
        case UInt8(ascii: "x"): return try hexadecimal(text, &position)
        default: throw .badArgument(function: "unescape", reason: "the text has an unknown escape")
        }
    }

    private static func hexadecimal(_ text: Bytes, _ position: inout Int) throws(EvaluationError) -> UInt32 {
        let start = position
        var code: UInt32 = 0
        while position < text.count, let digit = hexDigitValue(text[position]) {
            code = min(code << 4 | UInt32(digit), 0x11_0000)
            position += 1
        }
        guard position > start, Unicode.Scalar(code) != nil else {
            throw .badArgument(function: "unescape", reason: "\\x takes the hexadecimal digits of a code point")
        }
        return code
    }
}
