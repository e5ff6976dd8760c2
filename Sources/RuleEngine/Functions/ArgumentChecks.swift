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
