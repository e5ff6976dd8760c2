import Buffers

/// A field list compiled: one step for each field, and how the row is built from their slots.
struct FieldList {
    struct Step {
        let run: FieldStep
        /// The slot of the row's member that the field sets or changes.
        let target: Int?
        /// The slot that holds just this field's value.
        let result: Int
        let mayRaise: Bool
        let readsPayload: Bool
        let reads: Set<Int>
        /// It changes a member that exists rather than setting it.
        let updates: Bool
        let text: String
        var isConstant = false
        /// The path into the payload that the field is, and that is all.
        var payloadPath: Int?
        var isEager = true
    }

    var steps: [Step] = []
    var scope: Scope
    var row: RowBuilder

    /// Fields whose evaluation cannot be told from outside wait until WHERE was true.
    /// - Parameter needed: the slots that WHERE reads; nil when there is no WHERE, and nothing to wait for.
    mutating func deferWhatCanWait(untilAfter needed: Set<Int>?) {
        guard var needed else { return }
        var assignments: [Int: Int] = [:]
        for step in steps { if let target = step.target { assignments[target, default: 0] += 1 } }
        let changing = Set(assignments.filter { $0.value > 1 }.keys)
        for index in steps.indices.reversed() {
            let step = steps[index]
            let target = step.target.map { needed.contains($0) || changing.contains($0) } ?? false
            guard step.mayRaise || step.updates || target || !step.reads.isDisjoint(with: changing) else {
                steps[index].isEager = false
                continue
            }
            needed.formUnion(step.reads)
        }
    }
}

extension Compiler {
    mutating func compileFields(_ fields: [Field], _ start: Scope) throws(EvaluationError) -> FieldList {
        let aliases = Set(fields.compactMap { $0.alias?.name })
        let targets = fields.enumerated().map { target($1, at: $0, aliases) }
        var builder = FieldBuilder(scope: start, targets: targets)
        for name in builder.names { builder.slots[name] = newSlot() }
        for (index, field) in fields.enumerated() {
            uses = Uses()
            switch field.value {
            case .all: try compileStar(at: index, &builder)
            case .expression(let expression): try compileField(field, expression, at: index, &builder)
            }
        }
        let row = RowBuilder(entries: try rowEntries(builder), star: builder.star)
        return FieldList(steps: builder.steps, scope: builder.scope, row: row)
    }

    struct FieldBuilder {
        var scope: Scope
        /// What each field writes; nil for `*`.
        let targets: [Target?]
        var slots: [String: Int] = [:]
        var steps: [FieldList.Step] = []
        var star: StarSource?
        /// Members that `*` brought in and no field has set since.
        var fromStar: Set<String> = []

        /// The names of the row's members, each once.
        var names: Set<String> { Set(targets.compactMap { $0?.name }) }
    }

    /// The row's member, and the path inside it, that a field writes.
    struct Target {
        let name: String
        let steps: [Reference.Step]
    }

    private func rowEntries(_ builder: FieldBuilder) throws(EvaluationError) -> UnsafeBufferPointer<RowBuilder.Entry> {
        var slots = builder.slots
        if builder.star != nil {
            for (name, slot) in builder.scope.overlay where slots[name] == nil { slots[name] = slot }
        }
        var entries: [RowBuilder.Entry] = []
        for (name, slot) in slots { entries.append(RowBuilder.Entry(key: try pool.key(name), slot: slot)) }
        return try pool.buffer(entries.sorted { compareBytes($0.key, $1.key) < 0 })
    }

    private func target(_ field: Field, at index: Int, _ aliases: Set<String>) -> Target? {
        if let alias = field.alias { return Target(name: alias.name, steps: alias.steps) }
        guard case .expression(let expression) = field.value else { return nil }
        switch expression.kind {
        case .reference(let reference), .rangeOf(let reference, _, _):
            return Target(name: reference.name, steps: reference.steps)
        case .literal(.string(let bytes)): return Target(name: String(decoding: bytes, as: UTF8.self), steps: [])
        default: return Target(name: generatedName(index, aliases), steps: [])
        }
    }

    /// Differs from EMQX: the same for every event, not from the clock.
    private func generatedName(_ index: Int, _ aliases: Set<String>) -> String {
        var name = "_v_\(index + 1)"
        while aliases.contains(name) { name += "_" }
        return name
    }

    // MARK: one field

    private mutating func compileField(
        _ field: Field, _ expression: Expression, at index: Int, _ builder: inout FieldBuilder
    ) throws(EvaluationError) {
        let value = try compile(expression, builder.scope)
        guard let target = builder.targets[index], let slot = builder.slots[target.name] else { return }
        let steps = target.steps
        let evaluate = value.evaluate
        var result = slot
        let run: FieldStep
        if steps.isEmpty {
            run = { frame throws(EvaluationError) in frame.slots[slot] = try evaluate(frame) }
        } else {
            result = newSlot()
            run = try update(slot, result, evaluate, steps, target.name, builder)
        }
        let isDecoded = target.name == "payload" && !steps.isEmpty
        builder.steps.append(
            FieldList.Step(
                run: run, target: slot, result: result, mayRaise: value.mayRaise || isDecoded,
                readsPayload: uses.readsPayload, reads: uses.slots, updates: !steps.isEmpty, text: text(field.span),
                isConstant: value.constant != nil, payloadPath: steps.isEmpty ? value.payloadPath : nil))
        builder.fromStar.remove(target.name)
        // A column under its own name needs no slot to be read from.
        if steps.isEmpty, let column = value.column, column.name == target.name,
            builder.scope.overlay[target.name] == nil
        {
            builder.scope.row[target.name] = nil
        } else {
            builder.scope.row[target.name] = slot
        }
    }

    /// A field that writes along a path into a member of the row.
    private mutating func update(
        _ slot: Int, _ result: Int, _ evaluate: @escaping Evaluator, _ steps: [Reference.Step], _ name: String,
        _ builder: FieldBuilder
    ) throws(EvaluationError) -> FieldStep {
        let path = try compilePath(steps, builder.scope)
        // What `*` brought in as payload is replaced, as EMQX does; a payload selected by name is decoded and merged.
        let replaces = name == "payload" && builder.fromStar.contains(name)
        let decodes = name == "payload" && !replaces
        return { frame throws(EvaluationError) in
            let value = try evaluate(frame)
            frame.slots[result] = value
            var root = replaces ? Value.undefined : frame.slots[slot]
            if decodes, root.kind == .string { root = try JSON.decode(root.bytes, in: frame.arena) }
            frame.slots[slot] = try path.write(value, into: root, frame)
        }
    }

    // MARK: *

    /// `*` sets the members that fields before it have set, or that fields after it change along a path.
    private mutating func compileStar(
        at index: Int, _ builder: inout FieldBuilder
    ) throws(EvaluationError) {
        columns.insert("*")
        builder.star = StarSource(serial: StarSerial.next(), metadata: metadata)
        var copies: [(slot: Int, from: Root, column: Column)] = []
        let set = Set(builder.targets[..<index].compactMap { $0?.name })
        var updated: [String: Bool] = [:]
        for case .some(let target) in builder.targets[(index + 1)...] where updated[target.name] == nil {
            updated[target.name] = !target.steps.isEmpty
        }
        for (name, slot) in builder.slots where set.contains(name) || updated[name] == true {
            copies.append((slot, root(name, builder.scope.overlay), Column(name)))
            builder.fromStar.insert(name)
            builder.scope.row[name] = slot
        }
        let made = copies
        let run: FieldStep = { frame throws(EvaluationError) in
            for copy in made {
                switch copy.from {
                case .slot(let slot): frame.slots[copy.slot] = frame.slots[slot]
                case .constant(let value): frame.slots[copy.slot] = value
                case .column(let column) where frame.event.present.contains(column):
                    frame.slots[copy.slot] = try frame.column(column)
                case .column: break
                }
            }
        }
        let result = newSlot()
        builder.steps.append(
            FieldList.Step(
                run: run, target: nil, result: result, mayRaise: !made.isEmpty, readsPayload: false, reads: [],
                updates: !made.isEmpty, text: "*"))
    }
}
