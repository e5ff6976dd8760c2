internal import Buffers
internal import Glibc

/// The 21 leading decimal digits of a double, rounded half up in decimal as Erlang's formats do.
struct DecimalDigits {
    private let isNegative: Bool
    /// 0 to 9; the first is zero for zero alone.
    private var digits: [UInt8]
    /// The first digit stands for 10^exponent.
    private var exponent: Int

    /// - Parameter value: finite.
    init(_ value: Double) {
        isNegative = value < 0
        var text = [CChar](repeating: 0, count: 64)
        _ = withVaList([abs(value)]) { vsnprintf(&text, 64, "%.20e", $0) }
        let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
        let mark = bytes.firstIndex(of: UInt8(ascii: "e")) ?? bytes.endIndex
        digits = bytes[..<mark].filter { $0 != UInt8(ascii: ".") }.map { $0 &- 0x30 }
        exponent = bytes[mark...].dropFirst(2).reduce(0) { $0 * 10 + Int($1 &- 0x30) }
        if bytes.count > mark + 1, bytes[mark + 1] == UInt8(ascii: "-") { exponent = -exponent }
    }

    /// Appends the number in a notation of Erlang's formats.
    ///
    /// - Parameters:
    ///   - notation: `f` fixed, `e` with an exponent, `g` the one that fits.
    ///   - precision: decimals of `f`, all digits of `e` and `g`; nil is 6, the most is 1,000.
    /// - Returns: false when the notation has no such precision.
    func append(_ notation: UInt8, precision: Int?, to output: OutputBuffer) -> Bool {
        let precision = precision ?? 6
        guard precision >= (notation == UInt8(ascii: "e") ? 2 : 1), precision <= 1000 else { return false }
        switch notation {
        case UInt8(ascii: "f"): appendFixed(precision, output)
        case UInt8(ascii: "e"): appendExponent(precision, output)
        default:
            // From 0.1 up to 10,000, if there are digits for the decimals.
            let isFixed = digits[0] != 0 && exponent >= -1 && exponent < 4
            if isFixed, precision - 1 > exponent {
                appendFixed(precision - 1 - exponent, output)
            } else {
                appendExponent(max(2, precision), output)
            }
        }
        return true
    }

    /// Rounded so that the last digit kept stands for 10^-decimals.
    private func rounded(lastDigit count: Int) -> DecimalDigits {
        guard count < digits.count else { return self }
        guard count >= 0 else { return zero }
        var result = self
        result.digits = Array(digits[..<count])
        var position = count - 1
        var carry = digits[count] >= 5
        while carry, position >= 0 {
            carry = result.digits[position] == 9
            result.digits[position] = carry ? 0 : result.digits[position] + 1
            position -= 1
        }
        if carry {
            result.digits.insert(1, at: 0)
            result.exponent += 1
        }
        return result.digits.isEmpty ? zero : result
    }

    private var zero: DecimalDigits {
        var result = self
        result.digits = [0]
        result.exponent = 0
        return result
    }

    private func appendFixed(_ decimals: Int, _ output: OutputBuffer) {
        let value = rounded(lastDigit: exponent + 1 + decimals)
        if isNegative { output.append(UInt8(ascii: "-")) }
        for place in stride(from: max(0, value.exponent), through: 0, by: -1) { output.append(value.digit(place)) }
        output.append(UInt8(ascii: "."))
        for place in 1...decimals { output.append(value.digit(-place)) }
    }

    /// The character of the digit that stands for 10^place.
    private func digit(_ place: Int) -> UInt8 {
        let index = exponent - place
        return 0x30 + (digits.indices.contains(index) ? digits[index] : 0)
    }

    private func appendExponent(_ count: Int, _ output: OutputBuffer) {
        let value = rounded(lastDigit: count)
        if isNegative { output.append(UInt8(ascii: "-")) }
        for index in 0..<count {
            if index == 1 { output.append(UInt8(ascii: ".")) }
            output.append(0x30 + (value.digits.indices.contains(index) ? value.digits[index] : 0))
        }
        output.append(value.exponent < 0 ? "e-" : "e+")
        output.append(decimal: abs(value.exponent))
    }
}
