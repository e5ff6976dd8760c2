/// What a client has been allowed to publish, by the number of the route that its topic has: the route cache has compared
/// the topic's bytes already, and a number is never used twice. Eight entries; made when something is allowed.
///
/// Only what the authorization cache has said is kept here, and no longer than there. Confined to the connection's shard.
struct AllowedPublishes {
    private struct Entry {
        var route: UInt64 = 0
        var generation: UInt64 = 0
        /// Monotonic milliseconds.
        var until: Int64 = 0
        var flags: UInt8 = 0
    }

    private static let slots = 8
    private var entries: UnsafeMutablePointer<Entry>?

    /// - Parameters:
    ///   - generation: of the rules in force.
    ///   - now: monotonic milliseconds.
    @inline(__always)
    func contains(_ route: UInt64, flags: UInt8, generation: UInt64, now: Int64) -> Bool {
        guard let entries else { return false }
        let entry = entries + Self.slot(route)
        return entry.pointee.route == route && entry.pointee.generation == generation && entry.pointee.flags == flags
            && entry.pointee.until > now
    }

    mutating func insert(_ route: UInt64, flags: UInt8, generation: UInt64, until: Int64) {
        let entries = entries ?? Self.allocate()
        self.entries = entries
        entries[Self.slot(route)] = Entry(route: route, generation: generation, until: until, flags: flags)
    }

    @inline(__always)
    private static func slot(_ route: UInt64) -> Int { Int(truncatingIfNeeded: route) & (slots - 1) }

    private static func allocate() -> UnsafeMutablePointer<Entry> {
        let entries = UnsafeMutablePointer<Entry>.allocate(capacity: slots)
        entries.initialize(repeating: Entry(), count: slots)
        return entries
    }

    /// For a client that is somebody else from now on.
    mutating func forget() {
        entries?.deallocate()
        entries = nil
    }

    func deallocate() { entries?.deallocate() }
}
