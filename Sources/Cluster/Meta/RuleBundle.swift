/// The name of a file's content: its SHA-256.
package struct BlobID: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    package init?(_ bytes: [UInt8]) {
        guard bytes.count == 32 else { return nil }
        self.bytes = bytes
    }

    /// - Parameter digest: of SHA-256.
    init(digest: [UInt8]) { bytes = digest }

    package static func < (left: BlobID, right: BlobID) -> Bool {
        left.bytes.lexicographicallyPrecedes(right.bytes)
    }

    /// The first 16 hexadecimal digits.
    package var description: String { metaHex(bytes.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }) }
}

/// A rule, connector or action: what it is called, where it is written, what it hashes to. What it says is in the file.
package struct RuleObject: Hashable, Sendable {
    /// `rule:alert`, `action:http:alerts`, `connector:http:hooks`.
    package var id: String
    /// The same on every node for the same text: without what references to secrets and variables stand for.
    package var hash: UInt64
    package var file: String
    package var line: UInt32

    package init(id: String, hash: UInt64, file: String, line: UInt32) {
        self.id = id
        self.hash = hash
        self.file = file
        self.line = line
    }

    package var origin: String { "\(file):\(line)" }
}

/// Rule files that stand together: those of a node, or those that were handed to the cluster by a command.
package struct RuleBundle: Hashable, Sendable {
    package struct File: Hashable, Sendable {
        /// As messages call it.
        package var path: String
        package var blob: BlobID

        package init(path: String, blob: BlobID) {
            self.path = path
            self.blob = blob
        }
    }

    package var files: [File]
    package var objects: [RuleObject]

    package init(files: [File], objects: [RuleObject]) {
        self.files = files
        self.objects = objects
    }

    /// Over the names and hashes of the objects, in any order.
    package var hash: UInt64 { Self.hash(objects) }

    package static func hash(_ objects: [RuleObject]) -> UInt64 {
        objects.map { "\($0.id) \(metaHex($0.hash))\n" }.sorted().reduce(metaHash([])) { metaHash($1.utf8, $0) }
    }
}

/// An object in force, and whose it is.
package struct OwnedRuleObject: Hashable, Sendable {
    package var object: RuleObject
    /// The node whose files it is from; empty for one that the cluster owns.
    package var owner: String
    /// The generation that gave it its present text.
    package var generation: UInt64
}

/// All rule files in force at a time. Immutable once another follows.
package struct RuleGeneration: Hashable, Sendable {
    /// 0: there have never been any.
    package var number: UInt64 = 0
    /// Seconds since 1970, by the clock of the node that proposed it.
    package var time: UInt64 = 0
    /// Who or what it comes from.
    package var by = ""
    package var note = ""
    /// By owner.
    package var bundles: [String: RuleBundle] = [:]
    /// By id.
    package var objects: [String: OwnedRuleObject] = [:]

    package init() {}

    package var hash: UInt64 { RuleBundle.hash(objects.values.map(\.object)) }

    package var blobs: Set<BlobID> { Set(bundles.values.flatMap { $0.files.map(\.blob) }) }

    /// The ids that are in force from that owner's files.
    package func accepted(of owner: String) -> Set<String> {
        Set(objects.values.lazy.filter { $0.owner == owner }.map(\.object.id))
    }
}
