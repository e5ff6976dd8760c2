internal import Buffers

extension JSONReader {
    /// Checks a number and steps over it; the cursor is at its first byte.
    @inline(__always)
    mutating func scanNumber() throws(EvaluationError) -> ScannedNumber {
        var number = ScannedNumber(start: next)
        var cursor = next
        if cursor.pointee == UInt8(ascii: "-") {
            number.isNegative = true
            cursor += 1
        }
        guard cursor < end else { throw failure(at: cursor) }
        let first = cursor.pointee &- 0x30
        guard first <= 9 else { throw failure(at: cursor) }
        number.mantissa = UInt64(first)
        cursor += 1
        if first != 0 {
            while cursor < end, cursor.pointee &- 0x30 <= 9 {
                number.append(cursor.pointee &- 0x30)
                cursor += 1
            }
        }
        if cursor < end, cursor.pointee <= 0x65 {
            if cursor.pointee == UInt8(ascii: ".") { cursor = try scanFraction(cursor + 1, &number) }
            if cursor < end, cursor.pointee | 0x20 == UInt8(ascii: "e") {
                cursor = try scanExponent(cursor + 1, &number)
            }
        }
        next = cursor
        number.end = cursor
        return number
    }

    @inline(__always)
    private func scanFraction(
        _ first: UnsafePointer<UInt8>, _ number: inout ScannedNumber
    ) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var cursor = first
        number.isFloat = true
        while cursor < end, cursor.pointee &- 0x30 <= 9 {
            number.append(cursor.pointee &- 0x30)
            cursor += 1
        }
        guard cursor > first else { throw failure(at: cursor) }
        number.exponent -= cursor - first
        return cursor
    }

    @inline(never)
    private func scanExponent(
        _ first: UnsafePointer<UInt8>, _ number: inout ScannedNumber
    ) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var cursor = first
        var isNegative = false
        number.isFloat = true
        if cursor < end, cursor.pointee == UInt8(ascii: "-") || cursor.pointee == UInt8(ascii: "+") {
            isNegative = cursor.pointee == UInt8(ascii: "-")
            cursor += 1
        }
        let digits = cursor
        var exponent = 0
        while cursor < end, cursor.pointee &- 0x30 <= 9 {
            exponent = min(exponent * 10 + Int(cursor.pointee &- 0x30), 1_000_000)
            cursor += 1
        }
        guard cursor > digits else { throw failure(at: cursor) }
        number.exponent += isNegative ? -exponent : exponent
        return cursor
    }

    /// The value of a scanned number.
    ///
    /// - Throws: ``EvaluationError/decodeJSON(offset:)`` when it is beyond the range of a double.
    @inline(__always)
    func value(_ number: ScannedNumber, in arena: Arena) throws(EvaluationError) -> Value {
        if !number.isFloat {
            if let integer = number.smallInteger { return .integer(integer) }
            return try arena.integer(digits: number.text)
        }
        guard let float = number.float else { throw failure(at: number.start) }
        return .float(float)
    }
}

extension JSONReader {
    /// The value of a number that has been checked; nil when it has many digits or an exponent.
    @inline(__always)
    static func shortNumber(_ start: UnsafePointer<UInt8>, _ count: Int) -> Value? {
        // Fewer than 16 digits: both operands are exact, so that one rounding gives the nearest double. [Clinger 1990]
        guard count <= 15 else { return nil }
        let end = start + count
        let isNegative = start.pointee == UInt8(ascii: "-")
        var cursor = isNegative ? start + 1 : start
        var mantissa = 0
        var point = end
        while cursor < end {
            let digit = cursor.pointee &- 0x30
            if digit <= 9 {
                mantissa = mantissa &* 10 &+ Int(digit)
            } else {
                guard cursor.pointee == UInt8(ascii: "."), point == end else { return nil }
                point = cursor
            }
            cursor += 1
        }
        if point == end { return .integer(isNegative ? 0 &- mantissa : mantissa) }
        let magnitude = Double(mantissa) / powerOfTen(end - point - 1)
        return .float(isNegative ? -magnitude : magnitude)
    }
}

/// A number's parts, gathered in one pass over its digits.
struct ScannedNumber {
    let start: UnsafePointer<UInt8>
    var end: UnsafePointer<UInt8>
    /// The digits as an integer; meaningless when they did not fit.
    var mantissa: UInt64 = 0
    /// The number is mantissa × 10^exponent.
    var exponent = 0
    var isNegative = false
    var isFloat = false
    var mantissaOverflowed = false

    init(start: UnsafePointer<UInt8>) {
        self.start = start
        end = start
    }

    @inline(__always) var text: Bytes { Bytes(start: start, count: end - start) }

    @inline(__always)
    mutating func append(_ digit: UInt8) {
        if mantissa <= (UInt64.max - 9) / 10 {
            mantissa = mantissa &* 10 &+ UInt64(digit)
        } else {
            mantissaOverflowed = true
        }
    }

    /// The number as a 64-bit integer, when it is one.
    @inline(__always)
    var smallInteger: Int? {
        guard !mantissaOverflowed, mantissa <= UInt64(Int64.max) else {
            return !mantissaOverflowed && isNegative && mantissa == 1 << 63 ? Int.min : nil
        }
        return isNegative ? -Int(mantissa) : Int(mantissa)
    }

    /// The nearest double; nil when it is infinite.
    @inline(__always)
    var float: Double? {
        // Both operands are exact, so that one rounding gives the nearest double. [Clinger 1990]
        if !mantissaOverflowed, mantissa <= 1 << 53, exponent >= -22, exponent <= 22 {
            let digits = Double(mantissa)
            let magnitude = exponent < 0 ? digits / powerOfTen(-exponent) : digits * powerOfTen(exponent)
            return isNegative ? -magnitude : magnitude
        }
        return nearestDouble(text)
    }
}
