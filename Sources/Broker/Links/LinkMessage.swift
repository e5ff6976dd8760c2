import Buffers
import MQTTCodec
import RuleEngine

/// A message between nodes:
///
///     length of what follows (4) · flags · hops · topic count (2) · properties count (4) · client id count (2) · user name
///     count (2) · received at (8) · id (16) · [expires at (8)] · [group count (2) · passes]
///     client id · user name · topic · properties · group · payload
///
/// Little-endian. Times are of the sender's clock, which the batch tells. The publisher's session is not in it: its number
/// means nothing on another node.
struct LinkMessage {
    private static let headerBytes = 40

    private enum Flag {
        static let retained: UInt8 = 4
        static let duplicate: UInt8 = 8
        static let bypasses: UInt8 = 16
        static let expires: UInt8 = 32
        static let group: UInt8 = 64
        static let hasUsername: UInt8 = 128
    }

    var topic: Bytes
    var properties: Bytes
    var payload: Bytes
    var traits: MessageTraits
    var id: MessageID
    var clientID: Bytes
    var username: Bytes?
    /// The shared group that a member is to be chosen of, as ``SharedGroup/name``; empty for all who subscribe.
    var group: Bytes
    /// How many nodes have passed it on since a member was first chosen.
    var passes: UInt8

    /// Without publisher. Computed: an optional of a struct with an unowned reference that is nil reads as nil.
    var view: MessageView {
        MessageView(topic: topic, properties: properties, payload: payload, traits: traits, id: id, publisher: nil)
    }

    func makePublisher() -> Publisher? {
        guard clientID.count > 0 else { return nil }
        return Publisher(
            clientID: String(decoding: clientID, as: UTF8.self),
            username: username.map { String(decoding: $0, as: UTF8.self) }, peerHost: "", peerName: "")
    }

    // MARK: Writing

    static func append(_ view: MessageView, group: Bytes, passes: UInt8, to buffer: OutputBuffer) {
        let none = Bytes(start: nil, count: 0)
        let client = view.publisher?.clientIDValue.bytes ?? none
        let user = view.publisher?.username == nil ? nil : view.publisher?.usernameValue.bytes
        var flags = view.traits.qos & 3
        if view.traits.isRetained { flags |= Flag.retained }
        if view.traits.isDuplicate { flags |= Flag.duplicate }
        if view.traits.bypassesHooks { flags |= Flag.bypasses }
        if view.traits.hasExpiry { flags |= Flag.expires }
        if group.count > 0 { flags |= Flag.group }
        if user != nil { flags |= Flag.hasUsername }
        let size =
            headerBytes + (view.traits.hasExpiry ? 8 : 0) + (group.count > 0 ? 3 + group.count : 0) + client.count
            + (user?.count ?? 0) + view.topic.count + view.properties.count + view.payload.count
        buffer.reserve(size)
        buffer.append(littleEndian: UInt32(size - 4))
        buffer.append(flags)
        buffer.append(view.traits.hops)
        buffer.append(littleEndian: UInt16(truncatingIfNeeded: view.topic.count))
        buffer.append(littleEndian: UInt32(view.properties.count))
        buffer.append(littleEndian: UInt16(truncatingIfNeeded: client.count))
        buffer.append(littleEndian: UInt16(truncatingIfNeeded: user?.count ?? 0))
        buffer.append(littleEndian: view.traits.receivedAt)
        buffer.append(littleEndian: view.id.high)
        buffer.append(littleEndian: view.id.low)
        if view.traits.hasExpiry { buffer.append(littleEndian: view.traits.expiresAt) }
        if group.count > 0 {
            buffer.append(littleEndian: UInt16(truncatingIfNeeded: group.count))
            buffer.append(passes)
        }
        buffer.append(client)
        buffer.append(user ?? none)
        buffer.append(view.topic)
        buffer.append(view.properties)
        buffer.append(group)
        buffer.append(view.payload)
    }

    // MARK: Reading

    /// - Parameters:
    ///   - reader: stands at a message, and behind it afterwards.
    ///   - lead: how far this node's clock is ahead of the sender's, in milliseconds.
    /// - Returns: nil when these are not the bytes of one.
    static func read(_ reader: inout StoredReader, lead: Int64) -> LinkMessage? {
        let length = Int(reader.integer(UInt32.self))
        let bytes = reader.take(length)
        guard !reader.hasFailed else { return nil }
        var fields = StoredReader(bytes)
        return LinkMessage(&fields, lead: lead)
    }

    private init?(_ fields: inout StoredReader, lead: Int64) {
        let flags = fields.byte()
        let hops = fields.byte()
        let topicCount = Int(fields.integer(UInt16.self))
        let propertiesCount = Int(fields.integer(UInt32.self))
        let clientCount = Int(fields.integer(UInt16.self))
        let userCount = Int(fields.integer(UInt16.self))
        traits = MessageTraits(
            receivedAt: fields.integer(Int64.self), publisherID: 0, qos: flags & 3,
            isRetained: flags & Flag.retained != 0)
        traits.isDuplicate = flags & Flag.duplicate != 0
        traits.bypassesHooks = flags & Flag.bypasses != 0
        traits.hops = hops
        id = MessageID(high: fields.integer(UInt64.self), low: fields.integer(UInt64.self))
        if flags & Flag.expires != 0 {
            let (moved, overflows) = fields.integer(Int64.self).addingReportingOverflow(lead)
            guard !overflows else { return nil }
            traits.expiresAt = moved
        }
        let hasGroup = flags & Flag.group != 0
        let groupCount = hasGroup ? Int(fields.integer(UInt16.self)) : 0
        passes = hasGroup ? fields.byte() : 0
        clientID = fields.take(clientCount)
        let user = fields.take(userCount)
        username = flags & Flag.hasUsername != 0 ? user : nil
        topic = fields.take(topicCount)
        properties = fields.take(propertiesCount)
        group = fields.take(groupCount)
        guard !fields.hasFailed, flags & 3 < 3 else { return nil }
        payload = fields.rest
    }

    /// Whether clients may get it as it is: topic and properties are as the codec lets them in.
    var isDeliverable: Bool {
        do throws(ProtocolViolation) {
            try PublishView.validate(topic: topic)
            _ = try PublishView.scan(properties, from: .client)
            return !PublishView.needsRewriting(properties)
        } catch {
            return false
        }
    }
}

/// The batches of the lane `messages`: kind, then
///
///     messages: sender's shard (1) · sender's clock (8) · messages
///     pressure: 1 to stop, 0 to go on
enum MessageBatch: UInt8 {
    case messages = 1
    case pressure = 2

    static let headerBytes = 10

    static func begin(_ buffer: OutputBuffer, shard: Int, wall: Int64) {
        buffer.append(messages.rawValue)
        buffer.append(UInt8(truncatingIfNeeded: shard))
        buffer.append(littleEndian: wall)
    }

    static func pressure(_ isOn: Bool) -> OutputBuffer {
        let buffer = OutputBuffer(capacity: 16)
        buffer.append(pressure.rawValue)
        buffer.append(isOn ? 1 : 0 as UInt8)
        return buffer
    }

    /// Whether all of a batch of messages can be read.
    static func isValid(_ batch: Bytes) -> Bool {
        guard batch.count >= headerBytes else { return false }
        var reader = StoredReader(Bytes(rebasing: batch[headerBytes...]))
        while reader.rest.count > 0 {
            guard let message = LinkMessage.read(&reader, lead: 0), message.isDeliverable else { return false }
        }
        return true
    }

    static func shard(of batch: Bytes) -> Int { Int(batch[1]) }
    static func wall(of batch: Bytes) -> Int64 {
        Int64(littleEndian: batch.loadUnaligned(fromByteOffset: 2, as: Int64.self))
    }
}
