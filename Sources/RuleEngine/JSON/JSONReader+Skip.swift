extension JSONReader {
    /// Checks a value and steps behind it; the cursor is at its first byte.
    ///
    /// - Parameter depth: the number of arrays and objects around it.
    @inline(__always)
    mutating func skipValue(depth: Int) throws(EvaluationError) { next = try afterValue(next, depth: depth) }

    @inline(__always)
    func afterValue(
        _ first: UnsafePointer<UInt8>, depth: Int
    ) throws(EvaluationError) -> UnsafePointer<UInt8> {
        let byte = self.byte(at: first)
        // The two that most values are.
        if byte == UInt8(ascii: "\"") { return try afterString(first + 1) }
        if byte &- 0x30 <= 9 { return try afterNumber(first) }
        // The quick way knows no limit of depth but its own, which is about half of it.
        if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "["), depth < JSON.maximumDepth / 2,
            let after = quicklyAfterContainer(first)
        {
            return after
        }
        return try afterAnyValue(first, depth: depth)
    }

    @inline(never)
    private func afterAnyValue(
        _ first: UnsafePointer<UInt8>, depth: Int
    ) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var cursor = first
        // One bit for each open container, the innermost in bit 0: set for an object.
        var objects: UInt128 = 0
        var open = 0
        var atKey = false
        while true {
            if atKey {
                guard byte(at: cursor) == UInt8(ascii: "\"") else { throw failure(at: cursor) }
                cursor = afterSpace(try afterString(cursor + 1))
                guard byte(at: cursor) == UInt8(ascii: ":") else { throw failure(at: cursor) }
                cursor = afterSpace(cursor + 1)
                atKey = false
            }
            switch byte(at: cursor) {
            case UInt8(ascii: "\""): cursor = try afterString(cursor + 1)
            case UInt8(ascii: "-"), 0x30...0x39: cursor = try afterNumber(cursor)
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                guard depth + open < JSON.maximumDepth else { throw .depthLimit }
                let isObject = cursor.pointee == UInt8(ascii: "{")
                cursor = afterSpace(cursor + 1)
                if byte(at: cursor) != (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
                    objects = objects << 1 | (isObject ? 1 : 0)
                    open += 1
                    atKey = isObject
                    continue
                }
                cursor += 1
            case UInt8(ascii: "t"): cursor = try afterLiteral(cursor, "true")
            case UInt8(ascii: "f"): cursor = try afterLiteral(cursor, "false")
            case UInt8(ascii: "n"): cursor = try afterLiteral(cursor, "null")
            default: throw failure(at: cursor)
            }
            // What may follow a value inside containers: closing brackets, then a comma and, in an object, a key.
            while open > 0 {
                cursor = afterSpace(cursor)
                let byte = self.byte(at: cursor)
                let isObject = objects & 1 == 1
                if byte == UInt8(ascii: ",") {
                    cursor = afterSpace(cursor + 1)
                    atKey = isObject
                    break
                }
                guard byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { throw failure(at: cursor) }
                cursor += 1
                objects >>= 1
                open -= 1
            }
            if open == 0 { return cursor }
        }
    }

    @inline(__always)
    func afterNumber(_ first: UnsafePointer<UInt8>) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var cursor = first
        if cursor.pointee == UInt8(ascii: "-") { cursor += 1 }
        let digits = cursor
        while cursor < end, cursor.pointee &- 0x30 <= 9 { cursor += 1 }
        let count = cursor - digits
        // A leading zero, no digit, an exponent or many digits: the careful way.
        guard count > 0, count < 300, count == 1 || digits.pointee != 0x30 else { return try afterOddNumber(first) }
        guard cursor < end else { return cursor }
        if cursor.pointee == UInt8(ascii: ".") {
            let fraction = cursor + 1
            cursor = fraction
            while cursor < end, cursor.pointee &- 0x30 <= 9 { cursor += 1 }
            guard cursor > fraction else { throw failure(at: cursor) }
            guard cursor < end else { return cursor }
        }
        return cursor.pointee | 0x20 == UInt8(ascii: "e") ? try afterOddNumber(first) : cursor
    }

    @inline(never)
    private func afterOddNumber(_ first: UnsafePointer<UInt8>) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var copy = self
        copy.next = first
        let number = try copy.scanNumber()
        if number.isFloat, number.float == nil { throw failure(at: first) }
        return copy.next
    }
}
