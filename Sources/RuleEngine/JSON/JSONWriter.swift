package import Buffers
import CBytes

extension JSON {
    /// Values nested deeper are not written: more than what ``decode(_:in:)`` makes, since SQL builds around it.
    private static let maximumOutputDepth = 256

    /// Appends a value as JSON text: no white space, members in ascending order of their keys, `/` and non-ASCII as
    /// they are, ill-formed UTF-8 replaced by U+FFFD, floats in the shortest form that reads back.
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for a bit string, which JSON has no form for, and
    ///   ``EvaluationError/depthLimit``, and ``EvaluationError/memoryLimit`` beyond ``EvaluationLimits/outputBytes``; the output then
    ///   ends in the middle of the value.
    package static func append(
        _ value: Value, to output: OutputBuffer, undefinedAs: UndefinedEncoding = .text
    ) throws(EvaluationError) {
        try append(value, to: output, undefinedAs, depth: 0, end: output.count + EvaluationLimits.outputBytes)
    }

    /// - Parameter end: where the output must not be longer. Looked at behind what can be long: strings beyond a word's
    ///   length, and arrays and objects, whose other members take no more than the memory that they are read from.
    private static func append(
        _ value: Value, to output: OutputBuffer, _ undefinedAs: UndefinedEncoding, depth: Int, end: Int
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
        // Minus zero loses its sign, as in EMQX.
        case .float: FloatText.appendShortest(value.float == 0 ? 0 : value.float, to: output)
        case .string, .atom:
            appendString(value.bytes, to: output)
            if value.count > 512, output.count > end { throw .memoryLimit }
        case .bitString:
            throw .badArgument(function: "json_encode", reason: "a bit string of \(value.count) bits has no JSON form")
        case .array:
            guard depth < maximumOutputDepth else { throw .depthLimit }
            var separator = UInt8(ascii: "[")
            for element in value.elements {
                output.append(separator)
                separator = UInt8(ascii: ",")
                try append(element, to: output, undefinedAs, depth: depth + 1, end: end)
            }
            if value.count == 0 { output.append(separator) }
            output.append(UInt8(ascii: "]"))
            if output.count > end { throw .memoryLimit }
        case .object:
            guard depth < maximumOutputDepth else { throw .depthLimit }
            let isFramed = value.hasFramedKeys
            var separator = UInt8(ascii: "{")
            for member in value.members {
                if isFramed {
                    FramedKey.append(member.key, after: separator, to: output)
                } else {
                    appendKey(member.key, after: separator, to: output)
                }
                separator = UInt8(ascii: ",")
                switch member.value.kind {
                case .string where member.value.count <= 512, .atom where member.value.count <= 512:
                    appendString(member.value.bytes, to: output)
                case .integer: output.append(decimal: member.value.integer)
                case .boolean: member.value.isTrue ? output.append("true") : output.append("false")
                case .object where member.value.count == 0: output.append("{}")
                default: try append(member.value, to: output, undefinedAs, depth: depth + 1, end: end)
                }
            }
            if value.count == 0 { output.append(separator) }
            output.append(UInt8(ascii: "}"))
            if output.count > end { throw .memoryLimit }
        }
    }

    /// Appends text as a JSON string with its quotes.
    @inline(__always)
    package static func appendString(_ text: Bytes, to output: OutputBuffer) {
        let count = text.count
        output.reserve(count + 16)
        let start = output.writePointer.assumingMemoryBound(to: UInt8.self)
        start[0] = UInt8(ascii: "\"")
        var done = 0
        if let address = text.baseAddress {
            done = sluice_copy_plain(address.assumingMemoryBound(to: UInt8.self), count, start + 1)
        }
        guard done == count else { return appendMarkedString(text, copied: done, to: output) }
        start[count + 1] = UInt8(ascii: "\"")
        output.advance(count + 2)
    }

    /// Appends a bracket or comma, a key as a string, and a colon.
    @inline(__always)
    private static func appendKey(_ key: Bytes, after separator: UInt8, to output: OutputBuffer) {
        let count = key.count
        output.reserve(count + 16)
        let start = output.writePointer.assumingMemoryBound(to: UInt8.self)
        start[0] = separator
        start[1] = UInt8(ascii: "\"")
        var done = 0
        if let address = key.baseAddress {
            done = sluice_copy_plain(address.assumingMemoryBound(to: UInt8.self), count, start + 2)
        }
        guard done == count else {
            output.advance(1)
            appendMarkedString(key, copied: done, to: output)
            return output.append(UInt8(ascii: ":"))
        }
        start[count + 2] = UInt8(ascii: "\"")
        start[count + 3] = UInt8(ascii: ":")
        output.advance(count + 4)
    }

    /// Text whose first bytes have been copied behind the opening quote.
    @inline(never)
    private static func appendMarkedString(_ text: Bytes, copied: Int, to output: OutputBuffer) {
        output.advance(copied + 1)
        appendEscaped(Bytes(rebasing: text[copied...]), to: output)
        output.append(UInt8(ascii: "\""))
    }

    /// Appends text as the inside of a JSON string.
    package static func appendEscaped(_ text: Bytes, to output: OutputBuffer) {
        guard let address = text.baseAddress else { return }
        var cursor = address.assumingMemoryBound(to: UInt8.self)
        let end = cursor + text.count
        let table = escapeTable
        while cursor < end {
            if let table {
                let chunk = cursor + min(4096, end - cursor)
                output.reserve((chunk - cursor) * 2 + 16)
                let start = output.writePointer.assumingMemoryBound(to: UInt8.self)
                var source: UnsafePointer<UInt8>? = cursor
                var target: UnsafeMutablePointer<UInt8>? = start
                sluice_escape(&source, chunk, &target, table)
                guard let stop = source, let written = target else { return }
                output.advance(written - start)
                cursor = stop
                if stop == chunk { continue }
            }
            cursor = appendOddText(cursor, end, to: output)
        }
    }

    /// Text that is not ASCII alone: some of it, at least one byte.
    @inline(never)
    private static func appendOddText(
        _ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, to output: OutputBuffer
    ) -> UnsafePointer<UInt8> {
        // A byte becomes six at most, and a word of eight may begin at the chunk's last byte.
        let chunk = min(512, end - first)
        output.reserve((chunk + 8) * 6)
        let start = output.writePointer.assumingMemoryBound(to: UInt8.self)
        let (next, stop) = escape(first, until: first + chunk, end, to: start)
        output.advance(stop - start)
        return next
    }

    /// What `sluice_escape` looks up; nil on a processor that cannot run it.
    // Not changed after it was made.
    nonisolated(unsafe) private static let escapeTable: UnsafePointer<UInt8>? = {
        guard sluice_can_escape() != 0 else { return nil }
        // One for the process.
        let table = UnsafeMutablePointer<UInt8>.allocate(capacity: Int(SLUICE_ESCAPE_TABLE_SIZE))
        sluice_make_escape_table(table)
        return UnsafePointer(table)
    }()

    /// - Returns: behind the last byte read, and behind the last one written.
    @inline(__always)
    private static func escape(
        _ first: UnsafePointer<UInt8>, until stop: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>,
        to start: UnsafeMutablePointer<UInt8>
    ) -> (UnsafePointer<UInt8>, UnsafeMutablePointer<UInt8>) {
        var cursor = first
        var target = start
        while cursor < stop {
            var special: UInt64 = 0
            while end - cursor >= 8, cursor < stop {
                let word = UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self)
                UnsafeMutableRawPointer(target).storeBytes(of: word, as: UInt64.self)
                special = JSONReader.specialBytes(UInt64(littleEndian: word))
                if special != 0 { break }
                cursor += 8
                target += 8
            }
            if special != 0 {
                cursor += special.trailingZeroBitCount >> 3
                target += special.trailingZeroBitCount >> 3
            } else if cursor >= stop {
                break
            }
            let byte = cursor.pointee
            if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                target[0] = UInt8(ascii: "\\")
                target[1] = byte
                target += 2
                cursor += 1
            } else if byte &- 0x20 < 0x60 {
                target[0] = byte
                target += 1
                cursor += 1
            } else if byte < 0x20 {
                target += storeEscape(byte, at: target)
                cursor += 1
            } else {
                let (read, written) = copySequence(cursor, end, to: target)
                cursor += read
                target += written
            }
        }
        return (cursor, target)
    }

    /// Copies one well-formed UTF-8 sequence, or U+FFFD in place of an ill-formed one.
    private static func copySequence(
        _ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>, to target: UnsafeMutablePointer<UInt8>
    ) -> (read: Int, written: Int) {
        let step = utf8Step(cursor, end)
        guard step > 0 else { return (-step, storeUTF8(0xFFFD, at: target)) }
        for position in 0..<step { target[position] = cursor[position] }
        return (step, step)
    }

    /// - Parameter byte: a control character.
    private static func storeEscape(_ byte: UInt8, at target: UnsafeMutablePointer<UInt8>) -> Int {
        target[0] = UInt8(ascii: "\\")
        switch byte {
        case 0x08: target[1] = UInt8(ascii: "b")
        case 0x09: target[1] = UInt8(ascii: "t")
        case 0x0A: target[1] = UInt8(ascii: "n")
        case 0x0C: target[1] = UInt8(ascii: "f")
        case 0x0D: target[1] = UInt8(ascii: "r")
        default:
            target[1] = UInt8(ascii: "u")
            target[2] = UInt8(ascii: "0")
            target[3] = UInt8(ascii: "0")
            target[4] = upperHexDigit(byte >> 4)
            target[5] = upperHexDigit(byte & 15)
            return 6
        }
        return 2
    }
}

/// - Parameter nibble: 0 to 15.
@inline(__always)
func upperHexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x37 + nibble }
