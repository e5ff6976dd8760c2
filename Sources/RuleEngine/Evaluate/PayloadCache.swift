import Buffers

/// What has been read from the payload of the event under evaluation.
///
/// All rules of one event share it, so that the payload is scanned once. Its values lie in the context's arena: the
/// arena is reset between events, not between the rules of one event.
final class PayloadCache {
    private enum State {
        case untouched
        case done
        case failed(EvaluationError)
    }

    private var pathState = State.untouched
    private var wholeState = State.untouched
    private var whole = Value.undefined
    /// The paths that the rules of this event read, and their values once ``path(_:_:)`` was called.
    private(set) var paths: PayloadPaths = .none
    private var values: UnsafeMutablePointer<Value>
    private var capacity = 16

    init() { values = .allocate(capacity: 16) }

    deinit { values.deallocate() }

    /// Forgets the payload of the event before.
    @inline(__always)
    func begin(_ paths: PayloadPaths) {
        pathState = .untouched
        wholeState = .untouched
        if self.paths !== paths { change(to: paths) }
    }

    private func change(to paths: PayloadPaths) {
        self.paths = paths
        guard paths.count > capacity else { return }
        values.deallocate()
        capacity = paths.count
        values = .allocate(capacity: capacity)
    }

    /// The value at the n-th of the paths.
    /// - Throws: what decoding the payload throws, again for each path.
    @inline(__always)
    func path(_ index: Int, _ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        if case .done = pathState { return values[index] }
        try scan(frame)
        return values[index]
    }

    /// Reads all paths, unless that has been done.
    func scan(_ frame: EvaluationFrame) throws(EvaluationError) {
        switch pathState {
        case .done: return
        case .failed(let error): throw error
        case .untouched: break
        }
        do {
            try paths.read(try frame.column(.payload), into: values, frame)
            pathState = .done
        } catch {
            pathState = .failed(error)
            throw error
        }
    }

    /// The payload decoded: its value when it is text, itself when it is none, undefined when there is no payload.
    func root(_ frame: EvaluationFrame) throws(EvaluationError) -> Value {
        switch wholeState {
        case .done: return whole
        case .failed(let error): throw error
        case .untouched: break
        }
        do {
            let payload = try frame.column(.payload)
            whole = payload.kind == .string ? try JSON.decode(payload.bytes, in: frame.arena) : payload
            wholeState = .done
            return whole
        } catch {
            wholeState = .failed(error)
            throw error
        }
    }
}

/// The constant paths into the payload that one rule, or all rules of a group, read.
// Immutable; the steps lie in the pool.
final class PayloadPaths: @unchecked Sendable {
    static let none = PayloadPaths()

    let names: [String]
    private let pool = LiteralPool()
    private let paths: [CompiledPath]

    private init() {
        names = []
        paths = []
    }

    init(_ references: [[Reference.Step]]) throws(EvaluationError) {
        var names: [String] = []
        var paths: [CompiledPath] = []
        for steps in references {
            names.append("payload" + steps.map(\.description).joined())
            paths.append(CompiledPath(steps: try pool.buffer(try pool.steps(steps)), variables: []))
        }
        self.names = names
        self.paths = paths
    }

    var count: Int { paths.count }

    /// - Parameter payload: text, which is decoded; or a value, which is read as it is.
    func read(
        _ payload: Value, into values: UnsafeMutablePointer<Value>, _ frame: EvaluationFrame
    ) throws(EvaluationError) {
        let root = payload.kind == .string ? try JSON.decode(payload.bytes, in: frame.arena) : payload
        for index in 0..<paths.count { values[index] = try paths[index].read(from: root, frame) }
    }
}
