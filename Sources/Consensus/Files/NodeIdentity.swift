/// Who a data directory is. Made with the directory and kept in it, so that a wiped directory is another member: one that has
/// forgotten what it acknowledged must not vote under the old name.
package struct NodeIdentity: Sendable, Equatable {
    /// Random, of 63 bits, not 0.
    package var id: UInt64
    /// Of the cluster this node is in, random like ``id``; 0 as long as it is in none.
    package var clusterID: UInt64
    /// Raised by each recovery without a majority: members that have an older one must not be spoken to.
    package var epoch: UInt64

    package init(id: UInt64, clusterID: UInt64 = 0, epoch: UInt64 = 0) {
        self.id = id
        self.clusterID = clusterID
        self.epoch = epoch
    }

    package static func random() -> Self { Self(id: randomID()) }

    /// 63 bits, not 0, from the system's generator.
    package static func randomID() -> UInt64 { UInt64.random(in: 1...UInt64(Int64.max)) }

    /// - Returns: nil when the directory has none.
    package static func read(from directory: String) throws(ConsensusStartError) -> Self? {
        let path = file(in: directory)
        guard let bytes = try AtomicFile.read(path) else { return nil }
        guard let identity = Self(text: String(decoding: bytes, as: UTF8.self)) else {
            throw ConsensusStartError(
                .damaged, "\(path) is not what was written: its four lines or their checksum do not fit")
        }
        return identity
    }

    /// The directory's, which is made new, and written, when there is none.
    package static func readOrMake(in directory: String) throws(ConsensusStartError) -> Self {
        if let identity = try read(from: directory) { return identity }
        let identity = random()
        try identity.write(to: directory)
        return identity
    }

    /// Replaces the directory's identity at once, readable by the owner alone.
    package func write(to directory: String) throws(ConsensusStartError) {
        try AtomicFile.makeFolder(directory)
        try AtomicFile.write(text, to: Self.file(in: directory))
    }

    private static func file(in directory: String) -> String { "\(directory)/identity" }

    private var fields: String { "id \(id)\ncluster \(clusterID)\nepoch \(epoch)\n" }

    private var text: String { fields + "checksum \(Self.checksum(fields))\n" }

    private init?(text: String) {
        var values: [Substring: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 2, let value = UInt64(words[1]) else { return nil }
            values[words[0]] = value
        }
        guard let id = values["id"], id != 0, let cluster = values["cluster"], let epoch = values["epoch"] else {
            return nil
        }
        self.init(id: id, clusterID: cluster, epoch: epoch)
        guard text == self.text else { return nil }
    }

    /// FNV-1a: against a disk's mistakes, not against forgery.
    private static func checksum(_ text: String) -> UInt64 {
        text.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }
}
