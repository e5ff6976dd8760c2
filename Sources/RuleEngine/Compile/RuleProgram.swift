import Buffers

/// A statement compiled.
///
/// - Returns: how many rows were appended.
typealias RuleProgram = @Sendable (EvaluationFrame, RowList) throws(EvaluationError) -> Int

/// A closure in a structure: by itself it would be called through another one wherever it was optional or in an array.
struct Step {
    let run: FieldStep
}

/// As ``Step``.
struct Condition {
    let holds: Test
}

/// The parts of a SELECT.
struct SelectProgram {
    /// A path into the payload is read in any case: bad JSON raises, whatever WHERE says.
    let scansFirst: Bool
    /// What can raise or what WHERE needs, in the order of the fields.
    let eager: [Step]
    let condition: Condition?
    /// What only a row needs.
    let deferred: [Step]
    let row: RowBuilder

    var program: RuleProgram {
        let select = select
        guard let guarded = condition else { return select }
        let (scansFirst, first) = (scansFirst, sequence(eager))
        return { frame, rows throws(EvaluationError) in
            if scansFirst { try frame.payload.scan(frame) }
            if let first { try first.run(frame) }
            guard try guarded.holds(frame) else { return 0 }
            return try select(frame, rows)
        }
    }

    /// What is left to do when there is no condition, or when it is true.
    private var select: RuleProgram {
        let row = row
        guard let fields = sequence(condition == nil ? eager + deferred : deferred) else {
            return { frame, rows throws(EvaluationError) in
                rows.append(try row.build(frame))
                return 1
            }
        }
        return { frame, rows throws(EvaluationError) in
            try fields.run(frame)
            rows.append(try row.build(frame))
            return 1
        }
    }
}

/// What is read of the elements of an array in the payload.
// Immutable; the keys are the literal pool's.
struct ElementProjection: @unchecked Sendable {
    /// The number of the array's path.
    let path: Int
    let wanted: UnsafeBufferPointer<Bytes>
}

/// The parts of a FOREACH.
struct ForeachProgram {
    let fields: [Step]
    /// The slot of the last field's value.
    let collection: Int
    /// There when few members of the elements are read: the last field need not be evaluated.
    let elements: ElementProjection?
    /// That field is the bare payload: its text is decoded.
    let decodesPayload: Bool
    let condition: Condition?
    /// The slot of the element.
    let element: Int
    let inCase: Condition?
    let each: [Step]
    let row: RowBuilder

    var program: RuleProgram {
        let each = sequence(each)
        // Bad JSON raises before WHERE is looked at.
        let scan = Step { frame throws(EvaluationError) in try frame.payload.scan(frame) }
        let fields = sequence(elements == nil ? fields : fields.dropLast() + [scan])
        let values = values
        let (condition, row) = (condition, row)
        // No optionals: looking into one counts an owner, for each element.
        let keeps: Test = if let inCase { inCase.holds } else { { _ in true } }
        let run: FieldStep = if let each { each.run } else { { _ in } }
        let element = element
        return { frame, rows throws(EvaluationError) in
            if let fields { try fields.run(frame) }
            if let condition {
                guard try condition.holds(frame) else { return 0 }
            }
            var count = 0
            for value in try values(frame).elements {
                try frame.takeSteps(1)
                frame.slots[element] = value
                guard try keeps(frame) else { continue }
                guard count < EvaluationLimits.rows else { throw .rowLimit }
                try run(frame)
                rows.append(try row.build(frame))
                count += 1
            }
            return count
        }
    }
}

extension ForeachProgram {
    /// Gives the array.
    private var values: Evaluator {
        if decodesPayload { return { frame throws(EvaluationError) in try frame.payload.root(frame) } }
        if let elements {
            return { frame throws(EvaluationError) in
                try frame.payload.elements(Int(frame.pathMap[elements.path]), wanted: elements.wanted, frame)
            }
        }
        let collection = collection
        return { frame in frame.slots[collection] }
    }
}

/// Steps one after the other, as one: going through an array of closures costs a retain for each. Halved again and
/// again, so that many fields do not nest deep.
private func sequence(_ steps: [Step]) -> Step? {
    guard steps.count > 1 else { return steps.first }
    let middle = steps.count / 2
    guard let first = sequence(Array(steps[..<middle])), let second = sequence(Array(steps[middle...])) else {
        return nil
    }
    return Step { frame throws(EvaluationError) in
        try first.run(frame)
        try second.run(frame)
    }
}
