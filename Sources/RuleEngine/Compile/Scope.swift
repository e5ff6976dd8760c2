/// What the names of an expression stand for, where it is written.
struct Scope {
    /// Names that hide the event's columns: the fields and the element of FOREACH; in WHERE, the row.
    var overlay: [String: Int] = [:]
    /// Aliases of earlier fields: asked first, the overlay and the columns after them when they give undefined.
    var row: [String: Int] = [:]
    /// Names that are nowhere above are undefined, whatever columns there are.
    var isClosed = false

    /// The same with the row laid over the columns, as WHERE sees it.
    func overlaid() -> Scope {
        Scope(overlay: overlay.merging(row) { $1 }, row: [:])
    }
}

/// Where the root of a path is.
enum Root {
    case slot(Int)
    case column(Column)
    case constant(Value)
}

/// An expression compiled, and what is known about it.
struct CompiledExpression {
    let evaluate: Evaluator
    /// The value, if it is always the same.
    var constant: Value?
    /// The n-th constant path into the payload, if it is just that.
    var payloadPath: Int?
    /// The column, if it is just that.
    var column: Column?
    /// Whether it can raise, given that the payload has been scanned where it reads it.
    var mayRaise = true
}

/// What one field or condition uses; decides what has to be evaluated before WHERE.
struct Uses {
    var slots: Set<Int> = []
    /// A path into the payload that is read in any case.
    var readsPayload = false
    /// Inside of a branch that may not be taken.
    var branchDepth = 0
}

/// How the slots of a statement are read: FOREACH decodes of its elements what is read of them.
struct SlotReads {
    /// Slots whose value is read as a whole, or otherwise than by a constant key.
    var whole: Set<Int> = []
    /// The keys by which the members of a slot's value are read.
    var keys: [Int: Set<[UInt8]>] = [:]

    mutating func add(_ slot: Int, _ steps: [Reference.Step], isMember: Bool) {
        guard isMember, case .key(let key)? = steps.first else {
            whole.insert(slot)
            return
        }
        keys[slot, default: []].insert(Array(key.utf8))
    }
}
