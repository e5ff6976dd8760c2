import Synchronization

/// Numbers that tell one `*` from another in the frames' caches, also after a rule was replaced.
enum StarSerial {
    private static let last = Atomic<Int>(0)

    static func next() -> Int { last.wrappingAdd(1, ordering: .relaxed).newValue }
}
