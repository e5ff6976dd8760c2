package import BigInt
package import Buffers

/// Integers have no size limit in the language; one evaluation has: results of more than a million bits raise
/// ``EvaluationError/memoryLimit``, and so does text of more than 20,000 digits.
package enum BigIntegerLimits {
    package static let words = 16_384
    package static let digits = 20_000
}

extension BigInt {
    /// The value of an integer or a big integer; nil for other kinds.
    package init?(_ value: Value) {
        switch value.kind {
        case .integer: self.init(value.integer)
        case .bigInteger:
            self.init(sign: value.flag == 1 ? .minus : .plus, magnitude: BigUInt(words: value.magnitude))
        default: return nil
        }
    }
}

extension Arena {
    /// An integer of the narrower kind that holds it.
    package func integer(_ value: BigInt) throws(EvaluationError) -> Value {
        if let small = Int(exactly: value) { return .integer(small) }
        let magnitude = value.magnitude.words
        guard magnitude.count <= BigIntegerLimits.words else { throw .memoryLimit }
        let words = try allocate(UInt.self, count: magnitude.count)
        _ = words.initialize(from: magnitude)
        return Value(
            kind: .bigInteger, bits: Value.address(UnsafeRawPointer(words.baseAddress)), count: UInt32(words.count),
            flag: value.sign == .minus ? 1 : 0)
    }

    /// An integer from its decimal digits.
    ///
    /// - Parameter text: an optional sign and at least one digit, which the caller has checked.
    /// - Throws: ``EvaluationError/memoryLimit`` for too many digits.
    @inline(never)
    package func integer(digits text: Bytes) throws(EvaluationError) -> Value {
        guard text.count <= BigIntegerLimits.digits else { throw .memoryLimit }
        guard let value = BigInt(String(decoding: text, as: UTF8.self), radix: 10) else {
            throw .badArgument(function: "int", reason: "is no decimal number")
        }
        return try integer(value)
    }
}

enum BigIntegerText {
    /// The decimal digits, with a sign when negative.
    @inline(never)
    static func decimal(_ value: Value) -> String { BigInt(value).map { String($0) } ?? "" }
}
