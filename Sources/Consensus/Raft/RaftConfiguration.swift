/// How one replicated log of a node is run. The defaults suit a group of configuration: small state, quick elections.
package struct RaftConfiguration: Sendable {
    /// From the directory's ``NodeIdentity``.
    package var id: UInt64
    /// The node's name; the others' engines ask their dialer for it.
    package var name: String
    /// Holds the identity, and a folder for each group. Made when it is missing.
    package var directory: String
    /// The log's name: one of several that a node may have.
    package var group = "meta"
    /// Whether a new log begins as a group of this node alone. Without it, it waits until a leader adds it to its group.
    package var bootstraps = false

    /// Elections begin after once to twice this without a leader. The heartbeat divides it into the values that timeouts can
    /// have, so it should fit ten times or so.
    package var electionMilliseconds: UInt32 = 500
    package var heartbeatMilliseconds: UInt32 = 50

    /// A snapshot is taken when so many entries, and so many bytes, and at least as many as the last one had, were applied.
    package var snapshotEntries: UInt32 = 1024
    package var snapshotBytes = 8 * 1024 * 1024
    /// What is kept in the log (and in memory) behind a snapshot, so that a follower that was away needs none.
    package var trailingEntries: UInt32 = 1024
    package var trailingBytes = 32 * 1024 * 1024
    /// Of the log's files, three of which are made ahead; 0 for the library's 8 MiB.
    package var segmentBytes = 0

    /// Larger commands are refused.
    package var largestCommand = 1024 * 1024
    /// Commands that wait share an entry up to this size; a larger one has its own.
    package var entryBytes = 64 * 1024
    /// Entries handed to the engine and not yet applied. What comes meanwhile waits, and shares the next.
    package var entriesInFlight = 8
    /// Proposals beyond these are refused.
    package var queuedCommands = 16384
    package var queuedBytes = 32 * 1024 * 1024

    /// How long after a change the state is written to the cache, at the earliest.
    package var cacheMilliseconds: UInt64 = 1000

    package init(id: UInt64, name: String, directory: String) {
        self.id = id
        self.name = name
        self.directory = directory
    }

    var folder: String { "\(directory)/\(group)" }
    /// The library's own files.
    var logFolder: String { "\(folder)/log" }
    var cacheFile: String { "\(folder)/state" }
    /// Says that this member has had a term. Beside the folder, so that it outlives it.
    var markFile: String { "\(directory)/\(group).member" }
}

/// Why a replicated log cannot be opened.
package struct ConsensusStartError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Kind: Sendable {
        /// A file is not what was written. The member must not vote: set its directory aside, and join under a new identity.
        case damaged
        /// Entries that were acknowledged here are gone. As ``damaged``.
        case entriesMissing
        /// Anything else: permissions, no room, a wrong option.
        case unusable
    }

    package var kind: Kind
    /// Names the file, and the place in it where it is known.
    package var description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
