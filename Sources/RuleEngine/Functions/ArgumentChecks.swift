internal import BigInt
internal import Buffers

// What function bodies make of their arguments; each raises with the function's name when the argument is another type.
extension Value {
    /// A 64-bit integer; a big integer becomes the nearest one.
    func clampedInteger(_ function: String) throws(EvaluationError) -> Int {
        switch kind {
        case .integer: return integer
        case .bigInteger: return flag == 1 ? Int.min : Int.max
        default: throw .badArgument(function: function, reason: "takes an integer, not \(kind)")
        }
    }

    func wholeNumber(_ function: String) throws(EvaluationError) -> BigInt {
        guard let value = BigInt(self) else {
            throw .badArgument(function: function, reason: "takes an integer, not \(kind)")
        }
        return value
    }

    func textBytes(_ function: String) throws(EvaluationError) -> Bytes {
        guard isText else { throw .badArgument(function: function, reason: "takes text, not \(kind)") }
        return bytes
    }

    func arrayElements(_ function: String) throws(EvaluationError) -> UnsafeBufferPointer<Value> {
        guard kind == .array else { throw .badArgument(function: function, reason: "takes an array, not \(kind)") }
        return elements
    }
}

extension Value {
    /// An object, the object that JSON text spells, or one without members for an empty array.
    func object(_ function: String, in arena: Arena) throws(EvaluationError) -> Value {
        switch kind {
        case .object: return self
        case .array where count == 0: return .emptyObject
        case .string, .atom:
            let decoded = try JSON.decodeIfValid(bytes, in: arena)
            if decoded.kind == .object { return decoded }
            throw .badArgument(function: function, reason: "the text is no JSON object")
        default: throw .badArgument(function: function, reason: "takes an object, not \(kind)")
        }
    }
}
