/// What a connection is for.
enum MeshIntent: UInt8, Sendable { case link = 1, guest = 2, stream = 3 }

/// What a node says of itself at the beginning of a connection.
///
/// Fields with a tag, a length of two bytes, big-endian, and a value; what a node doesn't know it skips, so that later versions
/// can say more.
package struct MeshHello: Sendable, Equatable {
    package var name: NodeName
    package var role: NodeRole
    package var nodeID: UInt64
    package var incarnation: UInt64
    package var clusterID: UInt64
    package var epoch: UInt64
    package var version: String
    package var featureLevel: UInt32
    /// Where it can be reached: `host:port`, or empty.
    package var address: String
    var intent = MeshIntent.link
    /// Of a stream: which of the engines it is for.
    var group: UInt64 = 0
    /// Counts the connections that this process has opened: of two, the later counts.
    var attempt: UInt64 = 0

    private enum Tag: UInt8 {
        case name = 1, role, nodeID, incarnation, clusterID, epoch, version, featureLevel, address, intent, group,
            attempt
    }

    init(_ options: MeshOptions, intent: MeshIntent, group: UInt64 = 0, attempt: UInt64 = 0) {
        name = options.name
        role = options.role
        nodeID = options.nodeID
        incarnation = options.incarnation
        clusterID = options.clusterID
        epoch = options.epoch
        version = options.version
        featureLevel = options.featureLevel
        address = options.advertised
        self.intent = intent
        self.group = group
        self.attempt = attempt
    }

    func peer(slot: Int) -> MeshPeer {
        MeshPeer(
            name: name, role: role, incarnation: incarnation, nodeID: nodeID, version: version,
            featureLevel: featureLevel, slot: slot)
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        func put(_ tag: Tag, _ value: [UInt8]) {
            let value = value.prefix(512)
            bytes += [tag.rawValue, UInt8(value.count >> 8), UInt8(value.count & 255)]
            bytes += value
        }
        func put(_ tag: Tag, _ value: UInt64) { put(tag, value.bigEndianBytes) }
        put(.name, Array(name.text.utf8))
        put(.role, UInt64(role.rawValue))
        put(.nodeID, nodeID)
        put(.incarnation, incarnation)
        put(.clusterID, clusterID)
        put(.epoch, epoch)
        put(.version, Array(version.utf8))
        put(.featureLevel, UInt64(featureLevel))
        put(.address, Array(address.utf8))
        put(.intent, UInt64(intent.rawValue))
        put(.group, group)
        put(.attempt, attempt)
        return bytes
    }

    /// - Returns: nil when it is no hello.
    init?(decoding bytes: ArraySlice<UInt8>) {
        var texts: [Tag: String] = [:]
        var numbers: [Tag: UInt64] = [:]
        var rest = bytes
        while !rest.isEmpty {
            guard rest.count >= 3 else { return nil }
            let length = Int(rest[rest.startIndex + 1]) << 8 | Int(rest[rest.startIndex + 2])
            let tag = Tag(rawValue: rest[rest.startIndex])
            rest = rest.dropFirst(3)
            guard rest.count >= length else { return nil }
            let value = rest.prefix(length)
            rest = rest.dropFirst(length)
            switch tag {
            case nil: continue
            case .name, .version, .address:
                guard let tag, let text = String(validating: value, as: UTF8.self) else { return nil }
                texts[tag] = text
            default:
                guard let tag, length == 8 else { return nil }
                numbers[tag] = value.reduce(0) { $0 << 8 | UInt64($1) }
            }
        }
        guard let name = texts[.name], !name.isEmpty, name.utf8.count <= 255,
            !name.unicodeScalars.contains(where: { $0.value < 0x21 || $0.value == 0x7F }),
            let role = numbers[.role].flatMap({ UInt8(exactly: $0) }).flatMap(NodeRole.init(rawValue:)),
            let nodeID = numbers[.nodeID], let incarnation = numbers[.incarnation], let clusterID = numbers[.clusterID],
            let epoch = numbers[.epoch], let featureLevel = numbers[.featureLevel].flatMap({ UInt32(exactly: $0) }),
            let intent = numbers[.intent].flatMap({ UInt8(exactly: $0) }).flatMap(MeshIntent.init(rawValue:))
        else { return nil }
        self.name = NodeName(name)
        self.role = role
        self.nodeID = nodeID
        self.incarnation = incarnation
        self.clusterID = clusterID
        self.epoch = epoch
        self.featureLevel = featureLevel
        self.intent = intent
        version = texts[.version] ?? ""
        address = texts[.address] ?? ""
        group = numbers[.group] ?? 0
        attempt = numbers[.attempt] ?? 0
    }
}

extension UInt64 {
    var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * UInt64($0))) } }
}
