import Buffers
import Storage

/// What a stored queue's note says of a message before it is read: QoS, retain, and the subscription identifier.
struct StoredNote {
    var rawValue: UInt32

    init(rawValue: UInt32) { self.rawValue = rawValue }

    init(qos: UInt8, isRetained: Bool, identifiers: SubscriptionIdentifiers) {
        let isExtended = identifiers.others != nil || identifiers.sharedGroup != 0
        rawValue = UInt32(qos) | (isRetained ? 4 : 0)
        if isExtended {
            rawValue |= 8
        } else if identifiers.first != 0 {
            rawValue |= 8 | identifiers.first << 4
        }
    }

    var qos: UInt8 { UInt8(rawValue & 3) }
    var isRetained: Bool { rawValue & 4 != 0 }
    var identifier: UInt32 { rawValue >> 4 }
    /// The identifiers or the shared group stand in the message's own record: 0 is no identifier.
    var isExtended: Bool { rawValue & 8 != 0 && rawValue >> 4 == 0 }
}

/// What stands in front of a target that is not like others: several identifiers, a shared group.
struct TargetExtension {
    var identifiers: [UInt32] = []
    /// The whole filter, `$share/group/…`; empty when the session subscribes for itself.
    var sharedFilter: [UInt8] = []
}

/// A message's bytes as they lie in a queue, a table or a session's own record:
///
///     version 1 · flags · hops · 0 · topic count (4) · properties count (4) · client id count (4) · user name count (4)
///     received at (8) · expires at (8) · id (16) · exchange (8)
///     [extension: identifiers count (4) · filter count (4) · identifiers (4 each) · filter]
///     client id · user name · topic · properties · payload
///
/// Little-endian. The publisher's session is not in it: its number means nothing in another life of the node.
struct StoredMessageCodec {
    static let version: UInt8 = 1
    private static let headerBytes = 60

    private enum Flag {
        static let retained: UInt8 = 4
        static let duplicate: UInt8 = 8
        static let bypasses: UInt8 = 16
        static let extended: UInt8 = 32
        static let hasUsername: UInt8 = 64
    }

    static func append(_ view: MessageView, extension target: TargetExtension? = nil, to buffer: OutputBuffer) {
        let client = view.publisher?.clientIDValue.bytes ?? Bytes(start: nil, count: 0)
        let user = view.publisher?.username == nil ? nil : view.publisher?.usernameValue.bytes
        var flags = view.traits.qos & 3
        if view.traits.isRetained { flags |= Flag.retained }
        if view.traits.isDuplicate { flags |= Flag.duplicate }
        if view.traits.bypassesHooks { flags |= Flag.bypasses }
        if target != nil { flags |= Flag.extended }
        if user != nil { flags |= Flag.hasUsername }
        buffer.reserve(
            headerBytes + client.count + (user?.count ?? 0) + view.topic.count + view.properties.count
                + view.payload.count)
        buffer.append(version)
        buffer.append(flags)
        buffer.append(view.traits.hops)
        buffer.append(0 as UInt8)
        buffer.append(littleEndian: UInt32(view.topic.count))
        buffer.append(littleEndian: UInt32(view.properties.count))
        buffer.append(littleEndian: UInt32(client.count))
        buffer.append(littleEndian: UInt32(user?.count ?? 0))
        buffer.append(littleEndian: view.traits.receivedAt)
        buffer.append(littleEndian: view.traits.expiresAt)
        buffer.append(littleEndian: view.id.high)
        buffer.append(littleEndian: view.id.low)
        buffer.append(littleEndian: view.traits.exchange)
        if let target { append(target, to: buffer) }
        buffer.append(client)
        if let user { buffer.append(user) }
        buffer.append(view.topic)
        buffer.append(view.properties)
        buffer.append(view.payload)
    }

    private static func append(_ target: TargetExtension, to buffer: OutputBuffer) {
        buffer.append(littleEndian: UInt32(target.identifiers.count))
        buffer.append(littleEndian: UInt32(target.sharedFilter.count))
        for identifier in target.identifiers { buffer.append(littleEndian: identifier) }
        buffer.append(target.sharedFilter)
    }

    /// A message that was read back; its parts point into the bytes that were decoded.
    struct Decoded {
        var topic: Bytes
        var properties: Bytes
        var payload: Bytes
        var traits: MessageTraits
        var id: MessageID
        var target: TargetExtension?
        var clientID: Bytes
        var username: Bytes?

        /// Without publisher. Computed: an optional of a struct with an unowned reference that is nil reads as nil.
        var view: MessageView {
            MessageView(
                topic: topic, properties: properties, payload: payload, traits: traits, id: id, publisher: nil)
        }

        /// Who published it, made anew.
        func makePublisher() -> Publisher? {
            guard clientID.count > 0 else { return nil }
            return Publisher(
                clientID: String(decoding: clientID, as: UTF8.self),
                username: username.map { String(decoding: $0, as: UTF8.self) }, peerHost: "", peerName: "")
        }
    }

    /// - Returns: nil when the bytes are not what this version writes.
    static func decode(_ bytes: Bytes) -> Decoded? {
        var reader = StoredReader(bytes)
        guard reader.byte() == version else { return nil }
        let flags = reader.byte()
        let hops = reader.byte()
        _ = reader.byte()
        let topicCount = Int(reader.integer(UInt32.self))
        let propertiesCount = Int(reader.integer(UInt32.self))
        let clientCount = Int(reader.integer(UInt32.self))
        let userCount = Int(reader.integer(UInt32.self))
        var traits = MessageTraits(
            receivedAt: reader.integer(Int64.self), expiresAt: reader.integer(Int64.self), publisherID: 0,
            qos: flags & 3, isRetained: flags & Flag.retained != 0)
        traits.isDuplicate = flags & Flag.duplicate != 0
        traits.bypassesHooks = flags & Flag.bypasses != 0
        traits.hops = hops
        let id = MessageID(high: reader.integer(UInt64.self), low: reader.integer(UInt64.self))
        traits.exchange = reader.integer(UInt64.self)
        let target = flags & Flag.extended != 0 ? decodeTarget(&reader) : nil
        let client = reader.take(clientCount)
        let user = reader.take(userCount)
        let topic = reader.take(topicCount)
        let properties = reader.take(propertiesCount)
        guard !reader.hasFailed else { return nil }
        return Decoded(
            topic: topic, properties: properties, payload: reader.rest, traits: traits, id: id, target: target,
            clientID: client, username: flags & Flag.hasUsername != 0 ? user : nil)
    }

    private static func decodeTarget(_ reader: inout StoredReader) -> TargetExtension {
        let count = Int(reader.integer(UInt32.self))
        let filterCount = Int(reader.integer(UInt32.self))
        var target = TargetExtension()
        for _ in 0..<count where !reader.hasFailed { target.identifiers.append(reader.integer(UInt32.self)) }
        target.sharedFilter = Array(reader.take(filterCount))
        return target
    }
}

/// Reads a record of ours field by field; what is beyond the end reads as nothing and is remembered.
struct StoredReader {
    private let bytes: Bytes
    private var position = 0
    private(set) var hasFailed = false

    init(_ bytes: Bytes) { self.bytes = bytes }

    mutating func byte() -> UInt8 { integer(UInt8.self) }

    mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type) -> T {
        let part = take(MemoryLayout<T>.size)
        guard part.count == MemoryLayout<T>.size else { return 0 }
        return T(littleEndian: part.loadUnaligned(as: type))
    }

    mutating func take(_ count: Int) -> Bytes {
        guard count >= 0, count <= bytes.count - position else {
            hasFailed = true
            return Bytes(start: nil, count: 0)
        }
        defer { position += count }
        return Bytes(rebasing: bytes[position..<(position + count)])
    }

    /// A count of 4 bytes, then so many bytes of text.
    mutating func text() -> String { String(decoding: take(Int(integer(UInt32.self))), as: UTF8.self) }

    var rest: Bytes { Bytes(rebasing: bytes[position...]) }
}

extension OutputBuffer {
    @inline(__always)
    func append<T: FixedWidthInteger & BitwiseCopyable>(littleEndian value: T) {
        reserve(MemoryLayout<T>.size)
        writePointer.storeBytes(of: value.littleEndian, as: T.self)
        advance(MemoryLayout<T>.size)
    }

    func append(counted text: String) {
        append(littleEndian: UInt32(text.utf8.count))
        append(text)
    }
}
