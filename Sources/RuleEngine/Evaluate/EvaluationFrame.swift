import Buffers

/// Reads or computes one value.
typealias Evaluator = @Sendable (EvaluationFrame) throws(EvaluationError) -> Value
/// Decides a condition.
typealias Test = @Sendable (EvaluationFrame) throws(EvaluationError) -> Bool
/// Computes a field and stores it in its slot.
typealias FieldStep = @Sendable (EvaluationFrame) throws(EvaluationError) -> Void

/// The bounds of one evaluation; each raises when it is reached.
package enum EvaluationLimits {
    /// Function calls, elements of lists and ranges, and elements of FOREACH, all together.
    package static let steps = 100_000
    package static let rows = 10_000
}

/// What the compiled closures work on: the event, the slots of aliases, the payload read so far.
///
/// One for each ``EvaluationContext``, used by one evaluation after the other.
package final class EvaluationFrame {
    /// The owner; set before the first evaluation.
    unowned(unsafe) var context: EvaluationContext!
    let arena: Arena
    unowned(unsafe) var event: any EventColumns
    /// Aliases, elements and fields by the number the compiler gave them; in the arena.
    var slots: UnsafeMutablePointer<Value>
    var stepsLeft = 0
    let payload = PayloadCache()
    /// Which of the payload's scanned paths is this rule's n-th.
    var pathMap: UnsafePointer<Int32>
    var starPlans: [Int: StarPlan] = [:]
    var lastStarPlan: StarPlan?

    private static let noEvent = NoEvent()
    private let empty = UnsafeMutablePointer<Value>.allocate(capacity: 1)
    private let emptyMap = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

    init(_ arena: Arena) {
        self.arena = arena
        event = Self.noEvent
        slots = empty
        pathMap = UnsafePointer(emptyMap)
    }

    deinit {
        empty.deallocate()
        emptyMap.deallocate()
    }

    /// Makes this the frame of an evaluation with that many slots, all undefined.
    @inline(__always)
    func begin(_ event: any EventColumns, slotCount: Int) throws(EvaluationError) {
        self.event = event
        stepsLeft = EvaluationLimits.steps
        guard slotCount > 0 else { return }
        slots = try arena.allocate(Value.self, count: slotCount).baseAddress.unsafelyUnwrapped
        slots.initialize(repeating: .undefined, count: slotCount)
    }

    /// The event's owner may let go of it from here on.
    @inline(__always)
    func end() { event = Self.noEvent }

    @inline(__always)
    func takeSteps(_ count: Int) throws(EvaluationError) {
        stepsLeft &-= count
        if stepsLeft < 0 { throw .stepLimit }
    }

    @inline(__always)
    func column(_ column: Column) throws(EvaluationError) -> Value {
        try event.value(of: column, in: context)
    }
}

/// Stands in between evaluations; has no columns.
private final class NoEvent: EventColumns, Sendable {
    func value(of column: Column, in context: EvaluationContext) -> Value { .undefined }
    var present: [Column] { [] }
}
