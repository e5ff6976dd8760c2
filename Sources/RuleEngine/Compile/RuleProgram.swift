/// A statement compiled.
enum RuleProgram: Sendable {
    case select(SelectProgram)
    case foreach(ForeachProgram)
}

struct SelectProgram: Sendable {
    /// A path into the payload is read in any case: bad JSON raises, whatever WHERE says.
    let scansFirst: Bool
    /// What can raise or what WHERE needs, in the order of the fields.
    let eager: [FieldStep]
    let condition: Test?
    /// What only a row needs.
    let deferred: [FieldStep]
    let row: RowBuilder

    func run(_ frame: EvaluationFrame, _ rows: RowList) throws(EvaluationError) -> Int {
        if scansFirst { try frame.payload.scan(frame) }
        for step in eager { try step(frame) }
        if let condition {
            guard try condition(frame) else { return 0 }
        }
        for step in deferred { try step(frame) }
        rows.append(try row.build(frame))
        return 1
    }
}

struct ForeachProgram: Sendable {
    let fields: [FieldStep]
    /// The slot of the last field's value.
    let collection: Int
    let condition: Test?
    /// The slot of the element.
    let element: Int
    let inCase: Test?
    let each: [FieldStep]
    let row: RowBuilder

    func run(_ frame: EvaluationFrame, _ rows: RowList) throws(EvaluationError) -> Int {
        for step in fields { try step(frame) }
        if let condition {
            guard try condition(frame) else { return 0 }
        }
        var count = 0
        for value in frame.slots[collection].elements {
            try frame.takeSteps(1)
            frame.slots[element] = value
            if let inCase {
                guard try inCase(frame) else { continue }
            }
            guard count < EvaluationLimits.rows else { throw .rowLimit }
            for step in each { try step(frame) }
            rows.append(try row.build(frame))
            count += 1
        }
        return count
    }
}
