internal import Buffers

/// The keys of an object and their order: the next one usually has the same keys, and need not be sorted again.
struct ObjectShape: BitwiseCopyable {
    /// Objects with more members are sorted each time.
    static let room = 16

    /// The members of the last object in order; none before the first, or when it had a key twice.
    private var known = UnsafeBufferPointer<Member>(start: nil, count: 0)
    /// Which member, as it came, is the n-th in order.
    let order: UnsafeMutableBufferPointer<UInt8>

    /// - Parameter order: ``room`` bytes.
    init(order: UnsafeMutableBufferPointer<UInt8>) { self.order = order }

    /// Copies members in ascending order of their keys; of equal keys the last one stays.
    ///
    /// - Parameters:
    ///   - source: at most ``room``, at least one.
    ///   - target: as many; lives as long as the shape.
    mutating func sort(
        _ source: UnsafeBufferPointer<Member>, into target: UnsafeMutableBufferPointer<Member>
    ) -> UnsafeBufferPointer<Member> {
        if copy(source, into: target) { return UnsafeBufferPointer(target) }
        for index in 0..<source.count {
            var position = index
            while position > 0, keyOrder(source[Int(order[position - 1])].key, source[index].key) > 0 {
                order[position] = order[position - 1]
                position -= 1
            }
            order[position] = UInt8(truncatingIfNeeded: index)
        }
        var count = 0
        for position in 0..<source.count {
            let member = source[Int(order[position])]
            if count > 0, keyOrder(target[count - 1].key, member.key) == 0 { count -= 1 }
            target[count] = member
            count += 1
        }
        let members = UnsafeBufferPointer(rebasing: target[..<count])
        known = count == source.count ? members : UnsafeBufferPointer(start: nil, count: 0)
        return members
    }

    /// - Returns: whether the keys are those of the last object, in the same order; otherwise the target is unspecified.
    @inline(__always)
    private func copy(
        _ source: UnsafeBufferPointer<Member>, into target: UnsafeMutableBufferPointer<Member>
    ) -> Bool {
        guard known.count == source.count else { return false }
        for position in 0..<source.count {
            let member = source[Int(order[position])]
            guard isSameKey(member.key, known[position].key) else { return false }
            target[position] = member
        }
        return true
    }
}

/// Whether keys are equal; in line, as they are short.
@inline(__always)
func isSameKey(_ a: Bytes, _ b: Bytes) -> Bool {
    guard a.count == b.count else { return false }
    var position = 0
    while position < a.count {
        if a[position] != b[position] { return false }
        position += 1
    }
    return true
}
