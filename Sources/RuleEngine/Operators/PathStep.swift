package import Buffers

// Reading along a path. Each step into what has no such part is undefined. [EMQX rule-sql: paths]
extension Value {
    /// The member of an object. A string is decoded as JSON first; one that is not JSON gives undefined.
    ///
    /// - Throws: ``EvaluationError/depthLimit`` and ``EvaluationError/memoryLimit`` of the decoding.
    @inline(__always)
    package func step(key: Bytes, in arena: Arena) throws(EvaluationError) -> Value {
        if kind == .object { return member(key) }
        guard kind == .string else { return .undefined }
        return try decodedStep(arena).member(key)
    }

    /// The element of an array: 1 is the first, -1 the last; 0 and what is out of range are undefined. A string is
    /// decoded as JSON first.
    @inline(__always)
    package func step(index: Int, in arena: Arena) throws(EvaluationError) -> Value {
        if kind == .array { return element(index) }
        guard kind == .string else { return .undefined }
        return try decodedStep(arena).element(index)
    }

    /// The element of an array by its index in the language; undefined when there is none or this is no array.
    package func element(_ index: Int) -> Value {
        let elements = self.elements
        let position = index > 0 ? index - 1 : elements.count + index
        guard index != 0, position >= 0, position < elements.count else { return .undefined }
        return elements[position]
    }

    @inline(never)
    private func decodedStep(_ arena: Arena) throws(EvaluationError) -> Value {
        try JSON.decodeIfValid(bytes, in: arena)
    }
}
