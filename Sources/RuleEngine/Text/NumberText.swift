package import Buffers

/// Text that a comparison with a number reads as a number. [EMQX rule-sql: comparison]
package enum NumberText {
    /// The integer or float that the text spells: `[+-]digits` or `[+-]digits.digits[e[+-]digits]` and nothing else, no
    /// white space either. A comma is taken for the point.
    ///
    /// - Returns: nil when it spells neither, or a float beyond the range of a double.
    /// - Throws: ``EvaluationError/memoryLimit`` for too many digits.
    package static func parse(_ text: Bytes, in arena: Arena) throws(EvaluationError) -> Value? {
        guard let number = Scan(text) else { return nil }
        if number.isFloat { return float(number.unsigned).map { .float(number.isNegative ? -$0 : $0) } }
        if let small = integer(text) { return .integer(small) }
        return try arena.integer(digits: text)
    }

    /// The 64-bit integer that `[+-]digits` spells; nil when it is anything else or does not fit.
    package static func integer(_ text: Bytes) -> Int? {
        guard let number = Scan(text), !number.isFloat else { return nil }
        var value = 0
        for byte in number.unsigned {
            let (product, overflow) = value.multipliedReportingOverflow(by: 10)
            let digit = Int(byte - 0x30)
            let (next, overflow2) =
                number.isNegative
                ? product.subtractingReportingOverflow(digit) : product.addingReportingOverflow(digit)
            if overflow || overflow2 { return nil }
            value = next
        }
        return value
    }

    /// The double that `digits.digits[e[+-]digits]` with an optional sign spells; nil when it is anything else or
    /// infinite.
    package static func float(_ text: Bytes) -> Double? {
        guard let number = Scan(text), number.isFloat, let magnitude = number.magnitude else { return nil }
        return number.isNegative ? -magnitude : magnitude
    }

    /// The parts of text that has the form of a number.
    private struct Scan {
        var isNegative = false
        var isFloat = false
        /// Without the sign.
        var unsigned: Bytes

        init?(_ text: Bytes) {
            var position = 0
            if let sign = text.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
                isNegative = sign == UInt8(ascii: "-")
                position = 1
            }
            unsigned = Bytes(rebasing: text[position...])
            guard Scan.digits(text, &position) else { return nil }
            if position < text.count, text[position] == UInt8(ascii: ".") || text[position] == UInt8(ascii: ",") {
                isFloat = true
                position += 1
                guard Scan.digits(text, &position) else { return nil }
                if position < text.count, text[position] | 0x20 == UInt8(ascii: "e") {
                    position += 1
                    let hasSign = position < text.count && (text[position] == 0x2B || text[position] == 0x2D)
                    if hasSign { position += 1 }
                    guard Scan.digits(text, &position) else { return nil }
                }
            }
            guard position == text.count else { return nil }
        }

        /// Of a float; nil when it is infinite.
        var magnitude: Double? {
            guard let comma = unsigned.firstIndex(of: UInt8(ascii: ",")) else { return nearestDouble(unsigned) }
            var copy = Array(unsigned)
            copy[comma] = UInt8(ascii: ".")
            return copy.withUnsafeBytes { nearestDouble($0) }
        }

        /// Steps over digits; false when there are none.
        private static func digits(_ text: Bytes, _ position: inout Int) -> Bool {
            let start = position
            while position < text.count, text[position] &- 0x30 <= 9 { position += 1 }
            return position > start
        }
    }
}
