/// A node that belongs to the cluster.
package struct ClusterMember: Hashable, Sendable {
    package var name: String
    /// That of its data directory.
    package var id: UInt64
    package var role: NodeRole
    /// `host:port` of its mesh listener.
    package var address: String
    /// Seconds since 1970.
    package var joined: UInt64
    package var version: String
    /// The highest that it can do.
    package var featureLevel: UInt32

    package init(
        name: String, id: UInt64, role: NodeRole, address: String, joined: UInt64, version: String, featureLevel: UInt32
    ) {
        self.name = name
        self.id = id
        self.role = role
        self.address = address
        self.joined = joined
        self.version = version
        self.featureLevel = featureLevel
    }
}

/// A node that was removed: a hello with its id is answered "removed".
package struct RemovedMember: Hashable, Sendable {
    package var name: String
    package var id: UInt64
    package var time: UInt64
}

/// What a table is about. Numbers are part of the format.
package enum MetaTableName: UInt8, Sendable, CaseIterable { case users = 1, accessRules = 2, bans = 3 }

/// Entries whose meaning is others' business.
package struct MetaTable: Hashable, Sendable {
    /// Goes up with each change.
    package var version: UInt64 = 0
    package var entries: [[UInt8]: [UInt8]] = [:]

    package init() {}
}

/// What the cluster agrees on, as of one command. A value: whoever has it may keep it.
package struct MetaState: Hashable, Sendable {
    /// 0 until the cluster is founded.
    package var clusterID: UInt64 = 0
    package var clusterName = ""
    /// Goes up when a cluster is recovered from the loss of its majority.
    package var epoch: UInt64 = 0
    package var featureLevel: UInt32 = 0
    /// By name.
    package var members: [String: ClusterMember] = [:]
    /// In the order in which they went.
    package var removed: [RemovedMember] = []
    package var rules = RuleGeneration()
    /// Earlier generations, the oldest first.
    package var history: [RuleGeneration] = []
    /// By node, the hash of the rule files that it last proposed; those count as handed in, whatever became of them since.
    package var offers: [String: UInt64] = [:]
    package var blobs: [BlobID: [UInt8]] = [:]
    /// Files of which parts have arrived.
    package var staged: [BlobID: StagedBlob] = [:]
    /// Files that are complete and that no generation has had yet, with the command that completed them.
    package var unused: [BlobID: UInt64] = [:]
    /// By dotted key, its value as YAML.
    package var configuration: [String: String] = [:]
    package var configurationVersion: UInt64 = 0
    package var tables: [MetaTableName: MetaTable] = [:]
    /// How many commands have been applied.
    package var sequence: UInt64 = 0
    /// The index of the last of them in the replicated log.
    package var index: UInt64 = 0
    /// Over all commands: equal on nodes that are equally far.
    package var rollingHash: UInt64 = metaHash([])

    package init() {}

    package func isMember(_ name: String) -> Bool { members[name] != nil }

    package func bytes(of file: RuleBundle.File) -> [UInt8]? { blobs[file.blob] }
}

/// A file that comes in parts.
package struct StagedBlob: Hashable, Sendable {
    package var total: UInt32
    package var bytes: [UInt8]
    /// The command that brought the last part.
    package var sequence: UInt64
}

/// What a command changed.
package struct MetaChange: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let rules = MetaChange(rawValue: 1)
    package static let members = MetaChange(rawValue: 2)
    package static let configuration = MetaChange(rawValue: 4)
    package static let tables = MetaChange(rawValue: 8)
    /// All of it may have changed: a snapshot was installed.
    package static let everything: MetaChange = [.rules, .members, .configuration, .tables]
}

/// Bounds of the replicated state; together they stay below the 32 MB that a snapshot may have.
package enum MetaLimits {
    /// Bytes of one command, and so of one entry of the log.
    package static let command = 64 * 1024
    /// Bytes of a file in one command.
    package static let blobPart = 48 * 1024
    package static let blob = 1024 * 1024
    package static let blobs = 16 * 1024 * 1024
    package static let staged = 4 * 1024 * 1024
    /// Commands after which parts of a file that nobody used are forgotten.
    package static let stagedLifetime: UInt64 = 512
    package static let files = 512
    package static let objects = 4096
    package static let members = 1024
    package static let removed = 256
    package static let history = 20
    /// Keys of commands whose answers are remembered.
    package static let answers = 1024
    package static let configuration = 1024
    package static let tableEntries = 100_000
    package static let tableBytes = 8 * 1024 * 1024
}
