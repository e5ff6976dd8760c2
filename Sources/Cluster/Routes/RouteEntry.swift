package import Buffers
import Topics

/// What a node subscribes to: a filter, by itself or for a shared group.
package struct RouteKey: Hashable, Sendable {
    /// Bytes of the group, 0 without one; then group and filter.
    private let groupCount: UInt16
    private let bytes: [UInt8]

    package init(filter: Bytes, group: Bytes = Bytes(start: nil, count: 0)) {
        groupCount = UInt16(clamping: group.count)
        bytes = Array(unsafeUninitializedCapacity: group.count + filter.count) { target, count in
            let raw = UnsafeMutableRawBufferPointer(target)
            raw.copyBytes(from: group)
            UnsafeMutableRawBufferPointer(rebasing: raw[group.count...]).copyBytes(from: filter)
            count = group.count + filter.count
        }
    }

    package init(filter: String, group: String? = nil) {
        let filter = Array(filter.utf8)
        let group = group.map { Array($0.utf8) } ?? []
        self = filter.withUnsafeBytes { filter in group.withUnsafeBytes { RouteKey(filter: filter, group: $0) } }
    }

    package var isShared: Bool { groupCount > 0 }

    /// Calls `body` with filter and group; the group is empty without one.
    package func withParts<R>(_ body: (_ filter: Bytes, _ group: Bytes) throws -> R) rethrows -> R {
        try bytes.withUnsafeBytes { bytes in
            let split = Int(groupCount)
            return try body(Bytes(rebasing: bytes[split...]), Bytes(rebasing: bytes[..<split]))
        }
    }

    package var filter: String { withParts { filter, _ in String(decoding: filter, as: UTF8.self) } }
    package var group: String? { isShared ? withParts { _, group in String(decoding: group, as: UTF8.self) } : nil }
}

/// What a node says of one of its entries.
package struct RouteValue: Hashable, Sendable {
    /// Members of the shared group; 1 for a filter by itself.
    package var members: UInt32
    /// Those whose clients are there.
    package var online: UInt32
    /// A persistent session is among them: a publisher's acknowledgement waits for the node.
    package var isStored: Bool

    package init(members: UInt32 = 1, online: UInt32 = 0, isStored: Bool = false) {
        self.members = members
        self.online = online
        self.isStored = isStored
    }
}

/// One entry of a node as it is from now on; nil: it is no more.
package struct RouteChange: Equatable, Sendable {
    package var key: RouteKey
    package var value: RouteValue?

    package init(key: RouteKey, value: RouteValue?) {
        self.key = key
        self.value = value
    }
}

extension RouteKey {
    /// What the entry adds to the hash over all entries of a node, which is the exclusive or of them.
    func hash(with value: RouteValue) -> UInt64 {
        let seed =
            UInt64(groupCount) << 48 ^ UInt64(value.members) << 17 ^ UInt64(value.online) << 1
            ^ (value.isStored ? 1 : 0)
        return bytes.withUnsafeBytes { wireHash($0, seed: seed &* 0x9FB2_1C65_1E98_DF25) }
    }
}

/// An entry's bytes: flags, [members, online (variable) · group (counted)], filter (counted).
enum RouteCodec {
    private enum Flag {
        static let removed: UInt8 = 1
        static let shared: UInt8 = 2
        static let stored: UInt8 = 4
        static let all: UInt8 = 7
    }

    /// Entries of one batch end about here.
    static let batchBytes = 64 * 1024
    /// No batch of ours is larger: one more entry of the longest kind.
    static let largestBatch = 256 * 1024

    static func append(_ key: RouteKey, _ value: RouteValue?, to buffer: OutputBuffer) {
        var flags: UInt8 = value == nil ? Flag.removed : 0
        if key.isShared { flags |= Flag.shared }
        if value?.isStored ?? false { flags |= Flag.stored }
        buffer.append(flags)
        key.withParts { filter, group in
            if key.isShared {
                if let value {
                    buffer.append(variable: value.members)
                    buffer.append(variable: value.online)
                }
                buffer.append(countedBytes: group)
            }
            buffer.append(countedBytes: filter)
        }
    }

    /// - Returns: nil when it is no entry that a node may have.
    static func read(_ reader: inout WireReader) -> RouteChange? {
        let flags = reader.byte()
        guard flags & ~Flag.all == 0 else { return nil }
        let isRemoved = flags & Flag.removed != 0
        var value = RouteValue(isStored: flags & Flag.stored != 0)
        var group = Bytes(start: nil, count: 0)
        if flags & Flag.shared != 0 {
            if !isRemoved {
                value.members = reader.variable()
                value.online = reader.variable()
                guard value.members > 0, value.online <= value.members else { return nil }
            }
            group = reader.counted()
            guard isGroup(group) else { return nil }
        }
        let filter = reader.counted()
        guard !reader.hasFailed, TopicSyntax.isFilter(filter) else { return nil }
        return RouteChange(key: RouteKey(filter: filter, group: group), value: isRemoved ? nil : value)
    }

    /// A name of a group as a SUBSCRIBE may bring it, or `$queue`. [MQTT-4.8.2-1]
    private static func isGroup(_ group: Bytes) -> Bool {
        guard group.count > 0 else { return false }
        return !group.contains { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }
    }
}
