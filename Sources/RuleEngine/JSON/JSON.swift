package import Buffers

/// JSON text and values. [RFC 8259] [EMQX rule-sql: values]
package enum JSON {
    /// Arrays and objects nested deeper raise ``EvaluationError/depthLimit``.
    package static let maximumDepth = 128

    /// How an undefined value is written.
    package enum UndefinedEncoding: Sendable {
        /// The string `"undefined"`, as EMQX does.
        case text
        case null
    }

    /// The value that a JSON text stands for.
    ///
    /// Strict: white space around the value is all that may stand beside it; ill-formed UTF-8, lone surrogates, raw
    /// control characters and numbers beyond the range of a double are errors. Of equal keys the last one counts.
    /// Numbers with a point or an exponent are floats, others integers of any size.
    ///
    /// - Parameter bytes: must outlive the value: strings without escapes are not copied.
    /// - Throws: ``EvaluationError/decodeJSON(offset:)``, ``EvaluationError/depthLimit``,
    ///   ``EvaluationError/memoryLimit``.
    package static func decode(_ bytes: Bytes, in arena: Arena) throws(EvaluationError) -> Value {
        guard let start = bytes.baseAddress, bytes.count > 0 else { throw .decodeJSON(offset: 0) }
        var decoder = JSONDecoder(reader: JSONReader(start, count: bytes.count), arena: arena)
        return try decoder.decode()
    }

    /// As ``decode(_:in:)``; where the text is an array of objects, their other members may be left out.
    static func decode(
        _ bytes: Bytes, wanted: UnsafeBufferPointer<Bytes>, in arena: Arena
    ) throws(EvaluationError) -> Value {
        guard let start = bytes.baseAddress, bytes.count > 0 else { throw .decodeJSON(offset: 0) }
        var decoder = JSONDecoder(reader: JSONReader(start, count: bytes.count), arena: arena, wanted: wanted)
        return try decoder.decode()
    }

    /// Raises what ``decode(_:in:)`` raises for text that is not JSON, and makes nothing.
    static func check(_ bytes: Bytes) throws(EvaluationError) {
        guard let start = bytes.baseAddress, bytes.count > 0 else { throw .decodeJSON(offset: 0) }
        var reader = JSONReader(start, count: bytes.count)
        reader.skipSpace()
        try reader.skipValue(depth: 0)
        try reader.expectEnd()
    }

    /// As ``decode(_:in:)``, but text that is not JSON is undefined: a path's step through text.
    package static func decodeIfValid(_ bytes: Bytes, in arena: Arena) throws(EvaluationError) -> Value {
        do {
            return try decode(bytes, in: arena)
        } catch .decodeJSON {
            return .undefined
        }
    }
}
