import Buffers
internal import Glibc

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
    /// Text of all rows together, and of one text that a function or a template makes.
    package static let outputBytes = 8 * 1024 * 1024
    /// Processor time of the thread. It is looked at between steps, so that one step may exceed it.
    package static let nanoseconds = 50_000_000
    /// Between two looks at the clock. An ordinary evaluation takes fewer and never looks.
    static let stepsPerLook = 128
    /// What a call costs at least that may take long whatever its arguments are, in steps between looks.
    static let slowCall = 32
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
    private var stepsLeft = 0
    /// The clock is looked at when fewer steps are left.
    private var nextLook = 0
    /// When the evaluation has taken too long; 0 before the first look at the clock.
    private var deadline = 0
    private var outputLeft = 0
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
        beginCounting()
        guard slotCount > 0 else { return }
        slots = try arena.allocate(Value.self, count: slotCount).baseAddress.unsafelyUnwrapped
        slots.initialize(repeating: .undefined, count: slotCount)
    }

    /// The event's owner may let go of it from here on.
    @inline(__always)
    func end() { event = Self.noEvent }

    @inline(__always)
    func beginCounting() {
        stepsLeft = EvaluationLimits.steps
        nextLook = EvaluationLimits.steps - EvaluationLimits.stepsPerLook
        deadline = 0
        outputLeft = EvaluationLimits.outputBytes
    }

    @inline(__always)
    func takeSteps(_ count: Int) throws(EvaluationError) {
        stepsLeft &-= count
        if stepsLeft < nextLook { try lookAtClock() }
    }

    /// Brings the next look at the clock nearer, by as many steps.
    @inline(__always)
    func hasten(_ steps: Int) { nextLook &+= steps }

    /// As ``hasten(_:)``, for work on a value that may be large.
    @inline(__always)
    func hasten(for value: Value) {
        if value.count > 4096 { nextLook &+= Int(value.count >> 6) }
    }

    @inline(never)
    private func lookAtClock() throws(EvaluationError) {
        guard stepsLeft >= 0 else { throw .stepLimit }
        nextLook = max(0, stepsLeft - EvaluationLimits.stepsPerLook)
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        let now = time.tv_sec * 1_000_000_000 + time.tv_nsec
        if deadline == 0 { deadline = now + EvaluationLimits.nanoseconds }
        guard now <= deadline else { throw .timeLimit }
    }

    /// About how much text a value of a row comes to.
    @inline(__always)
    func outputSize(_ value: Value) -> Int {
        let count = Int(value.count)
        guard count > 0, value.kind == .array || value.kind == .object else { return count }
        guard value.kind == .object, count <= 4 else { return count &+ value.textSize(atMost: outputLeft) }
        // Small objects of scalars, as the flags are, without a call.
        var size = count &* 2
        for member in value.members {
            let inner = member.value
            let isScalar = inner.count == 0 || inner.kind != .array && inner.kind != .object
            size &+= member.key.count &+ (isScalar ? Int(inner.count) : inner.textSize(atMost: outputLeft))
        }
        return size
    }

    /// Counts a row's text.
    @inline(__always)
    func takeOutput(_ size: Int) throws(EvaluationError) {
        outputLeft &-= size
        if outputLeft < 0 { throw .memoryLimit }
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

extension Value {
    /// About how many bytes of text a value comes to; it is not counted further than `limit`.
    fileprivate func textSize(atMost limit: Int) -> Int {
        switch kind {
        case .array:
            var size = Int(count)
            for element in elements {
                size &+= element.textSize(atMost: limit &- size)
                guard size <= limit else { return size }
            }
            return size
        case .object:
            var size = Int(count)
            for member in members {
                size &+= member.key.count &+ member.value.textSize(atMost: limit &- size)
                guard size <= limit else { return size }
            }
            return size
        default: return Int(count)
        }
    }
}
