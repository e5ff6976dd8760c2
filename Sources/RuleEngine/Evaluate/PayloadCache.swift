import Buffers

/// What has been read from the payload of the event under evaluation.
///
/// All rules of one event share it, so that the payload is scanned once. Its values lie in the context's arena: the
/// arena is reset between events, not between the rules of one event.
final class PayloadCache {
    private var isScanned = false
    private var isDecoded = false
    private var failure: EvaluationError?
    private var whole = Value.undefined
    /// The paths that the rules of this event read, and their values once ``slot(_:_:)`` was called.
    private(set) var paths: PayloadPaths = .none
    private var slots: UnsafeMutableBufferPointer<JSONSlot>

    init() { slots = .allocate(capacity: 16) }

    deinit { slots.deallocate() }

    /// Forgets the payload of the event before.
    @inline(__always)
    func begin(_ paths: PayloadPaths) {
        isScanned = false
        isDecoded = false
        if failure != nil { failure = nil }
        if self.paths !== paths { change(to: paths) }
    }

    private func change(to paths: PayloadPaths) {
        self.paths = paths
        guard paths.slotCount > slots.count else { return }
        slots.deallocate()
        slots = .allocate(capacity: paths.slotCount)
    }

    /// The value in the n-th slot of the paths.
    /// - Throws: what decoding the payload throws, again for each path.
    @inline(__always)
    func slot(_ index: Int, _ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        if !isScanned { try scan(frame) }
        return try slots[index].value(in: frame.arena)
    }

    /// As ``slot(_:_:)``, for an array of whose elements only some members are read: the others may be missing.
    func elements(
        _ index: Int, wanted: UnsafeBufferPointer<Bytes>, _ frame: EvaluationFrame
    ) throws(EvaluationError) -> Value {
        try scan(frame)
        // Not kept: another rule may read other members.
        if let text = slots[index].slice { return try JSON.decode(text, wanted: wanted, in: frame.arena) }
        return try slots[index].value(in: frame.arena)
    }

    /// Reads all paths, unless that has been done.
    @inline(__always)
    func scan(_ frame: EvaluationFrame) throws(EvaluationError) {
        if !isScanned { try scanOnce(frame) }
    }

    @inline(never)
    private func scanOnce(_ frame: EvaluationFrame) throws(EvaluationError) {
        if let failure { throw failure }
        do {
            try paths.read(try frame.column(.payload), into: slots, frame)
            isScanned = true
        } catch {
            failure = error
            throw error
        }
    }

    /// The payload decoded: its value when it is text, itself when it is none, undefined when there is no payload.
    func root(_ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        if isDecoded { return whole }
        if let failure { throw failure }
        do {
            let payload = try frame.column(.payload)
            whole = payload.kind == .string ? try JSON.decode(payload.bytes, in: frame.arena) : payload
            isDecoded = true
            return whole
        } catch {
            failure = error
            throw error
        }
    }
}

/// The constant paths into the payload that one rule, or all rules of a group, read.
final class PayloadPaths: Sendable {
    static let none = PayloadPaths([])

    let names: [String]
    private let paths: [[JSONPathStep]]
    private let pathSet: JSONPathSet

    init(_ references: [[Reference.Step]]) {
        names = references.map { "payload" + $0.map(\.description).joined() }
        paths = references.map { $0.map(JSONPathStep.init) }
        pathSet = JSONPathSet(paths)
    }

    var slotCount: Int { pathSet.slotCount }

    /// The slots of the paths, in their order.
    var slots: [Int32] { paths.indices.map { Int32(pathSet.slot(ofPath: $0)) } }

    /// - Parameter payload: text, which is decoded; or a value, which is read as it is.
    func read(
        _ payload: Value, into slots: UnsafeMutableBufferPointer<JSONSlot>, _ frame: EvaluationFrame
    ) throws(EvaluationError) {
        if payload.kind == .string { return try pathSet.read(payload.bytes, into: slots, in: frame.arena) }
        for (index, path) in paths.enumerated() {
            var value = payload
            for step in path { value = try step.read(value, frame.arena) }
            slots[pathSet.slot(ofPath: index)] = JSONSlot(value)
        }
    }
}

extension JSONPathStep {
    fileprivate init(_ step: Reference.Step) {
        switch step {
        case .key(let key): self = .key(key)
        case .index(let index, _): self = .index(index)
        case .variable: self = .index(0)
        }
    }

    fileprivate func read(_ value: Value, _ arena: Arena) throws(EvaluationError) -> Value {
        switch self {
        case .index(let index): return try value.step(index: index, in: arena)
        case .key(let key):
            return try key.withUnsafeBufferPointer { (key) throws(EvaluationError) in
                try value.step(key: Bytes(key), in: arena)
            }
        }
    }
}
