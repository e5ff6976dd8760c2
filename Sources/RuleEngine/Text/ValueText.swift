package import Buffers

/// Which arrays of integers are taken for text when they are written as text. [EMQX rule-sql: charlists]
package enum Charlists: Sendable {
    /// Printable Latin-1 characters: functions and operators.
    case latin1
    /// Printable Unicode characters: templates.
    case unicode
}

extension Value {
    /// Appends the value as text: strings as they are, floats in fixed notation with at most 10 decimals, `undefined`
    /// and `null` as these words, arrays and objects as JSON, but an array that is empty or holds only printable
    /// characters as the text of these characters. [EMQX rule-sql: values]
    ///
    /// - Throws: ``EvaluationError/badArgument(function:reason:)`` for a bit string, also within an array or object;
    ///   ``EvaluationError/depthLimit``.
    package func appendText(to output: OutputBuffer, charlists: Charlists = .latin1) throws(EvaluationError) {
        switch kind {
        case .undefined: output.append("undefined")
        case .null: output.append("null")
        case .boolean: isTrue ? output.append("true") : output.append("false")
        case .integer: output.append(decimal: integer)
        case .bigInteger: output.append(BigIntegerText.decimal(self))
        case .float: FloatText.append(float, to: output)
        case .string, .atom: output.append(bytes)
        case .bitString:
            throw .badArgument(function: "str", reason: "a bit string of \(count) bits is no text")
        case .array where isCharlist(charlists): appendCharacters(to: output)
        case .array, .object: try JSON.append(self, to: output)
        }
    }

    /// The value as text; strings and atoms without a copy. See ``appendText(to:charlists:)``.
    package func text(in arena: Arena, charlists: Charlists = .latin1) throws(EvaluationError) -> Value {
        switch kind {
        case .string: return self
        case .atom: return .string(bytes)
        case .undefined: return .string("undefined")
        case .null: return .string("null")
        case .boolean: return isTrue ? .string("true") : .string("false")
        case .integer: return .string(try arena.decimal(integer))
        default:
            arena.scratch.removeAll()
            try appendText(to: arena.scratch, charlists: charlists)
            return try arena.string(copying: arena.scratch.bytes)
        }
    }

    private func isCharlist(_ charlists: Charlists) -> Bool {
        elements.allSatisfy { $0.kind == .integer && Value.isPrintable($0.integer, charlists) }
    }

    private static func isPrintable(_ code: Int, _ charlists: Charlists) -> Bool {
        switch code {
        case 0x20...0x7E, 0xA0...0xFF, 0x08...0x0D, 0x1B: true
        case 0x100...0xD7FF, 0xE000...0xFFFD, 0x1_0000...0x10_FFFF: charlists == .unicode
        default: false
        }
    }

    private func appendCharacters(to output: OutputBuffer) {
        for element in elements {
            output.reserve(4)
            let target = output.writePointer.assumingMemoryBound(to: UInt8.self)
            output.advance(storeUTF8(UInt32(truncatingIfNeeded: element.integer), at: target))
        }
    }
}

extension Arena {
    /// The decimal digits of an integer.
    fileprivate func decimal(_ value: Int) throws(EvaluationError) -> Bytes {
        let room = try bytes(count: 20)
        var position = 20
        var magnitude = value.magnitude
        repeat {
            position -= 1
            room[position] = 0x30 + UInt8(magnitude % 10)
            magnitude /= 10
        } while magnitude > 0
        if value < 0 {
            position -= 1
            room[position] = UInt8(ascii: "-")
        }
        return Bytes(rebasing: room[position...])
    }
}
