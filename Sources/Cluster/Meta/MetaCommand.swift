/// Names a command, so that it counts once however often it is sent. Random.
package struct CommandKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> CommandKey {
        CommandKey(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }
}

/// A change of the rules' files.
package struct RuleChange: Hashable, Sendable {
    package enum Manifest: Hashable, Sendable {
        case inline(RuleBundle)
        /// A bundle that is too large for a command, staged like a file.
        case blob(BlobID)
    }

    /// The node whose files they are; empty for the cluster's own.
    package var owner: String
    /// All files of that owner from now on; without any, the owner has none.
    package var manifest: Manifest
    /// What the node's files hash to; 0 for the cluster's own.
    package var offer: UInt64
    /// The generation that the change was checked against; nil when any will do.
    package var expected: UInt64?
    /// Whether objects of other owners become this one's.
    package var takesOver: Bool
    package var time: UInt64
    package var by: String
    package var note: String

    package init(
        owner: String, manifest: Manifest, offer: UInt64, expected: UInt64?, takesOver: Bool, time: UInt64, by: String,
        note: String
    ) {
        self.owner = owner
        self.manifest = manifest
        self.offer = offer
        self.expected = expected
        self.takesOver = takesOver
        self.time = time
        self.by = by
        self.note = note
    }
}

package struct TableChange: Hashable, Sendable {
    package var key: [UInt8]
    /// Nil removes it.
    package var value: [UInt8]?

    package init(key: [UInt8], value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}

/// What the cluster can be told. Each has a number and a version of its format; both are for ever.
package enum MetaCommand: Hashable, Sendable {
    /// The first of a new cluster; without effect in one that is founded.
    case found(clusterID: UInt64, name: String)
    case putMember(ClusterMember)
    case removeMember(name: String, id: UInt64, time: UInt64)
    /// Only upwards, and only to what all members can.
    case raiseFeatureLevel(UInt32)
    /// Only upwards.
    case raiseEpoch(UInt64)
    case stage(blob: BlobID, offset: UInt32, total: UInt32, bytes: [UInt8])
    case applyRules(RuleChange)
    case rollbackRules(to: UInt64, expected: UInt64?, time: UInt64, by: String)
    /// A nil value removes the key.
    case configure(key: String, value: String?)
    case changeTable(MetaTableName, [TableChange])
    /// Changes nothing: whoever has applied it has applied all before it.
    case barrier
}

extension MetaCommand {
    /// Its number on the wire.
    package var code: UInt8 {
        switch self {
        case .found: 1
        case .putMember: 2
        case .removeMember: 3
        case .raiseFeatureLevel: 4
        case .raiseEpoch: 5
        case .stage: 6
        case .applyRules: 7
        case .rollbackRules: 8
        case .configure: 9
        case .changeTable: 10
        case .barrier: 11
        }
    }

    /// All numbers there are, with the version of the format that this build writes and the highest it reads.
    package static let versions: [UInt8: UInt8] = Dictionary(uniqueKeysWithValues: (1...11).map { (UInt8($0), 1) })

    package func encoded(_ key: CommandKey) -> [UInt8] {
        var writer = MetaWriter()
        writer.byte(code)
        writer.byte(Self.versions[code] ?? 1)
        writer.number(key.high)
        writer.number(key.low)
        encodeBody(&writer)
        return writer.bytes
    }

    private func encodeBody(_ writer: inout MetaWriter) {
        switch self {
        case .found(let id, let name):
            writer.number(id)
            writer.text(name)
        case .putMember(let member): writer.member(member)
        case .removeMember(let name, let id, let time):
            writer.text(name)
            writer.number(id)
            writer.number(time)
        case .raiseFeatureLevel(let level): writer.number32(level)
        case .raiseEpoch(let epoch): writer.number(epoch)
        case .stage(let blob, let offset, let total, let bytes):
            writer.raw(blob.bytes)
            writer.number32(offset)
            writer.number32(total)
            writer.data(bytes)
        case .applyRules(let change): writer.ruleChange(change)
        case .rollbackRules(let generation, let expected, let time, let by):
            writer.number(generation)
            writer.optionalNumber(expected)
            writer.number(time)
            writer.text(by)
        case .configure(let key, let value):
            writer.text(key)
            writer.flag(value != nil)
            if let value { writer.text(value) }
        case .changeTable(let name, let changes):
            writer.byte(name.rawValue)
            writer.list(changes) { writer, change in
                writer.data(change.key)
                writer.flag(change.value != nil)
                if let value = change.value { writer.data(value) }
            }
        case .barrier: break
        }
    }

    /// What a command's bytes are.
    package enum Decoded: Sendable, Equatable {
        case command(MetaCommand, CommandKey)
        /// Of a later build: number and version.
        case unknown(code: UInt8, version: UInt8)
        /// Damaged, or made by something that is no node.
        case malformed(String)
    }

    package static func decode(_ bytes: [UInt8]) -> Decoded {
        guard bytes.count >= 18, bytes.count <= MetaLimits.command else {
            return .malformed("a command has 18 to \(MetaLimits.command) bytes, not \(bytes.count)")
        }
        guard let known = versions[bytes[0]], (1...known).contains(bytes[1]) else {
            return .unknown(code: bytes[0], version: bytes[1])
        }
        var reader = MetaReader(bytes)
        do throws(MetaFormatError) {
            let code = try reader.byte()
            _ = try reader.byte()
            let key = CommandKey(high: try reader.number(), low: try reader.number())
            let command = try decodeBody(code, &reader)
            try reader.end()
            return .command(command, key)
        } catch { return .malformed(error.description) }
    }

    private static func decodeBody(_ code: UInt8, _ reader: inout MetaReader) throws(MetaFormatError) -> MetaCommand {
        switch code {
        case 1: return .found(clusterID: try reader.number(), name: try reader.text(limit: 256))
        case 2: return .putMember(try reader.member())
        case 3:
            return .removeMember(
                name: try reader.text(limit: 256), id: try reader.number(), time: try reader.number())
        case 4: return .raiseFeatureLevel(try reader.number32())
        case 5: return .raiseEpoch(try reader.number())
        case 6:
            let blob = try reader.blob()
            return .stage(
                blob: blob, offset: try reader.number32(), total: try reader.number32(),
                bytes: try reader.data(limit: MetaLimits.blobPart))
        case 7: return .applyRules(try reader.ruleChange())
        case 8:
            return .rollbackRules(
                to: try reader.number(), expected: try reader.optionalNumber(), time: try reader.number(),
                by: try reader.text(limit: 256))
        case 9:
            let key = try reader.text(limit: 256)
            return .configure(key: key, value: try reader.flag() ? try reader.text(limit: 16 * 1024) : nil)
        case 10:
            let raw = try reader.byte()
            guard let name = MetaTableName(rawValue: raw) else { throw MetaFormatError("there is no table \(raw)") }
            return .changeTable(
                name,
                try reader.list(limit: 1024) { reader throws(MetaFormatError) in
                    TableChange(
                        key: try reader.data(limit: 1024),
                        value: try reader.flag() ? try reader.data(limit: 16 * 1024) : nil)
                })
        default: return .barrier
        }
    }
}

extension MetaWriter {
    mutating func optionalNumber(_ value: UInt64?) {
        flag(value != nil)
        if let value { number(value) }
    }

    mutating func member(_ member: ClusterMember) {
        text(member.name)
        number(member.id)
        byte(member.role.rawValue)
        text(member.address)
        number(member.joined)
        text(member.version)
        number32(member.featureLevel)
    }

    package mutating func bundle(_ bundle: RuleBundle) {
        list(bundle.files) { writer, file in
            writer.text(file.path)
            writer.raw(file.blob.bytes)
        }
        list(bundle.objects) { writer, object in
            writer.text(object.id)
            writer.number(object.hash)
            writer.number32(object.line)
            writer.number32(UInt32(bundle.files.firstIndex { $0.path == object.file } ?? bundle.files.count))
        }
    }

    mutating func ruleChange(_ change: RuleChange) {
        text(change.owner)
        switch change.manifest {
        case .inline(let bundle):
            byte(0)
            self.bundle(bundle)
        case .blob(let blob):
            byte(1)
            raw(blob.bytes)
        }
        number(change.offer)
        optionalNumber(change.expected)
        flag(change.takesOver)
        number(change.time)
        text(change.by)
        text(change.note)
    }
}

extension MetaReader {
    mutating func optionalNumber() throws(MetaFormatError) -> UInt64? { try flag() ? try number() : nil }

    mutating func blob() throws(MetaFormatError) -> BlobID {
        guard let blob = BlobID(try raw(32)) else { throw MetaFormatError("a file's name is missing") }
        return blob
    }

    mutating func member() throws(MetaFormatError) -> ClusterMember {
        let name = try text(limit: 256)
        let id = try number()
        let role = try byte()
        guard let role = NodeRole(rawValue: role) else { throw MetaFormatError("there is no role \(role)") }
        return ClusterMember(
            name: name, id: id, role: role, address: try text(limit: 512), joined: try number(),
            version: try text(limit: 64), featureLevel: try number32())
    }

    package mutating func bundle() throws(MetaFormatError) -> RuleBundle {
        let files = try list(limit: MetaLimits.files) { reader throws(MetaFormatError) in
            RuleBundle.File(path: try reader.text(), blob: try reader.blob())
        }
        let objects = try list(limit: MetaLimits.objects) { reader throws(MetaFormatError) in
            let id = try reader.text(limit: 600)
            let hash = try reader.number()
            let line = try reader.number32()
            let file = Int(try reader.number32())
            guard file < files.count else { throw MetaFormatError("an object stands in no file") }
            return RuleObject(id: id, hash: hash, file: files[file].path, line: line)
        }
        return RuleBundle(files: files, objects: objects)
    }

    mutating func ruleChange() throws(MetaFormatError) -> RuleChange {
        let owner = try text(limit: 256)
        let manifest: RuleChange.Manifest
        switch try byte() {
        case 0: manifest = .inline(try bundle())
        case 1: manifest = .blob(try blob())
        case let other: throw MetaFormatError("there is no form \(other) of a list of files")
        }
        return RuleChange(
            owner: owner, manifest: manifest, offer: try number(), expected: try optionalNumber(),
            takesOver: try flag(), time: try number(), by: try text(limit: 256), note: try text(limit: 1024))
    }
}
