import CBytes
internal import Buffers

// The way over values that hold nothing unusual.
//
// It needs a text that ends in a closing bracket: a run of digits, of white space or of punctuation then ends within
// the text, and only strings and closing brackets have to look for its end. Whatever is unusual (an error, very many
// digits, deep nesting) gives nil, and the careful way decides what it is.
extension JSONReader {
    /// Whether the text ends as the quick way needs it.
    @inline(__always)
    var endsInBracket: Bool { end > start && end[-1] | 0x20 == UInt8(ascii: "}") }

    /// Behind the array or object that begins at the cursor; nil when it holds something unusual.
    @inline(__always)
    func quicklyAfterContainer(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        endsInBracket ? quicklyAfter(first, inArray: false) : nil
    }

    /// Behind the closing bracket of the array whose element begins at the cursor; nil as for
    /// ``quicklyAfterContainer(_:)``. The text ends in a bracket.
    func quicklyAfterElements(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        quicklyAfter(first, inArray: true)
    }

    @inline(never)
    private func quicklyAfter(_ first: UnsafePointer<UInt8>, inArray: Bool) -> UnsafePointer<UInt8>? {
        let end = end
        var cursor = first
        // One bit for each open container, the innermost in bit 0: set for an object. The one set bit above them is
        // their number.
        var open: UInt64 = inArray ? 2 : 1
        // The array whose first element is an object, and that element.
        var rows: UInt64 = inArray && first.pointee == UInt8(ascii: "{") ? 2 : 0
        var row = first
        var tries = JSONRowPattern.tries
        var isBehindValue = false
        while true {
            // A value inside of the containers, the first one's bracket included.
            var byte = cursor.pointee
            if isBehindValue {
                isBehindValue = false
            } else if byte == UInt8(ascii: "{") {
                guard open >> 62 == 0 else { return nil }
                open = open << 1 | 1
                cursor = quicklyAfterSpace(cursor + 1)
                if cursor.pointee != UInt8(ascii: "}") {
                    guard let value = quicklyAfterKey(cursor, end) else { return nil }
                    cursor = value
                    continue
                }
            } else if byte == UInt8(ascii: "[") {
                guard open >> 62 == 0 else { return nil }
                open = open << 1
                cursor = quicklyAfterSpace(cursor + 1)
                if cursor.pointee != UInt8(ascii: "]") {
                    if cursor.pointee == UInt8(ascii: "{") {
                        rows = open
                        row = cursor
                    }
                    continue
                }
            } else {
                guard let after = quicklyAfterScalar(cursor, byte, end) else { return nil }
                cursor = after
            }
            // What may follow: closing brackets, then a comma and, in an object, a key.
            while true {
                cursor = quicklyAfterSpace(cursor)
                byte = cursor.pointee
                if byte == UInt8(ascii: ",") { break }
                guard byte == (open & 1 == 1 ? UInt8(ascii: "}") : UInt8(ascii: "]")) else { return nil }
                cursor += 1
                open >>= 1
                if open == 1 { return cursor }
                guard cursor < end else { return nil }
            }
            let comma = cursor
            cursor = quicklyAfterSpace(cursor + 1)
            if open & 1 == 1 {
                guard let value = quicklyAfterKey(cursor, end) else { return nil }
                cursor = value
            } else if open == rows, tries > 0, isWorthPattern(row, cursor) {
                tries -= 1
                guard let stop = quicklyAfterRows(row, comma, cursor) else { return nil }
                cursor = stop
                isBehindValue = cursor.pointee == UInt8(ascii: "]")
            }
        }
    }

    @inline(__always)
    func quicklyAfterSpace(_ cursor: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        cursor.pointee > 0x20 ? cursor : quicklyAfterSomeSpace(cursor)
    }

    @inline(never)
    private func quicklyAfterSomeSpace(_ cursor: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> { afterSpace(cursor) }

    /// From a key's opening quote to the member's value.
    @inline(__always)
    private func quicklyAfterKey(
        _ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        guard first.pointee == UInt8(ascii: "\""), let stop = quicklyAfterString(first + 1, end) else { return nil }
        let colon = quicklyAfterSpace(stop)
        guard colon.pointee == UInt8(ascii: ":") else { return nil }
        return quicklyAfterSpace(colon + 1)
    }

    /// Behind a string's closing quote; the cursor is behind the opening one. The closing one is not the text's last byte.
    @inline(__always)
    func quicklyAfterString(
        _ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        var cursor = first
        while end - cursor >= 16 {
            let run = Int(sluice_plain_run(cursor))
            cursor += run
            if run < 16 {
                return cursor.pointee == UInt8(ascii: "\"") ? cursor + 1 : quicklyAfterOddString(cursor)
            }
        }
        return quicklyAfterOddString(cursor)
    }

    /// The end of the text is near, or there is an escape or a byte that is not ASCII.
    @inline(never)
    private func quicklyAfterOddString(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        guard let after = try? afterString(first), after < end else { return nil }
        return after
    }

    /// Behind any value; the text ends in a bracket, and the cursor is not at its end.
    @inline(__always)
    func quicklyAfterValue(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        let byte = first.pointee
        if byte | 0x20 == UInt8(ascii: "{") { return quicklyAfterContainer(first) }
        return quicklyAfterScalar(first, byte, end)
    }

    @inline(__always)
    private func quicklyAfterScalar(
        _ first: UnsafePointer<UInt8>, _ byte: UInt8, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        if byte == UInt8(ascii: "\"") { return quicklyAfterString(first + 1, end) }
        if byte &- 0x30 <= 9 { return quicklyAfterNumber(first, end) }
        if byte == UInt8(ascii: "-") { return quicklyAfterSignedNumber(first, end) }
        return quicklyAfterLiteral(first, byte)
    }

    /// The cursor is at a sign, a digit or something else.
    @inline(__always)
    func quicklyAfterSignedNumber(
        _ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        let digits = first.pointee == UInt8(ascii: "-") ? first + 1 : first
        return digits.pointee &- 0x30 <= 9 ? quicklyAfterNumber(digits, end) : nil
    }

    @inline(never)
    private func quicklyAfterLiteral(_ first: UnsafePointer<UInt8>, _ byte: UInt8) -> UnsafePointer<UInt8>? {
        let text: StaticString
        switch byte {
        case UInt8(ascii: "t"): text = "true"
        case UInt8(ascii: "f"): text = "false"
        case UInt8(ascii: "n"): text = "null"
        default: return nil
        }
        guard let after = try? afterLiteral(first, text), after < end else { return nil }
        return after
    }

    /// Behind a number without its sign; the cursor is at a digit.
    @inline(__always)
    private func quicklyAfterNumber(
        _ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        guard end - first >= 16 else { return quicklyAfterLongNumber(first) }
        let others = sluice_other_than_digits(first)
        let whole = others.trailingZeroBitCount
        guard whole < 15 else { return quicklyAfterLongNumber(first) }
        guard whole == 1 || first.pointee != 0x30 else { return nil }
        let point = first + whole
        let byte = point.pointee
        if byte != UInt8(ascii: ".") { return byte | 0x20 == UInt8(ascii: "e") ? quicklyAfterOddNumber(first) : point }
        let length = (others & (others &- 1)).trailingZeroBitCount
        guard length < 16 else { return quicklyAfterLongNumber(first) }
        guard length > whole + 1 else { return nil }
        let after = first + length
        return after.pointee | 0x20 == UInt8(ascii: "e") ? quicklyAfterOddNumber(first) : after
    }

    /// With an exponent; nil when it is beyond the range of a double.
    @inline(never)
    private func quicklyAfterOddNumber(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        try? afterNumber(first)
    }

    /// As ``quicklyAfterNumber(_:_:)``, byte by byte.
    @inline(never)
    private func quicklyAfterLongNumber(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        var cursor = first
        while cursor.pointee &- 0x30 <= 9 { cursor += 1 }
        guard cursor - first < 300, cursor - first == 1 || first.pointee != 0x30 else { return nil }
        if cursor.pointee == UInt8(ascii: ".") {
            let fraction = cursor + 1
            cursor = fraction
            while cursor.pointee &- 0x30 <= 9 { cursor += 1 }
            guard cursor > fraction else { return nil }
        }
        return cursor.pointee | 0x20 == UInt8(ascii: "e") ? quicklyAfterOddNumber(first) : cursor
    }
}
