/// A statement compiled.
// Immutable; unchecked only because it is a base class.
class RuleProgram: @unchecked Sendable {
    /// - Returns: how many rows were appended.
    func run(_ frame: EvaluationFrame, _ rows: RowList) throws(EvaluationError) -> Int { 0 }

    /// Steps one after the other, as one: an array of closures costs a retain for each.
    static func sequence(_ steps: [FieldStep]) -> FieldStep? {
        guard let first = steps.first else { return nil }
        guard let rest = sequence(Array(steps.dropFirst())) else { return first }
        return { frame throws(EvaluationError) in
            try first(frame)
            try rest(frame)
        }
    }
}

final class SelectProgram: RuleProgram, @unchecked Sendable {
    private let scansFirst: Bool
    private let eager: FieldStep?
    private let condition: Test?
    private let deferred: FieldStep?
    private let row: RowBuilder

    /// - Parameters:
    ///   - scansFirst: a path into the payload is read in any case: bad JSON raises, whatever WHERE says.
    ///   - eager: what can raise or what WHERE needs, in the order of the fields.
    ///   - deferred: what only a row needs.
    init(scansFirst: Bool, eager: [FieldStep], condition: Test?, deferred: [FieldStep], row: RowBuilder) {
        self.scansFirst = scansFirst
        self.eager = Self.sequence(eager)
        self.condition = condition
        self.deferred = Self.sequence(deferred)
        self.row = row
    }

    override func run(_ frame: EvaluationFrame, _ rows: RowList) throws(EvaluationError) -> Int {
        if scansFirst { try frame.payload.scan(frame) }
        if let eager { try eager(frame) }
        if let condition {
            guard try condition(frame) else { return 0 }
        }
        if let deferred { try deferred(frame) }
        rows.append(try row.build(frame))
        return 1
    }
}

final class ForeachProgram: RuleProgram, @unchecked Sendable {
    private let fields: FieldStep?
    private let collection: Int
    private let decodesPayload: Bool
    private let condition: Test?
    private let element: Int
    private let inCase: Test?
    private let each: FieldStep?
    private let row: RowBuilder

    /// - Parameters:
    ///   - collection: the slot of the last field's value.
    ///   - decodesPayload: that field is the bare payload: its text is decoded.
    ///   - element: the slot of the element.
    init(
        fields: [FieldStep], collection: Int, decodesPayload: Bool, condition: Test?, element: Int, inCase: Test?,
        each: [FieldStep], row: RowBuilder
    ) {
        self.fields = Self.sequence(fields)
        self.collection = collection
        self.decodesPayload = decodesPayload
        self.condition = condition
        self.element = element
        self.inCase = inCase
        self.each = Self.sequence(each)
        self.row = row
    }

    override func run(_ frame: EvaluationFrame, _ rows: RowList) throws(EvaluationError) -> Int {
        if let fields { try fields(frame) }
        if let condition {
            guard try condition(frame) else { return 0 }
        }
        var count = 0
        let collection = decodesPayload ? try frame.payload.root(frame) : frame.slots[collection]
        for value in collection.elements {
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
