import Buffers

/// One step of a compiled path. Plain memory of the rule's ``LiteralPool``.
struct PathStep: BitwiseCopyable {
    enum Kind: UInt8, BitwiseCopyable {
        case key
        /// From the front (from 1) or, negative, from the end; 0 reads nothing.
        case index
        /// Writes behind the last element; reads nothing.
        case append
        /// The number is that of the path's variable.
        case variable
    }

    let kind: Kind
    let key: Bytes
    let number: Int
}

/// The steps after a path's root.
///
/// Reading: each step goes into an object by key or into an array by index; JSON text on the way is decoded, and any
/// other type gives undefined. [EMQX rule-sql: paths and AS]
// Immutable; the memory is the literal pool's of the rule that holds both.
struct CompiledPath: @unchecked Sendable {
    let steps: UnsafeBufferPointer<PathStep>
    /// Indexes that are looked up when the path is read.
    let variables: [Evaluator]

    var isConstant: Bool { variables.isEmpty }

    func read(from root: Value, _ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        var value = root
        if value.kind == .string {
            frame.hasten(for: value)
            try frame.takeSteps(1)
        }
        for step in steps {
            switch step.kind {
            case .key: value = try value.step(key: step.key, in: frame.arena)
            case .index: value = try value.step(index: step.number, in: frame.arena)
            case .append: return .undefined
            case .variable:
                let index = try variables[step.number](frame)
                guard index.kind == .integer else { return .undefined }
                value = try value.step(index: index.integer, in: frame.arena)
            }
            if value.isUndefined { return value }
        }
        return value
    }

    /// The root with a value put where the path leads; objects and arrays on the way are copied, what is missing is built.
    func write(_ value: Value, into root: Value, _ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        try write(value, into: root, 0, frame)
    }

    private func write(_ value: Value, into target: Value, _ index: Int, _ frame: EvaluationFrame)
        throws(EvaluationError) -> Value
    {
        guard index < steps.count else { return value }
        let step = steps[index]
        switch step.kind {
        case .key:
            let child = try write(value, into: target.member(step.key), index + 1, frame)
            return try target.setting(step.key, to: child, in: frame.arena)
        case .append:
            guard target.kind == .array else { break }
            return try target.appending(try write(value, into: .undefined, index + 1, frame), in: frame.arena)
        case .index:
            guard target.kind == .array else { break }
            return try writeElement(value, into: target, at: step.number, index, frame)
        case .variable:
            guard target.kind == .array else { break }
            let position = try variables[step.number](frame)
            guard position.kind == .integer else { return target }
            return try writeElement(value, into: target, at: position.integer, index, frame)
        }
        return try frame.arena.array([try write(value, into: .undefined, index + 1, frame)])
    }

    private func writeElement(
        _ value: Value, into target: Value, at number: Int, _ index: Int, _ frame: EvaluationFrame
    ) throws(EvaluationError) -> Value {
        let count = target.elements.count
        if number == 0 {
            let head = try write(value, into: .undefined, index + 1, frame)
            let copy = try frame.arena.allocate(Value.self, count: count + 1)
            copy[0] = head
            for position in 0..<count { copy[position + 1] = target.elements[position] }
            return .array(UnsafeBufferPointer(copy))
        }
        guard let position = Value.position(of: number, count: count) else { return target }
        let element = try write(value, into: target.elements[position], index + 1, frame)
        let copy = try frame.arena.allocate(Value.self, count: count)
        _ = copy.initialize(from: target.elements)
        copy[position] = element
        return .array(UnsafeBufferPointer(copy))
    }
}

extension Value {
    /// The offset of a 1-based index that may count from the end; nil when there is no such element.
    static func position(of index: Int, count: Int) -> Int? {
        if index > 0, index <= count { return index - 1 }
        if index < 0, index >= -count { return count + index }
        return nil
    }

    /// A copy with that member set; what is no object becomes one.
    func setting(_ key: Bytes, to value: Value, in arena: Arena) throws(EvaluationError) -> Value {
        let members = self.members
        var position = 0
        var isPresent = false
        while position < members.count {
            let order = compareBytes(members[position].key, key)
            isPresent = order == 0
            if order >= 0 { break }
            position += 1
        }
        let copy = try arena.allocate(Member.self, count: members.count + (isPresent ? 0 : 1))
        for index in 0..<position { copy[index] = members[index] }
        copy[position] = Member(key: key, value: value)
        for index in (position + (isPresent ? 1 : 0))..<members.count {
            copy[index + (isPresent ? 0 : 1)] = members[index]
        }
        return .object(UnsafeBufferPointer(copy))
    }

    fileprivate func appending(_ value: Value, in arena: Arena) throws(EvaluationError) -> Value {
        let elements = self.elements
        let copy = try arena.allocate(Value.self, count: elements.count + 1)
        for index in 0..<elements.count { copy[index] = elements[index] }
        copy[elements.count] = value
        return .array(UnsafeBufferPointer(copy))
    }

    /// The elements from `first` to `last`, both counted from 1 or from the end, cut at the array's end.
    /// - Throws: ``EvaluationError/badArgument`` for what is no array, an index 0, one before the beginning, and an end
    ///   more than one before the first. [EMQX rule-sql: range read]
    func slice(_ first: Int, _ last: Int) throws(EvaluationError) -> Value {
        guard kind == .array else { throw .badArgument(function: "[..]", reason: "takes a range of an array only") }
        let count = elements.count
        let lower = first < 0 ? count + first + 1 : first
        let upper = last < 0 ? count + last + 1 : last
        guard lower >= 1, first != 0, last != 0, upper >= lower - 1, last > 0 || upper >= 1 else {
            throw .badArgument(function: "[..]", reason: "the range \(first)..\(last) lies outside of the array")
        }
        let end = min(upper, count)
        guard lower <= end else { return .emptyArray }
        return .array(UnsafeBufferPointer(rebasing: elements[(lower - 1)..<end]))
    }
}
