import Buffers

/// How a row is put together from slots and, after `*`, from the event's columns.
// Immutable; keys are the literal pool's.
struct RowBuilder: @unchecked Sendable {
    struct Entry: BitwiseCopyable {
        /// A ``FramedKey``.
        let key: Bytes
        let slot: Int
    }

    /// In ascending byte order of their keys.
    let entries: UnsafeBufferPointer<Entry>
    /// `*` copies the columns as well; a column of the same name as an entry gives way to it.
    let star: StarSource?
    private let isPlain: Bool

    init(entries: UnsafeBufferPointer<Entry>, star: StarSource?) {
        self.entries = entries
        self.star = star
        isPlain = entries.allSatisfy { FramedKey.isPlain($0.key) }
    }

    func build(_ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        if let star { return try star.build(entries, frame) }
        let members = try frame.arena.allocate(Member.self, count: entries.count)
        let slots = frame.slots
        var size = 0
        for index in 0..<entries.count {
            let entry = entries[index]
            let value = slots[entry.slot]
            members[index] = Member(key: entry.key, value: value)
            size &+= entry.key.count &+ frame.outputSize(value)
        }
        try frame.takeOutput(size)
        return .row(UnsafeBufferPointer(members), isFramed: isPlain)
    }
}

/// One `*` of a rule. Which columns it copies is the event's business; the merged order is worked out once for each set
/// of columns and kept in the frame.
// Immutable; `metadata` lies in the literal pool.
final class StarSource: @unchecked Sendable {
    let serial: Int
    let metadata: Value

    init(serial: Int, metadata: Value) {
        self.serial = serial
        self.metadata = metadata
    }

    func build(_ entries: UnsafeBufferPointer<RowBuilder.Entry>, _ frame: EvaluationFrame) throws(EvaluationError)
        -> Value
    {
        // Once: each reading counts an owner.
        let (event, context): (any EventColumns, EvaluationContext) = (frame.event, frame.context)
        let plan = plan(entries, event.present, frame)
        let sources = plan.sources
        let count = sources.count
        let members = try frame.arena.allocate(Member.self, count: count)
        var size = 0
        for index in 0..<count {
            let source = sources[index]
            let value: Value =
                switch source.origin {
                case .column: try event.value(of: source.column, in: context)
                case .slot: frame.slots[source.slot]
                case .metadata: metadata
                }
            members[index] = Member(key: source.key, value: value)
            size &+= source.key.count &+ frame.outputSize(value)
        }
        try frame.takeOutput(size)
        return .row(UnsafeBufferPointer(members), isFramed: plan.isPlain)
    }

    @inline(__always)
    private func plan(
        _ entries: UnsafeBufferPointer<RowBuilder.Entry>, _ present: [Column], _ frame: EvaluationFrame
    ) -> StarPlan {
        if let last = frame.lastStarPlan, last.serial == serial, last.isFor(present) { return last }
        let plan = plan(for: present, entries, frame)
        frame.lastStarPlan = plan
        return plan
    }

    private func plan(
        for present: [Column], _ entries: UnsafeBufferPointer<RowBuilder.Entry>, _ frame: EvaluationFrame
    ) -> StarPlan {
        if let known = frame.starPlans[serial], known.isFor(present) { return known }
        let plan = StarPlan(serial, present, entries)
        if frame.starPlans.count >= StarPlan.limit { frame.starPlans.removeAll() }
        frame.starPlans[serial] = plan
        return plan
    }
}

/// The members of a row with `*`, in order, for one set of columns.
final class StarPlan {
    static let limit = 4096

    enum Origin { case column, slot, metadata }

    struct Source {
        let key: Bytes
        let origin: Origin
        let column: Column
        let slot: Int
    }

    let serial: Int
    let columns: [Column]
    /// Memory, which going through counts no owners of.
    let sources: UnsafeBufferPointer<Source>
    let isPlain: Bool

    init(_ serial: Int, _ columns: [Column], _ entries: UnsafeBufferPointer<RowBuilder.Entry>) {
        self.serial = serial
        self.columns = columns
        var sources = entries.map { Source(key: $0.key, origin: .slot, column: .metadata, slot: $0.slot) }
        func add(_ column: Column, _ origin: Origin) {
            let key = column.nameBytes
            guard !sources.contains(where: { compareBytes($0.key, key) == 0 }) else { return }
            sources.append(Source(key: key, origin: origin, column: column, slot: 0))
        }
        add(.metadata, .metadata)
        for column in columns { add(column, .column) }
        let memory = UnsafeMutableBufferPointer<Source>.allocate(capacity: sources.count)
        _ = memory.initialize(from: sources.sorted { compareBytes($0.key, $1.key) < 0 })
        self.sources = UnsafeBufferPointer(memory)
        isPlain = memory.allSatisfy { FramedKey.isPlain($0.key) }
    }

    deinit { sources.deallocate() }

    /// Whether the plan was made for these columns. An event gives the same array each time, which its address shows.
    @inline(__always)
    func isFor(_ present: [Column]) -> Bool {
        let isSame = columns.withUnsafeBufferPointer { own in
            present.withUnsafeBufferPointer { own.baseAddress == $0.baseAddress && own.count == $0.count }
        }
        return isSame || columns == present
    }
}
