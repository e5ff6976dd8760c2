package import Buffers

extension JSON {
    /// Values nested deeper than this are not written: more than what ``decode(_:in:)`` makes, since SQL builds around it.
    private static let maximumOutputDepth = 256

    /// Appends a value as JSON text: no white space, members in ascending order of their keys, `/` and non-ASCII as they
    /// are, ill-formed UTF-8 replaced by U+FFFD, floats in the shortest form that reads back.
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for a bit string, which JSON has no form for, and
    ///   ``EvaluationError/depthLimit``; the output then ends in the middle of the value.
    package static func append(
        _ value: Value, to output: OutputBuffer, undefinedAs: UndefinedEncoding = .text
    ) throws(EvaluationError) {
        try append(value, to: output, undefinedAs, depth: 0)
    }

    private static func append(
        _ value: Value, to output: OutputBuffer, _ undefinedAs: UndefinedEncoding, depth: Int
    ) throws(EvaluationError) {
        switch value.kind {
        case .undefined:
            switch undefinedAs {
            case .text: output.append("\"undefined\"")
            case .null: output.append("null")
            }
        case .null: output.append("null")
        case .boolean: value.isTrue ? output.append("true") : output.append("false")
        case .integer: output.append(decimal: value.integer)
        case .bigInteger: output.append(BigIntegerText.decimal(value))
        case .float: FloatText.appendShortest(value.float, to: output)
        case .string, .atom: appendString(value.bytes, to: output)
        case .bitString:
            throw .badArgument(function: "json_encode", reason: "a bit string of \(value.count) bits has no JSON form")
        case .array:
            guard depth < maximumOutputDepth else { throw .depthLimit }
            var separator = UInt8(ascii: "[")
            for element in value.elements {
                output.append(separator)
                separator = UInt8(ascii: ",")
                try append(element, to: output, undefinedAs, depth: depth + 1)
            }
            if value.count == 0 { output.append(separator) }
            output.append(UInt8(ascii: "]"))
        case .object:
            guard depth < maximumOutputDepth else { throw .depthLimit }
            var separator = UInt8(ascii: "{")
            for member in value.members {
                output.append(separator)
                separator = UInt8(ascii: ",")
                appendString(member.key, to: output)
                output.append(UInt8(ascii: ":"))
                try append(member.value, to: output, undefinedAs, depth: depth + 1)
            }
            if value.count == 0 { output.append(separator) }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Appends text as a JSON string with its quotes.
    package static func appendString(_ text: Bytes, to output: OutputBuffer) {
        output.append(UInt8(ascii: "\""))
        appendEscaped(text, to: output)
        output.append(UInt8(ascii: "\""))
    }

    /// Appends text as the inside of a JSON string.
    package static func appendEscaped(_ text: Bytes, to output: OutputBuffer) {
        guard let address = text.baseAddress else { return }
        var cursor = address.assumingMemoryBound(to: UInt8.self)
        let end = cursor + text.count
        var run = cursor
        while cursor < end {
            if end - cursor >= 8 {
                let word = UInt64(littleEndian: UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self))
                let special = JSONReader.specialBytes(word)
                if special == 0 {
                    cursor += 8
                    continue
                }
                cursor += special.trailingZeroBitCount >> 3
            }
            let byte = cursor.pointee
            if byte &- 0x20 < 0x60, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\") {
                cursor += 1
                continue
            }
            if byte >= 0x80 {
                let step = utf8Step(cursor, end)
                guard step < 0 else {
                    cursor += step
                    continue
                }
                output.append(Bytes(start: run, count: cursor - run))
                output.append("\u{FFFD}")
                cursor -= step
            } else {
                output.append(Bytes(start: run, count: cursor - run))
                appendEscape(byte, to: output)
                cursor += 1
            }
            run = cursor
        }
        output.append(Bytes(start: run, count: cursor - run))
    }

    private static func appendEscape(_ byte: UInt8, to output: OutputBuffer) {
        switch byte {
        case UInt8(ascii: "\""): output.append("\\\"")
        case UInt8(ascii: "\\"): output.append("\\\\")
        case 0x08: output.append("\\b")
        case 0x09: output.append("\\t")
        case 0x0A: output.append("\\n")
        case 0x0C: output.append("\\f")
        case 0x0D: output.append("\\r")
        default:
            output.append("\\u00")
            output.append(upperHexDigit(byte >> 4))
            output.append(upperHexDigit(byte & 15))
        }
    }
}

/// - Parameter nibble: 0 to 15.
@inline(__always)
func upperHexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }
