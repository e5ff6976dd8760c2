package import Buffers

/// Memory of one evaluation: handed out by moving a pointer, taken back all at once.
///
/// Confined to its owner's thread (the shard). After a warm-up an evaluation allocates nothing: `reset()` keeps the
/// first chunk. A limit bounds what one evaluation may take.
package final class Arena {
    private var chunks: [UnsafeMutableRawBufferPointer] = []
    private var next: UnsafeMutableRawPointer
    private var end: UnsafeMutableRawPointer
    private var taken = 0
    /// For text of a length that is not known beforehand, on its way into the arena. Who uses it calls nobody meanwhile
    /// that might use it, too.
    let scratch = OutputBuffer()
    /// The most bytes that the rules of one event may take together; beyond it ``allocate(byteCount:alignment:)`` raises.
    private let memoryLimit: Int
    /// The most bytes of one text that an evaluation makes.
    package let limit: Int

    package init(chunkSize: Int = 16 * 1024, limit: Int = 64 * 1024 * 1024) {
        let first = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize, alignment: 16)
        memoryLimit = limit
        self.limit = min(limit, EvaluationLimits.outputBytes)
        chunks = [first]
        next = first.baseAddress!  // our own allocation of more than zero bytes
        end = next + chunkSize
    }

    deinit { for chunk in chunks { chunk.deallocate() } }

    /// Forgets everything handed out. Values made since the last reset are invalid from here on.
    @inline(__always)
    package func reset() {
        if chunks.count > 1 { releaseExtraChunks() }
        taken = 0
        let first = chunks[0]
        next = first.baseAddress!  // our own allocation
        end = next + first.count
    }

    /// Bytes handed out since the last reset, with what alignment and the ends of full chunks left unused.
    package var used: Int { chunks.reduce(0) { $0 + $1.count } - (end - next) }

    /// - Parameter alignment: 1, 2, 4, 8 or 16.
    /// - Returns: uninitialised memory, valid until the next reset.
    /// - Throws: ``EvaluationError/memoryLimit``.
    @inline(__always)
    package func allocate(byteCount: Int, alignment: Int) throws(EvaluationError) -> UnsafeMutableRawPointer {
        let start = (Int(bitPattern: next) + alignment - 1) & ~(alignment - 1)
        let stop = start &+ byteCount
        if stop <= Int(bitPattern: end), byteCount >= 0 {
            next = UnsafeMutableRawPointer(bitPattern: stop).unsafelyUnwrapped
            return UnsafeMutableRawPointer(bitPattern: start).unsafelyUnwrapped
        }
        return try allocateSlowly(byteCount: byteCount, alignment: alignment)
    }

    @inline(never)
    private func allocateSlowly(byteCount: Int, alignment: Int) throws(EvaluationError) -> UnsafeMutableRawPointer {
        guard byteCount >= 0, byteCount <= memoryLimit else { throw .memoryLimit }
        let size = max(byteCount + 16, (chunks.last?.count ?? 0) * 2)
        taken += size
        guard taken <= memoryLimit + 1024 * 1024 else { throw .memoryLimit }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        chunks.append(chunk)
        next = chunk.baseAddress!  // our own allocation
        end = next + size
        return try allocate(byteCount: byteCount, alignment: alignment)
    }

    @inline(never)
    private func releaseExtraChunks() {
        for chunk in chunks.dropFirst() { chunk.deallocate() }
        chunks.removeSubrange(1...)
    }
}

extension Arena {
    package func allocate<T: BitwiseCopyable>(_ type: T.Type, count: Int) throws(EvaluationError)
        -> UnsafeMutableBufferPointer<T>
    {
        let (bytes, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<T>.stride)
        guard !overflow else { throw .memoryLimit }
        let start = try allocate(byteCount: bytes, alignment: MemoryLayout<T>.alignment)
        return UnsafeMutableBufferPointer(start: start.bindMemory(to: type, capacity: count), count: count)
    }

    /// Memory for a text.
    /// - Throws: ``EvaluationError/memoryLimit``, also for more than ``limit``.
    package func bytes(count: Int) throws(EvaluationError) -> UnsafeMutableRawBufferPointer {
        guard count <= limit else { throw .memoryLimit }
        return UnsafeMutableRawBufferPointer(start: try allocate(byteCount: count, alignment: 1), count: count)
    }

    /// A string with a copy of these bytes.
    package func string(copying bytes: Bytes) throws(EvaluationError) -> Value {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return .emptyString }
        let copy = try self.bytes(count: bytes.count)
        copy.copyMemory(from: Bytes(start: source, count: bytes.count))
        return .string(Bytes(copy))
    }

    package func string(_ text: String) throws(EvaluationError) -> Value {
        guard !text.isEmpty else { return .emptyString }
        let copy = try bytes(count: text.utf8.count)
        copy.copyBytes(from: text.utf8)
        return .string(Bytes(copy))
    }

    package func array(_ values: [Value]) throws(EvaluationError) -> Value {
        guard !values.isEmpty else { return .emptyArray }
        let copy = try allocate(Value.self, count: values.count)
        _ = copy.initialize(from: values)
        return .array(UnsafeBufferPointer(copy))
    }

    /// An object of these members, sorted here; of equal keys the last one stays.
    package func object(_ members: [Member]) throws(EvaluationError) -> Value {
        guard !members.isEmpty else { return .emptyObject }
        let sorted = members.enumerated().sorted { a, b in
            let order = compareBytes(a.element.key, b.element.key)
            return order == 0 ? a.offset < b.offset : order < 0
        }
        let copy = try allocate(Member.self, count: sorted.count)
        var count = 0
        for (_, member) in sorted {
            if count > 0, compareBytes(copy[count - 1].key, member.key) == 0 { count -= 1 }
            copy[count] = member
            count += 1
        }
        return .object(UnsafeBufferPointer(rebasing: copy[0..<count]))
    }
}
