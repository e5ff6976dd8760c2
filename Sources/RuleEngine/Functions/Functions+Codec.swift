internal import Buffers

// Bytes and values in the forms that other systems read. [EMQX rule-sql: encoding]
extension FunctionTable {
    static let codec: [FunctionEntry] = base64 + json + term

    private static let base64: [FunctionEntry] = [
        FunctionEntry(
            "base64_encode", .codec, [.init("s", .string)], returns: .string,
            doc: "Base 64 with the standard alphabet and padding.",
            examples: [.init("base64_encode('Hi')", "'SGk='"), .init("base64_encode(1)", nil)],
            body: { arguments, context throws(EvaluationError) in
                let bytes = try arguments.text(0, of: "base64_encode")
                let scratch = context.arena.scratch
                scratch.removeAll()
                ByteEncodings.appendBase64(bytes, to: scratch)
                return try context.arena.string(copying: scratch.bytes)
            }),
        FunctionEntry(
            "base64_decode", .codec, [.init("s", .string)], returns: .string,
            doc: "The bytes of base 64 text; white space is skipped, missing padding and other characters raise.",
            examples: [.init("base64_decode('SG k=')", "'Hi'"), .init("base64_decode('SGk')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let text = try arguments.text(0, of: "base64_decode")
                let scratch = context.arena.scratch
                scratch.removeAll()
                guard Base64Decoding.append(text, to: scratch) else {
                    throw .badArgument(function: "base64_decode", reason: "the text is no base 64 with padding")
                }
                return try context.arena.string(copying: scratch.bytes)
            }),
    ]

    private static let json: [FunctionEntry] = [
        FunctionEntry(
            "json_encode", .codec, [.init("x", .any)], returns: .string,
            doc: "The value as JSON text without white space; undefined becomes `\"undefined\"`.",
            examples: [.init("json_encode([1, 'a'])", "'[1,\"a\"]'"), .init("json_encode(2.0)", "'2.0'")],
            body: { arguments, context throws(EvaluationError) in
                let scratch = context.arena.scratch
                scratch.removeAll()
                try JSON.append(arguments[0], to: scratch)
                return try context.arena.string(copying: scratch.bytes)
            }),
        FunctionEntry(
            "json_decode", .codec, [.init("s", .string)], returns: .any,
            doc: "The value that JSON text stands for; text that is not JSON raises.",
            examples: [.init("json_decode('[1,2.0]')", "[1, 2.0]"), .init("json_decode('[1,')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let text = try arguments.text(0, of: "json_decode")
                do throws(EvaluationError) {
                    return try JSON.decode(text, in: context.arena)
                } catch .decodeJSON(let offset) {
                    throw .badArgument(function: "json_decode", reason: "the text is not JSON, at byte \(offset)")
                }
            }),
    ]

    private static let term: [FunctionEntry] = [
        FunctionEntry(
            "term_encode", .codec, [.init("x", .any)], returns: .string,
            doc: "The value in Erlang's external term format.",
            examples: [
                .init("base64_encode(term_encode('a'))", "'g20AAAABYQ=='"),
                .init("term_decode(term_encode([1, 2.5]))", "[1, 2.5]"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let scratch = context.arena.scratch
                scratch.removeAll()
                try ErlangTerm.append(arguments[0], to: scratch)
                return try context.arena.string(copying: scratch.bytes)
            }),
        FunctionEntry(
            "term_decode", .codec, [.init("s", .string)], returns: .any,
            doc:
                "The value that bytes in Erlang's external term format stand for; tuples, pids and functions raise.",
            examples: [.init("term_decode(base64_decode('g20AAAABYQ=='))", "'a'"), .init("term_decode('abc')", nil)],
            body: { arguments, context throws(EvaluationError) in
                try ErlangTerm.decode(try arguments.text(0, of: "term_decode"), in: context.arena)
            }),
    ]
}

private enum Base64Decoding {
    /// - Returns: false when the text is no base 64 with padding; the output then ends somewhere. [RFC 4648 §4]
    static func append(_ text: Bytes, to output: OutputBuffer) -> Bool {
        output.reserve(text.count / 4 * 3 + 3)
        var group: UInt32 = 0
        var digits = 0
        var padding = 0
        for byte in text where !isSpace(byte) {
            if byte == UInt8(ascii: "=") {
                padding += 1
                group <<= 6
            } else {
                guard padding == 0, let six = digit(byte) else { return false }
                group = group << 6 | six
            }
            digits += 1
            guard digits == 4 else { continue }
            guard padding <= 2 else { return false }
            output.append(UInt8(truncatingIfNeeded: group >> 16))
            if padding < 2 { output.append(UInt8(truncatingIfNeeded: group >> 8)) }
            if padding < 1 { output.append(UInt8(truncatingIfNeeded: group)) }
            group = 0
            digits = 0
        }
        return digits == 0
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

    private static func digit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(byte - 0x41)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(byte - 0x61 + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(byte - 0x30 + 52)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
