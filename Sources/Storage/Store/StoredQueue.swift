/// A queue of the store: the handle with which batches and readers name it.
///
/// Appending and removing are for one thread at a time, the owner's. Who hands a queue to another thread commits its
/// batch before.
///
/// `@unchecked Sendable`: ``nextPosition`` is the owner's; the rest is the store's, under its lock.
package final class StoredQueue: @unchecked Sendable {
    package let id: UInt64
    /// What the caller knows the queue by. Not interpreted.
    package internal(set) var name: [UInt8]
    /// The position that the next message will get. Positions only grow.
    package internal(set) var nextPosition: UInt64 = 0

    // Under the store's lock.
    var entries = QueueEntries()
    /// All positions below have been committed, or were given up.
    var committed: UInt64 = 0
    /// Where its own record lies. Zero: nowhere (yet).
    var record = LogLocation(rawValue: 0)
    var recordSize = 0
    var isDropped = false

    init(id: UInt64, name: [UInt8]) {
        self.id = id
        self.name = name
    }
}

/// A key of a table, with the number of the table.
struct TableKey: Hashable {
    var table: UInt32
    var bytes: [UInt8]
}

struct TableEntry {
    var location: LogLocation
    var size: UInt32
}
