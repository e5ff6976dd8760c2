internal import Buffers

// Bytes looked at as text.
extension UnsafeRawBufferPointer {
    var isASCII: Bool {
        var position = 0
        while count - position >= 8 {
            if loadUnaligned(fromByteOffset: position, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
            position += 8
        }
        while position < count {
            if self[position] >= 0x80 { return false }
            position += 1
        }
        return true
    }

    /// Each byte is one grapheme: ASCII without CR LF, which is one.
    var isOneByteGraphemes: Bool { isASCII && !contains(UInt8(ascii: "\r")) }

    /// The bytes of a part; the caller has checked the bounds.
    func part(_ range: Range<Int>) -> Bytes { Bytes(rebasing: self[range]) }

    /// As text for the operations that look at characters.
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for ill-formed UTF-8.
    func wellFormed(_ function: String) throws(EvaluationError) -> String {
        guard let text = String(validating: self, as: UTF8.self) else {
            throw .badArgument(function: function, reason: "the text is not UTF-8")
        }
        return text
    }
}
