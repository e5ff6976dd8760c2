/// Why the store did not do what it was asked to.
package enum StorageError: Error, Sendable, Equatable {
    /// More bytes wait for the writer thread than its bound: the disk is slower than the producers. Try again later.
    case backlog
    /// Less than the reserve is free on the disk. Removals still go through; new content is refused until there is
    /// room.
    case diskFull
    /// A system call failed for good. Nothing is stored any more; nothing more becomes acknowledgeable.
    case failed(operation: String, path: String, errno: Int32)
    /// Damage in a file, and the caller had asked to stop at it.
    case damaged(Finding)
    /// The file was written in a format that this version does not read.
    case unsupportedFormat(path: String, version: UInt32)
    /// Another process uses the directory.
    case inUse(path: String)
    /// A record of more than ``LogFormat/maximumPayload`` bytes.
    case tooLarge
}

/// Something in the files that is not as it was written.
package struct Finding: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        /// The end of the newest segment: a record that was being written when the process or the machine stopped. Cut
        /// off.
        case tornTail
        /// Bytes that are not what was written. What they held is lost.
        case damaged
        /// Records that must have been there are not: a file was shortened or removed.
        case missing
        /// The snapshot of the index cannot be used; the log was read instead. Nothing is lost.
        case snapshotUnusable
        /// A queue of which messages were found but not its own record (it was in a damaged place). Dropped.
        case orphanedQueue(id: UInt64, messages: Int)
    }

    package var kind: Kind
    package var file: String
    package var offset: Int
    /// Bytes concerned; 0 when not known.
    package var length: Int

    package init(_ kind: Kind, file: String, offset: Int, length: Int = 0) {
        self.kind = kind
        self.file = file
        self.offset = offset
        self.length = length
    }

    /// Whether acknowledged content may be lost; false for what an ordinary `kill -9` leaves.
    package var isLoss: Bool { kind != .tornTail && kind != .snapshotUnusable }
}

/// What opening found.
package struct RecoveryReport: Sendable, Equatable {
    package var findings: [Finding] = []
    package var segments = 0
    /// Records that were read from the log; those that a snapshot covered are not among them.
    package var records = 0
    package var usedSnapshot = false

    package init() {}
}

/// What happens to a store while it runs, said once for each change.
package enum StorageEvent: Sendable, Equatable {
    /// New content is refused from now on. `free`: bytes on the disk.
    case diskFull(free: Int)
    /// New content is taken again.
    case diskRoom(free: Int)
    case found(Finding)
    case failed(StorageError)
}

/// What must have happened to a record before its acknowledgement may leave.
package enum Durability: String, Sendable, CaseIterable {
    /// Nothing: what the writer thread has not written yet is lost with the process.
    case none
    /// It was written to the kernel: it survives the death of the process, not of the machine.
    case process
    /// It was synced to the disk (fdatasync): it survives power loss.
    case fsync
}
