internal import Buffers

// What the functions on text make of their arguments.
extension Arguments {
    /// The bytes of the text that a function works on: a string, or a boolean as its text.
    func subject(_ function: String, _ index: Int = 0) throws(EvaluationError) -> Bytes {
        let value = self[index]
        switch value.kind {
        case .string, .atom: return value.bytes
        case .boolean: return value.isTrue ? Value.string("true").bytes : Value.string("false").bytes
        default: throw .badArgument(function: function, reason: "argument \(index + 1) is text, not \(value.kind)")
        }
    }

    /// The bytes of a string.
    func stringBytes(_ function: String, _ index: Int) throws(EvaluationError) -> Bytes {
        let value = self[index]
        guard value.isText else {
            throw .badArgument(function: function, reason: "argument \(index + 1) is text, not \(value.kind)")
        }
        return value.bytes
    }

    /// An integer; a big one becomes the nearest of 64 bits.
    func wholeNumber(_ function: String, _ index: Int) throws(EvaluationError) -> Int {
        let value = self[index]
        switch value.kind {
        case .integer: return value.integer
        case .bigInteger: return value.flag == 1 ? Int.min : Int.max
        default:
            throw .badArgument(function: function, reason: "argument \(index + 1) is an integer, not \(value.kind)")
        }
    }

    /// The elements of an array.
    func list(_ function: String, _ index: Int) throws(EvaluationError) -> UnsafeBufferPointer<Value> {
        let value = self[index]
        guard value.kind == .array else {
            throw .badArgument(function: function, reason: "argument \(index + 1) is an array, not \(value.kind)")
        }
        return value.elements
    }
}

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
