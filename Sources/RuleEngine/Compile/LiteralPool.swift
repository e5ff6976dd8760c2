import Buffers

/// Memory for what a compiled rule refers to: literals, keys, results of folded calls.
///
/// Filled while the rule is compiled and unchanged afterwards, so that any thread may read it.
// Owner: the compiler until the rule is made, nobody (immutable) from then on.
final class LiteralPool: @unchecked Sendable {
    /// For calls that are made at compile time; its arena is the pool's memory.
    let context: EvaluationContext
    private var interned: [[UInt8]: Bytes] = [:]

    /// In bytes. A call whose result is larger is made for each event.
    private static let limit = 4 * 1024 * 1024

    init() {
        context = EvaluationContext(node: "", arena: Arena(chunkSize: 1024, limit: Self.limit))
    }

    var arena: Arena { context.arena }

    func bytes(_ text: String) throws(EvaluationError) -> Bytes {
        let key = Array(text.utf8)
        if let known = interned[key] { return known }
        let copy = try arena.string(text).bytes
        interned[key] = copy
        return copy
    }

    /// The key of a row's member, as a ``FramedKey``.
    func key(_ name: String) throws(EvaluationError) -> Bytes {
        let key = Array(name.utf8)
        return FramedKey.store(key, in: try arena.bytes(count: FramedKey.size(of: key.count)))
    }

    func value(_ stored: StoredValue) throws(EvaluationError) -> Value { try stored.value(in: arena) }

    func buffer<T: BitwiseCopyable>(_ items: [T]) throws(EvaluationError) -> UnsafeBufferPointer<T> {
        let copy = try arena.allocate(T.self, count: items.count)
        _ = copy.initialize(from: items)
        return UnsafeBufferPointer(copy)
    }
}
