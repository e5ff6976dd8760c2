import Buffers

extension Reference.Step: CustomStringConvertible {
    var description: String {
        switch self {
        case .key(let key):
            key.utf8.allSatisfy { $0 != UInt8(ascii: ".") && $0 != UInt8(ascii: "[") && $0 != UInt8(ascii: "'") }
                ? ".\(key)" : ".'\(key)'"
        case .index(let index, let isFromEnd): index == 0 && isFromEnd ? "[-0]" : "[\(index)]"
        case .variable(let reference): "[\(reference.name)\(reference.steps.map(\.description).joined())]"
        }
    }
}

extension LiteralPool {
    /// Constant steps; variables are left out.
    func steps(_ steps: [Reference.Step]) throws(EvaluationError) -> [PathStep] {
        var compiled: [PathStep] = []
        for step in steps {
            switch step {
            case .key(let key): compiled.append(PathStep(kind: .key, key: try bytes(key), number: 0))
            case .index(0, isFromEnd: true):
                compiled.append(PathStep(kind: .append, key: Bytes(start: nil, count: 0), number: 0))
            case .index(let index, _):
                compiled.append(PathStep(kind: .index, key: Bytes(start: nil, count: 0), number: index))
            case .variable: break
            }
        }
        return compiled
    }
}

extension Compiler {
    func root(_ name: String, _ overlay: [String: Int]) -> Root {
        if let slot = overlay[name] { return .slot(slot) }
        if name == "metadata" { return .constant(metadata) }
        return .column(Column(name))
    }

    /// A reference is looked up in the row first, as a whole; if it leads nowhere there, in the columns. An index that
    /// is a name is looked up where the path's root is. [EMQX rule-sql: paths and AS]
    mutating func compile(_ reference: Reference, _ scope: Scope) throws(EvaluationError) -> CompiledExpression {
        let baseScope = Scope(overlay: scope.overlay, row: [:], isClosed: scope.isClosed)
        guard let slot = scope.row[reference.name] else { return try compileBase(reference, baseScope) }
        let rowScope = Scope(overlay: scope.row, row: [:], isClosed: true)
        let row = try compile(reference, from: .slot(slot), rowScope)
        // What the row leaves undefined is rarely read: it counts as a branch.
        uses.branchDepth += 1
        let named = columns
        let base = try compileBase(reference, baseScope)
        columns = named
        uses.branchDepth -= 1
        let (first, second) = (row.evaluate, base.evaluate)
        return CompiledExpression(
            evaluate: { frame throws(EvaluationError) in
                let value = try first(frame)
                return value.isUndefined ? try second(frame) : value
            }, mayRaise: row.mayRaise || base.mayRaise)
    }

    private mutating func compileBase(_ reference: Reference, _ scope: Scope) throws(EvaluationError)
        -> CompiledExpression
    {
        if scope.isClosed, scope.overlay[reference.name] == nil { return constant(.undefined) }
        return try compile(reference, from: root(reference.name, scope.overlay), scope)
    }

    private mutating func compile(
        _ reference: Reference, from root: Root, _ scope: Scope
    ) throws(EvaluationError) -> CompiledExpression {
        switch root {
        case .column(.payload) where !reference.steps.isEmpty:
            columns.insert("payload")
            return try compilePayload(reference.steps)
        case .column(let column):
            columns.insert(column.name)
            guard !reference.steps.isEmpty else {
                return CompiledExpression(
                    evaluate: { frame throws(EvaluationError) in try frame.column(column) }, column: column,
                    mayRaise: false)
            }
            let path = try compilePath(reference.steps, scope)
            return CompiledExpression(
                evaluate: { frame throws(EvaluationError) in try path.read(from: try frame.column(column), frame) },
                mayRaise: false)
        case .constant(let value):
            guard !reference.steps.isEmpty else { return constant(value) }
            let path = try compilePath(reference.steps, scope)
            return CompiledExpression(
                evaluate: { frame throws(EvaluationError) in try path.read(from: value, frame) }, mayRaise: false)
        case .slot(let slot):
            uses.slots.insert(slot)
            reads.add(slot, reference.steps, isMember: reference.name != "payload")
            return try compileSlot(slot, reference, scope)
        }
    }

    private mutating func compileSlot(
        _ slot: Int, _ reference: Reference, _ scope: Scope
    ) throws(EvaluationError) -> CompiledExpression {
        guard !reference.steps.isEmpty else {
            return CompiledExpression(evaluate: { frame in frame.slots[slot] }, mayRaise: false)
        }
        let path = try compilePath(reference.steps, scope)
        guard reference.name == "payload" else {
            if path.steps.count == 1, path.steps[0].kind == .key, path.steps[0].key.count > 0 {
                return member(slot, path)
            }
            return CompiledExpression(
                evaluate: { frame throws(EvaluationError) in try path.read(from: frame.slots[slot], frame) },
                mayRaise: false)
        }
        // Differs from EMQX: an alias called payload is decoded itself, not taken from what was decoded before.
        return CompiledExpression(evaluate: { frame throws(EvaluationError) in
            let value = frame.slots[slot]
            let root = value.kind == .string ? try JSON.decode(value.bytes, in: frame.arena) : value
            return try path.read(from: root, frame)
        })
    }

    /// A member of what is in a slot, as of FOREACH's elements: the usual case in one closure.
    private func member(_ slot: Int, _ path: CompiledPath) -> CompiledExpression {
        let key = UInt(bitPattern: path.steps[0].key.baseAddress)
        let count = path.steps[0].key.count
        return CompiledExpression(
            evaluate: { frame throws(EvaluationError) in
                let value = frame.slots[slot]
                guard value.kind == .object else { return try path.read(from: value, frame) }
                return value.member(Bytes(start: UnsafeRawPointer(bitPattern: key), count: count))
            }, mayRaise: false)
    }

    /// A path into the payload: the text is decoded, and bad JSON raises.
    private mutating func compilePayload(_ steps: [Reference.Step]) throws(EvaluationError) -> CompiledExpression {
        let isCertain = uses.branchDepth == 0
        if isCertain { uses.readsPayload = true }
        let isConstant = steps.allSatisfy { if case .variable = $0 { false } else { true } }
        if isConstant {
            let number = payloadNumber(steps)
            return CompiledExpression(
                evaluate: { frame throws(EvaluationError) in
                    try frame.payload.slot(Int(frame.pathMap[number]), frame)
                }, payloadPath: number, mayRaise: !isCertain)
        }
        var variables: [Evaluator] = []
        var compiled: [PathStep] = []
        for step in steps {
            guard case .variable(let reference) = step else {
                compiled += try pool.steps([step])
                continue
            }
            // Looked up in the decoded payload, as EMQX does.
            compiled.append(PathStep(kind: .variable, key: Bytes(start: nil, count: 0), number: variables.count))
            variables.append(try compilePayload([.key(reference.name)] + reference.steps).evaluate)
        }
        let path = CompiledPath(steps: try pool.buffer(compiled), variables: variables)
        return CompiledExpression(
            evaluate: { frame throws(EvaluationError) in try path.read(from: try frame.payload.root(frame), frame) },
            mayRaise: !isCertain)
    }

    mutating func compilePath(_ steps: [Reference.Step], _ scope: Scope) throws(EvaluationError) -> CompiledPath {
        var variables: [Evaluator] = []
        var compiled: [PathStep] = []
        for step in steps {
            guard case .variable(let reference) = step else {
                compiled += try pool.steps([step])
                continue
            }
            compiled.append(PathStep(kind: .variable, key: Bytes(start: nil, count: 0), number: variables.count))
            variables.append(try compile(reference, scope).evaluate)
        }
        return CompiledPath(steps: try pool.buffer(compiled), variables: variables)
    }

    func constant(_ value: Value) -> CompiledExpression {
        CompiledExpression(evaluate: { _ in value }, constant: value, mayRaise: false)
    }
}
