import BigInt
internal import Buffers

// One type to another. [EMQX rule-sql: conversion]
extension FunctionTable {
    static let conversion: [FunctionEntry] = [
        FunctionEntry(
            "str", .conversion, [.init("x", .any)], returns: .string,
            doc: "The value as text: floats with at most 10 decimals, arrays and objects as JSON.",
            examples: [.init("str(1.50)", "'1.5'"), .init("str(['a'])", "'[\"a\"]'")],
            body: { arguments, context throws(EvaluationError) in try arguments[0].text(in: context.arena) }),
        FunctionEntry(
            "str_utf8", .conversion, [.init("x", .any)], returns: .string,
            doc: "The value as text that is UTF-8; raises for a string of other bytes.",
            examples: [.init("str_utf8(2.0)", "'2.0'"), .init("str_utf8(hexstr2bin('ff'))", nil)],
            body: Conversions.utf8),
        FunctionEntry(
            "str_utf16_le", .conversion, [.init("x", .any)], returns: .string,
            doc: "The value's text as bytes of UTF-16, little endian.",
            examples: [.init("bin2hexstr(str_utf16_le('中'))", "'2D4E'")],
            body: Conversions.utf16),
        FunctionEntry(
            "bool", .conversion, [.init("x", .any)], returns: .boolean,
            doc: "A boolean of `true`, `false`, their names as text, or a number equal to 1 or 0; else raises.",
            examples: [.init("bool('true')", "true"), .init("bool(2)", nil)],
            body: Conversions.boolean),
        FunctionEntry(
            "int", .conversion, [.init("x", .any)], returns: .integer,
            doc: "An integer: floats and numeric text rounded down, booleans as 1 and 0; else raises.",
            examples: [.init("int(-1.1)", "-2"), .init("int('1e3')", nil)],
            body: Conversions.integer),
        FunctionEntry(
            "float", .conversion, [.init("x", .any), .init("decimals", .integer, optional: true)], returns: .float,
            doc: "A float of a number or numeric text, rounded to that many decimals (1 to 253) if given.",
            examples: [.init("float('-2')", "-2.0"), .init("float(3.14159, 2)", "3.14")],
            body: Conversions.float),
        FunctionEntry(
            "float2str", .conversion, [.init("x", .float), .init("decimals", .integer)], returns: .string,
            doc: "A float with at most that many decimals (0 to 253), but one at least unless 0 are asked for.",
            examples: [.init("float2str(30.25, 1)", "'30.3'"), .init("float2str(1, 2)", nil)],
            body: Conversions.floatText),
        FunctionEntry(
            "map", .conversion, [.init("x", .any)], returns: .object,
            doc: "An object, or the one that JSON text stands for; else raises.",
            examples: [.init("map('{\"a\": 1}')", "json_decode('{\"a\":1}')"), .init("map(1)", nil)],
            body: Conversions.map),
        FunctionEntry(
            "bin2hexstr", .conversion, [.init("s", .string), .init("prefix", .string, optional: true)],
            returns: .string, doc: "The bytes in upper-case hexadecimal digits behind the prefix.",
            examples: [.init("bin2hexstr('abc')", "'616263'"), .init("bin2hexstr('a', '0x')", "'0x61'")],
            body: { arguments, context throws(EvaluationError) in
                let prefix = arguments.isPresent(1) ? try arguments.text(1, of: "bin2hexstr") : nil
                return try Conversions.hex("bin2hexstr", arguments, prefix ?? Value.emptyString.bytes, context.arena)
            }),
        FunctionEntry(
            "hexstr2bin", .conversion, [.init("s", .string), .init("prefix", .string, optional: true)],
            returns: .string,
            doc: "The bytes of hexadecimal digits behind the prefix, which is required; an odd number gets a 0 first.",
            examples: [.init("hexstr2bin('0x6162', '0x')", "'ab'"), .init("hexstr2bin('6 1')", nil)],
            body: Conversions.unhex),
        FunctionEntry(
            "sqlserver_bin2hexstr", .conversion, [.init("s", .string)], returns: .string,
            doc: "The bytes in upper-case hexadecimal digits behind `0x`.",
            examples: [.init("sqlserver_bin2hexstr('abc')", "'0x616263'")],
            body: { arguments, context throws(EvaluationError) in
                try Conversions.hex("sqlserver_bin2hexstr", arguments, Value.string("0x").bytes, context.arena)
            }),
    ]
}

private enum Conversions {
    static func utf8(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments[0].text(in: context.arena)
        if !text.bytes.isASCII { _ = try text.bytes.wellFormed("str_utf8") }
        return text
    }

    static func utf16(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let text = try arguments[0].text(in: context.arena).bytes.wellFormed("str_utf16_le")
        let result = try context.arena.bytes(count: text.utf16.count * 2)
        var position = 0
        for unit in text.utf16 {
            result[position] = UInt8(truncatingIfNeeded: unit)
            result[position + 1] = UInt8(truncatingIfNeeded: unit >> 8)
            position += 2
        }
        return .string(Bytes(result))
    }

    static func boolean(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let value = arguments[0]
        switch value.kind {
        case .boolean: return value
        case .integer where value.integer == 1: return .true
        case .integer where value.integer == 0: return .false
        case .float where value.float == 1: return .true
        case .float where value.float == 0: return .false
        case .string, .atom:
            if compareBytes(value.bytes, Value.string("true").bytes) == 0 { return .true }
            if compareBytes(value.bytes, Value.string("false").bytes) == 0 { return .false }
        default: break
        }
        throw .badArgument(function: "bool", reason: "the value is neither true nor false, nor 1 nor 0")
    }

    static func integer(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let value = arguments[0]
        switch value.kind {
        case .integer, .bigInteger: return value
        case .boolean: return .integer(value.isTrue ? 1 : 0)
        case .float: return try floor(value.float, context.arena)
        case .string, .atom:
            if let number = try NumberText.parse(value.bytes, in: context.arena) {
                return number.kind == .float ? try floor(number.float, context.arena) : number
            }
            throw .badArgument(function: "int", reason: "the text is no number")
        default: throw .badArgument(function: "int", reason: "takes a number, text or a boolean, not \(value.kind)")
        }
    }

    private static func floor(_ value: Double, _ arena: Arena) throws(EvaluationError) -> Value {
        let whole = value.rounded(.down)
        if let small = Int(exactly: whole) { return .integer(small) }
        guard let big = BigInt(exactly: whole) else { throw .arithmetic("int: the float is not finite") }
        return try arena.integer(big)
    }

    static func float(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let value = try number(arguments[0], context.arena)
        guard arguments.count > 1 else { return .float(value) }
        let decimals = try arguments.integer(1, of: "float")
        guard (1...253).contains(decimals) else {
            throw .badArgument(function: "float", reason: "the decimals are 1 to 253, not \(decimals)")
        }
        let scratch = context.arena.scratch
        scratch.removeAll()
        FloatText.appendFixed(value, decimals: decimals, compact: false, to: scratch)
        guard let rounded = nearestDouble(scratch.bytes) else {
            throw .arithmetic("float: the result is no finite float")
        }
        return .float(rounded)
    }

    private static func number(_ value: Value, _ arena: Arena) throws(EvaluationError) -> Double {
        guard value.isText else { return try Operators.double("float", value) }
        guard let number = try NumberText.parse(value.bytes, in: arena) else {
            throw .badArgument(function: "float", reason: "the text is no number")
        }
        return try Operators.double("float", number)
    }

    static func floatText(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        guard arguments[0].kind == .float else {
            throw .badArgument(function: "float2str", reason: "takes a float, not \(arguments[0].kind)")
        }
        let decimals = try arguments.integer(1, of: "float2str")
        guard (0...253).contains(decimals) else {
            throw .badArgument(function: "float2str", reason: "the decimals are 0 to 253, not \(decimals)")
        }
        let scratch = context.arena.scratch
        scratch.removeAll()
        FloatText.appendFixed(arguments[0].float, decimals: decimals, compact: true, to: scratch)
        return try context.arena.string(copying: scratch.bytes)
    }

    static func map(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        let value = arguments[0]
        if value.kind == .object { return value }
        if value.kind == .array, value.count == 0 { return .emptyObject }
        if value.isText {
            let decoded = try JSON.decodeIfValid(value.bytes, in: context.arena)
            if decoded.kind == .object { return decoded }
        }
        throw .badArgument(function: "map", reason: "takes an object or the JSON text of one")
    }
}

// Hexadecimal digits.
extension Conversions {
    static func hex(
        _ function: String, _ arguments: Arguments, _ prefix: Bytes, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        let value = arguments[0]
        guard value.isText || value.kind == .bitString else {
            throw .badArgument(function: function, reason: "takes a string, not \(value.kind)")
        }
        let bits = value.kind == .bitString ? Int(value.count) : value.bytes.count * 8
        let digits = (bits + 3) / 4
        let result = try arena.bytes(count: prefix.count + digits)
        result.copyBytes(from: prefix)
        let bytes = value.bytes
        if value.isText {
            for index in 0..<bytes.count {
                result[prefix.count + index * 2] = upperHexDigit(bytes[index] >> 4)
                result[prefix.count + index * 2 + 1] = upperHexDigit(bytes[index] & 15)
            }
            return .string(Bytes(result))
        }
        // A number of bits that is no multiple of 4 is padded at its front.
        let missing = digits * 4 - bits
        for digit in 0..<digits {
            let start = digit * 4 - missing
            var nibble: UInt8 = 0
            for bit in max(0, start)..<(start + 4) { nibble = nibble << 1 | (bytes[bit / 8] >> UInt8(7 - bit % 8)) & 1 }
            result[prefix.count + digit] = upperHexDigit(nibble)
        }
        return .string(Bytes(result))
    }

    static func unhex(_ arguments: Arguments, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        var digits = try arguments.text(0, of: "hexstr2bin")
        if arguments.isPresent(1) {
            let prefix = try arguments.text(1, of: "hexstr2bin")
            guard digits.starts(with: prefix) else {
                throw .badArgument(function: "hexstr2bin", reason: "the prefix is missing")
            }
            digits = digits.part(prefix.count..<digits.count)
        }
        let result = try context.arena.bytes(count: (digits.count + 1) / 2)
        var position = digits.count & 1
        var byte: UInt8 = 0
        for digit in digits {
            guard let nibble = hexDigitValue(digit) else {
                throw .badArgument(function: "hexstr2bin", reason: "the text is not of hexadecimal digits")
            }
            byte = byte << 4 | nibble
            if position & 1 == 1 {
                result[position / 2] = byte
                byte = 0
            }
            position += 1
        }
        return .string(Bytes(result))
    }
}

/// The value of a hexadecimal digit of either case.
func hexDigitValue(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x41...0x46: digit - 0x37
    case 0x61...0x66: digit - 0x57
    default: nil
    }
}
