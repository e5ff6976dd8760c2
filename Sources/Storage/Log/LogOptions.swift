package struct LogOptions: Sendable {
    /// Created when it is not there; its parent must be.
    package var directory: String
    package var durability: Durability = .process
    /// A segment takes no more once it is this large; one batch that is larger has a segment of its own.
    package var segmentBytes = 64 << 20
    /// Bytes that may wait for the writer thread before new content is refused (``StorageError/backlog``).
    package var pendingBytes = 32 << 20
    /// Disk space kept for removals: new content is refused when less than half of it is free; the other half lies in
    /// a file that is given up when the disk is full. 0: no reserve.
    package var reserveBytes = 16 << 20
    /// At damage in the files (not at a torn tail): end with ``StorageError/damaged(_:)`` instead of going on behind
    /// it.
    package var stopsAtDamage = false
    /// Called on the writer's or the maintenance thread; must not wait.
    package var onEvent: @Sendable (StorageEvent) -> Void = { _ in }

    package init(directory: String) { self.directory = directory }
}

/// Whether a log takes new content at the moment.
package struct Admission: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let backlog = Admission(rawValue: 1)
    package static let diskFull = Admission(rawValue: 2)
    package static let failed = Admission(rawValue: 4)
}
