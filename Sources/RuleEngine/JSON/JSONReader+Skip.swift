extension JSONReader {
    /// Checks a value and steps behind it; the cursor is at its first byte.
    ///
    /// - Parameter depth: the number of arrays and objects around it.
    mutating func skipValue(depth: Int) throws(EvaluationError) {
        // One bit for each open container, the innermost in bit 0: set for an object.
        var objects: UInt64 = 0
        var open = 0
        while true {
            switch peek {
            case UInt8(ascii: "\""):
                next += 1
                _ = try scanString()
            case UInt8(ascii: "-"), 0x30...0x39:
                let number = try scanNumber()
                if number.mayOverflow, number.float == nil { throw failure(at: number.start) }
            case UInt8(ascii: "{"):
                next += 1
                guard depth + open < JSON.maximumDepth else { throw .depthLimit }
                skipSpace()
                if peek == UInt8(ascii: "}") {
                    next += 1
                } else {
                    objects = objects << 1 | 1
                    open += 1
                    try skipKey()
                    continue
                }
            case UInt8(ascii: "["):
                next += 1
                guard depth + open < JSON.maximumDepth else { throw .depthLimit }
                skipSpace()
                if peek == UInt8(ascii: "]") {
                    next += 1
                } else {
                    objects <<= 1
                    open += 1
                    continue
                }
            case UInt8(ascii: "t"): try expectLiteral("true")
            case UInt8(ascii: "f"): try expectLiteral("false")
            case UInt8(ascii: "n"): try expectLiteral("null")
            default: throw failure
            }
            guard try skipClosings(&objects, &open) else { return }
        }
    }

    /// What may follow a value inside containers: closing brackets, then a comma and, in an object, the next key.
    ///
    /// - Returns: whether another value follows; false when the outermost container is closed.
    @inline(__always)
    private mutating func skipClosings(_ objects: inout UInt64, _ open: inout Int) throws(EvaluationError) -> Bool {
        while open > 0 {
            skipSpace()
            let byte = peek
            let isObject = objects & 1 == 1
            if byte == UInt8(ascii: ",") {
                next += 1
                skipSpace()
                if isObject { try skipKey() }
                return true
            }
            guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { throw failure }
            next += 1
            objects >>= 1
            open -= 1
        }
        return false
    }

    /// A key, the colon and the white space around it.
    @inline(__always)
    private mutating func skipKey() throws(EvaluationError) {
        guard peek == UInt8(ascii: "\"") else { throw failure }
        next += 1
        _ = try scanString()
        try expect(UInt8(ascii: ":"))
        skipSpace()
    }
}
