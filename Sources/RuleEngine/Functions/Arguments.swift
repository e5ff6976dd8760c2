internal import BigInt
internal import Buffers

/// The arguments of one call, evaluated.
package typealias Arguments = UnsafeBufferPointer<Value>

// What function bodies make of their arguments. Each takes the index of an argument that is there and raises
// `badArgument` with the function's name when it has another type.
extension Arguments {
    /// The bytes of a string.
    func text(_ index: Int, of function: String) throws(EvaluationError) -> Bytes {
        guard self[index].isText else { throw mismatch(index, function, "text") }
        return self[index].bytes
    }

    /// The bytes of the text that a function works on: a string, or a boolean as its text.
    func subject(_ index: Int, of function: String) throws(EvaluationError) -> Bytes {
        let value = self[index]
        switch value.kind {
        case .string, .atom: return value.bytes
        case .boolean: return value.isTrue ? Value.string("true").bytes : Value.string("false").bytes
        default: throw mismatch(index, function, "text")
        }
    }

    /// An integer; a big one becomes the nearest of 64 bits.
    func integer(_ index: Int, of function: String) throws(EvaluationError) -> Int {
        let value = self[index]
        switch value.kind {
        case .integer: return value.integer
        case .bigInteger: return value.flag == 1 ? Int.min : Int.max
        default: throw mismatch(index, function, "an integer")
        }
    }

    /// An integer that fits into 64 bits.
    func smallInteger(_ index: Int, of function: String) throws(EvaluationError) -> Int {
        guard self[index].kind == .integer else { throw mismatch(index, function, "an integer of 64 bits") }
        return self[index].integer
    }

    /// An integer of any size.
    func bigInteger(_ index: Int, of function: String) throws(EvaluationError) -> BigInt {
        guard let value = BigInt(self[index]) else { throw mismatch(index, function, "an integer") }
        return value
    }

    /// The elements of an array.
    func array(_ index: Int, of function: String) throws(EvaluationError) -> UnsafeBufferPointer<Value> {
        guard self[index].kind == .array else { throw mismatch(index, function, "an array") }
        return self[index].elements
    }

    /// An object, the object that JSON text spells, or one without members for an empty array.
    func object(_ index: Int, of function: String, in arena: Arena) throws(EvaluationError) -> Value {
        let value = self[index]
        switch value.kind {
        case .object: return value
        case .array where value.count == 0: return .emptyObject
        case .string, .atom:
            let decoded = try JSON.decodeIfValid(value.bytes, in: arena)
            if decoded.kind == .object { return decoded }
            throw .badArgument(function: function, reason: "argument \(index + 1) is text, but no JSON object")
        default: throw mismatch(index, function, "an object")
        }
    }

    /// The bytes of a string, or of an array of bytes (0 to 255), strings and such arrays, joined.
    ///
    /// Arrays are taken for text here as EMQX takes them.
    func flatBytes(_ index: Int, of function: String, in arena: Arena) throws(EvaluationError) -> Bytes {
        if self[index].kind != .array { return try text(index, of: function) }
        var bytes: [UInt8] = []
        guard try Self.flatten(self[index], into: &bytes, depth: 0) else {
            throw .badArgument(
                function: function, reason: "argument \(index + 1) is an array that is not of bytes and strings")
        }
        let copy = try arena.bytes(count: bytes.count)
        copy.copyBytes(from: bytes)
        return Bytes(copy)
    }

    /// - Returns: false for what has no bytes.
    private static func flatten(
        _ array: Value, into bytes: inout [UInt8], depth: Int
    ) throws(EvaluationError) -> Bool {
        guard depth < JSON.maximumDepth else { throw .depthLimit }
        for element in array.elements {
            switch element.kind {
            case .integer:
                guard let byte = UInt8(exactly: element.integer) else { return false }
                bytes.append(byte)
            case .string: bytes.append(contentsOf: element.bytes)
            case .array:
                guard try flatten(element, into: &bytes, depth: depth + 1) else { return false }
            default: return false
            }
        }
        return true
    }

    /// Whether an optional argument is there and not undefined.
    func isPresent(_ index: Int) -> Bool { index < count && !self[index].isUndefined }

    private func mismatch(_ index: Int, _ function: String, _ wanted: String) -> EvaluationError {
        .badArgument(function: function, reason: "argument \(index + 1) is \(wanted), not \(self[index].kind)")
    }
}
