package import Buffers
internal import Glibc

/// Doubles as text, in the two forms that the rule language has, and text as doubles.
package enum FloatText {
    /// Fixed notation, at most 10 decimals, trailing zeros cut but for one decimal: the text of a float.
    package static func append(_ value: Double, to output: OutputBuffer) {
        appendFixed(value, decimals: 10, compact: true, to: output)
    }

    /// Fixed notation, rounded half away from zero.
    ///
    /// Up to 18 decimals the fraction is scaled as a double before it is rounded, as Erlang does, so that the last
    /// digit is the same one. Differs from EMQX: very large values are written, not refused.
    /// - Parameters:
    ///   - value: finite.
    ///   - decimals: 0 to 400.
    ///   - compact: trailing zeros are cut, but one decimal stays.
    package static func appendFixed(_ value: Double, decimals: Int, compact: Bool, to output: OutputBuffer) {
        let magnitude = abs(value)
        guard magnitude <= 9_007_199_254_740_992, decimals <= 18 else {
            return appendFormatted(value, decimals: decimals, compact: compact, to: output)
        }
        var whole = Int(magnitude)
        let scale = powerOfTenInteger(decimals)
        let fraction = (magnitude - Double(whole)) * Double(scale)
        var digits = Int(fraction.rounded(.toNearestOrAwayFromZero))
        if digits >= scale {
            whole += 1
            digits = 0
        }
        if value.sign == .minus { output.append(UInt8(ascii: "-")) }
        output.append(decimal: whole)
        guard decimals > 0 else { return }
        output.append(UInt8(ascii: "."))
        appendPadded(digits, width: decimals, to: output)
        if compact { cutZeros(output, decimals: decimals) }
    }

    /// The exact digits of the double, by the C library.
    @inline(never)
    private static func appendFormatted(_ value: Double, decimals: Int, compact: Bool, to output: OutputBuffer) {
        let room = 320 + decimals
        output.reserve(room)
        let target = output.writePointer.assumingMemoryBound(to: CChar.self)
        let count = withVaList([CInt(decimals), value]) { vsnprintf(target, room, "%.*f", $0) }
        output.advance(min(max(0, Int(count)), room - 1))
        if compact, decimals > 0 { cutZeros(output, decimals: decimals) }
    }

    private static func cutZeros(_ output: OutputBuffer, decimals: Int) {
        var zeros = 0
        let bytes = output.bytes
        while zeros < decimals - 1, bytes[bytes.count - 1 - zeros] == UInt8(ascii: "0") { zeros += 1 }
        output.truncate(to: output.count - zeros)
    }

    /// A non-negative integer with leading zeros.
    private static func appendPadded(_ value: Int, width: Int, to output: OutputBuffer) {
        output.reserve(width)
        var rest = value
        var position = width
        while position > 0 {
            position -= 1
            output.writePointer.storeBytes(of: 0x30 + UInt8(rest % 10), toByteOffset: position, as: UInt8.self)
            rest /= 10
        }
        output.advance(width)
    }
}

// The shortest form, for JSON.
extension FloatText {
    /// The shortest decimal that reads back as the same double: fixed notation from 1e-6 to 1e21 with at least one
    /// decimal (`1.0`), else with an exponent (`1e+22`, `1e-7`, `1.5e-7`).
    ///
    /// - Parameter value: finite.
    package static func appendShortest(_ value: Double, to output: OutputBuffer) {
        if appendFewDecimals(value, to: output) { return }
        appendByDescription(value, to: output)
    }

    /// The usual readings of devices: at most 6 decimals and at most 15 digits, which no shorter decimal stands for.
    @inline(__always)
    private static func appendFewDecimals(_ value: Double, to output: OutputBuffer) -> Bool {
        let magnitude = abs(value)
        guard magnitude < 1_000_000_000, magnitude >= 0.001 || value.bitPattern == 0 else { return false }
        var scale = 1.0
        for decimals in 1...6 {
            scale *= 10
            // Below 10^15; not `rounded()`, which is a call.
            let number = Int(magnitude * scale + 0.5)
            guard Double(number) / scale == magnitude else { continue }
            if value < 0 { output.append(UInt8(ascii: "-")) }
            // The fraction is a multiple of 10^-6, or so far from a whole number: cutting it off is exact.
            let whole = Int(magnitude)
            output.append(decimal: whole)
            output.append(UInt8(ascii: "."))
            appendPadded(number &- whole &* Int(scale), width: decimals, to: output)
            return true
        }
        return false
    }

    @inline(never)
    private static func appendByDescription(_ value: Double, to output: OutputBuffer) {
        var text = value.description
        text.withUTF8 { description in
            var parts = ShortestDigits(description)
            parts.append(to: output)
        }
    }
}

/// The shortest digits of a double and where its point stands, out of the standard library's description.
private struct ShortestDigits {
    private var digits: (UInt64, Int) = (0, 0)
    private var isNegative = false
    /// The number is 0.digits × 10^point.
    private var point = 0

    init(_ description: UnsafeBufferPointer<UInt8>) {
        var exponent = 0
        var isExponentNegative = false
        var inExponent = false
        var seenPoint = false
        for byte in description {
            switch byte {
            case UInt8(ascii: "-"): if inExponent { isExponentNegative = true } else { isNegative = true }
            case UInt8(ascii: "."): seenPoint = true
            case UInt8(ascii: "e"): inExponent = true
            case 0x30...0x39:
                let digit = Int(byte - 0x30)
                if inExponent {
                    exponent = exponent * 10 + digit
                } else {
                    take(digit, seenPoint)
                }
            default: break
            }
        }
        point += isExponentNegative ? -exponent : exponent
        while digits.1 > 1, digits.0 % 10 == 0 { digits = (digits.0 / 10, digits.1 - 1) }
    }

    private mutating func take(_ digit: Int, _ seenPoint: Bool) {
        if digits.0 == 0, digit == 0 {
            if seenPoint { point -= 1 }
            return
        }
        // At most 17 digits and the zeros of a whole number below 2^54.
        digits = (digits.0 * 10 + UInt64(digit), digits.1 + 1)
        if !seenPoint { point += 1 }
    }

    mutating func append(to output: OutputBuffer) {
        if isNegative { output.append(UInt8(ascii: "-")) }
        guard digits.1 > 0 else { return output.append("0.0") }
        let all = Array(String(digits.0).utf8)
        if point > 21 || point < -5 { return appendExponent(all, output) }
        if point <= 0 {
            output.append("0.")
            for _ in 0..<(-point) { output.append(UInt8(ascii: "0")) }
            return output.append(all)
        }
        for position in 0..<max(point, all.count) {
            if position == point { output.append(UInt8(ascii: ".")) }
            output.append(position < all.count ? all[position] : UInt8(ascii: "0"))
        }
        if point >= all.count { output.append(".0") }
    }

    private func appendExponent(_ all: [UInt8], _ output: OutputBuffer) {
        output.append(all[0])
        if all.count > 1 {
            output.append(UInt8(ascii: "."))
            output.append(Array(all[1...]))
        }
        output.append(UInt8(ascii: "e"))
        output.append(point > 0 ? UInt8(ascii: "+") : UInt8(ascii: "-"))
        output.append(decimal: abs(point - 1))
    }
}

/// The double nearest to a decimal number in the forms of JSON; nil when it is infinite.
func nearestDouble(_ text: Bytes) -> Double? {
    let value = withUnsafeTemporaryAllocation(byteCount: text.count + 1, alignment: 1) { copy in
        copy.copyMemory(from: text)
        copy[text.count] = 0
        return copy.assumingMemoryBound(to: CChar.self).baseAddress.map { strtod($0, nil) } ?? .nan
    }
    return value.isFinite ? value : nil
}

/// - Parameter exponent: 0 to 22, the powers that a double holds exactly.
@inline(never)
func powerOfTen(_ exponent: Int) -> Double {
    switch exponent {
    case 0: 1e0
    case 1: 1e1
    case 2: 1e2
    case 3: 1e3
    case 4: 1e4
    case 5: 1e5
    case 6: 1e6
    case 7: 1e7
    case 8: 1e8
    case 9: 1e9
    case 10: 1e10
    case 11: 1e11
    case 12: 1e12
    case 13: 1e13
    case 14: 1e14
    case 15: 1e15
    case 16: 1e16
    case 17: 1e17
    case 18: 1e18
    case 19: 1e19
    case 20: 1e20
    case 21: 1e21
    default: 1e22
    }
}

/// - Parameter exponent: 0 to 18.
@inline(__always)
func powerOfTenInteger(_ exponent: Int) -> Int {
    var result = 1
    for _ in 0..<exponent { result &*= 10 }
    return result
}
