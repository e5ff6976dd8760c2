/// A statement compiled.
///
/// - Returns: how many rows were appended.
typealias RuleProgram = @Sendable (EvaluationFrame, RowList) throws(EvaluationError) -> Int

/// The parts of a SELECT.
struct SelectProgram {
    /// A path into the payload is read in any case: bad JSON raises, whatever WHERE says.
    let scansFirst: Bool
    /// What can raise or what WHERE needs, in the order of the fields.
    let eager: [FieldStep]
    let condition: Test?
    /// What only a row needs.
    let deferred: [FieldStep]
    let row: RowBuilder

    var program: RuleProgram {
        let select = select
        guard let guarded = condition else { return select }
        let (scansFirst, first) = (scansFirst, sequence(eager))
        return { frame, rows throws(EvaluationError) in
            if scansFirst { try frame.payload.scan(frame) }
            if let first { try first(frame) }
            guard try guarded(frame) else { return 0 }
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
            try fields(frame)
            rows.append(try row.build(frame))
            return 1
        }
    }
}

/// The parts of a FOREACH.
struct ForeachProgram {
    let fields: [FieldStep]
    /// The slot of the last field's value.
    let collection: Int
    /// That field is the bare payload: its text is decoded.
    let decodesPayload: Bool
    let condition: Test?
    /// The slot of the element.
    let element: Int
    let inCase: Test?
    let each: [FieldStep]
    let row: RowBuilder

    var program: RuleProgram {
        let (fields, each) = (sequence(fields), sequence(each))
        let (condition, inCase, row) = (condition, inCase, row)
        let (collection, decodesPayload, element) = (collection, decodesPayload, element)
        return { frame, rows throws(EvaluationError) in
            if let fields { try fields(frame) }
            if let condition {
                guard try condition(frame) else { return 0 }
            }
            var count = 0
            let values = decodesPayload ? try frame.payload.root(frame) : frame.slots[collection]
            for value in values.elements {
                try frame.takeSteps(1)
                frame.slots[element] = value
                if let inCase {
                    guard try inCase(frame) else { continue }
                }
                guard count < EvaluationLimits.rows else { throw .rowLimit }
                if let each { try each(frame) }
                rows.append(try row.build(frame))
                count += 1
            }
            return count
        }
    }
}

/// Steps one after the other, as one: going through an array of closures costs a retain for each. Halved again and
/// again, so that many fields do not nest deep.
private func sequence(_ steps: [FieldStep]) -> FieldStep? {
    guard steps.count > 1 else { return steps.first }
    let middle = steps.count / 2
    guard let first = sequence(Array(steps[..<middle])), let second = sequence(Array(steps[middle...])) else {
        return nil
    }
    return { frame throws(EvaluationError) in
        try first(frame)
        try second(frame)
    }
}
