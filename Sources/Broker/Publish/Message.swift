import Access
import Buffers
import MQTTCodec
import RuleEngine

/// Who published: shared by all messages of one connection, for the columns of message events.
///
/// Immutable; the values point into memory that lives as long as this object.
final class Publisher: @unchecked Sendable {
    let clientID: String
    let username: String?
    let peerHost: String
    let peerName: String
    /// What the client may is looked up by; nil without access control.
    let access: ClientAccess?
    let clientIDValue: Value
    let usernameValue: Value
    let peerHostValue: Value
    let peerNameValue: Value
    private let texts: UnsafeMutableRawBufferPointer

    init(clientID: String, username: String?, peerHost: String, peerName: String, access: ClientAccess? = nil) {
        self.access = access
        self.clientID = clientID
        self.username = username
        self.peerHost = peerHost
        self.peerName = peerName
        let parts = [clientID, username ?? "", peerHost, peerName]
        texts = .allocate(byteCount: parts.reduce(1) { $0 + $1.utf8.count }, alignment: 1)
        var values: [Value] = []
        var offset = 0
        for part in parts {
            let slice = UnsafeMutableRawBufferPointer(rebasing: texts[offset..<offset + part.utf8.count])
            slice.copyBytes(from: part.utf8)
            values.append(.string(Bytes(slice)))
            offset += part.utf8.count
        }
        clientIDValue = values[0]
        usernameValue = username == nil ? .undefined : values[1]
        peerHostValue = peerHost.isEmpty ? .undefined : values[2]
        peerNameValue = peerHost.isEmpty ? .undefined : values[3]
    }

    deinit { texts.deallocate() }
}

/// What a message is besides its bytes. Plain values, so that they can cross shards as bytes.
struct MessageTraits: BitwiseCopyable {
    /// Milliseconds of the shard's wall clock at which the message was received.
    var receivedAt: Int64
    /// Milliseconds of wall clock after which the message is not delivered any more; `Int64.max` without expiry.
    var expiresAt: Int64 = .max
    /// The session that published, 0 for the broker itself: `No Local` compares it.
    var publisherID: UInt64
    var qos: UInt8
    var isRetained: Bool
    var isDuplicate = false
    /// Republished by a rule: how many rules stand behind it.
    var hops: UInt8 = 0
    /// Goes to subscribers alone, past rules and the retained store. [EMQX rule-sql: direct_dispatch]
    var bypassesHooks = false
    /// Names the QoS 2 exchange by which a persistent session sent it; 0 without one.
    var exchange: UInt64 = 0

    var hasExpiry: Bool { expiresAt != .max }

    /// What is left of the Message Expiry Interval, in seconds. [MQTT-3.3.2-6]
    func remainingExpiry(now: Int64) -> UInt32? {
        guard hasExpiry else { return nil }
        return UInt32(clamping: max(0, (expiresAt - now + 999) / 1000))
    }
}

/// A message in flight on one shard: bytes that somebody else owns (the read buffer, a mailbox, a ``Message``).
/// Valid during the call that it is passed to.
struct MessageView {
    var topic: Bytes
    /// The forwarded properties, encoded: without alias, subscription identifier and expiry.
    var properties: Bytes
    var payload: Bytes
    var traits: MessageTraits
    var id: MessageID
    /// Nil when no rule can ask for it.
    unowned(unsafe) var publisher: Publisher?

    func expired(now: Int64) -> Bool { traits.expiresAt <= now }
}

/// A message's 128-bit identity: time, node and a counter. Upper-case hex for people and rules.
struct MessageID: BitwiseCopyable, Hashable {
    var high: UInt64
    var low: UInt64

    init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// - Parameters:
    ///   - wall: milliseconds since 1970.
    ///   - number: the last 40 bits count.
    init(wall: Int64, node: UInt64, shard: Int, number: UInt64) {
        high = UInt64(bitPattern: wall)
        low = node << 48 | UInt64(shard) << 40 | number & 0xFF_FFFF_FFFF
    }

    /// The shard that made it.
    var shard: Int { Int(low >> 40 & 0xFF) }
}

/// A message that outlives the call in which it arrived: in flight, queued, retained, or on its way to another shard.
///
/// One allocation, bytes behind the header. Immutable, so any shard may read it.
final class Message: ManagedBuffer<Message.Header, UInt8> {
    struct Header {
        var traits: MessageTraits
        var id: MessageID
        var topicCount: Int
        var propertiesCount: Int
        var payloadCount: Int
        var publisher: Publisher?
    }

    static func make(copying view: MessageView) -> Message {
        let size = view.topic.count + view.properties.count + view.payload.count
        let buffer = Message.create(minimumCapacity: size) { _ in
            Header(
                traits: view.traits, id: view.id, topicCount: view.topic.count, propertiesCount: view.properties.count,
                payloadCount: view.payload.count, publisher: view.publisher)
        }
        buffer.withUnsafeMutablePointerToElements { elements in
            let raw = UnsafeMutableRawPointer(elements)
            var offset = 0
            append(view.topic, to: raw, &offset)
            append(view.properties, to: raw, &offset)
            append(view.payload, to: raw, &offset)
        }
        return unsafeDowncast(buffer, to: Message.self)
    }

    @inline(__always)
    private static func append(_ part: Bytes, to raw: UnsafeMutableRawPointer, _ offset: inout Int) {
        guard let source = part.baseAddress, part.count > 0 else { return }
        (raw + offset).copyMemory(from: source, byteCount: part.count)
        offset += part.count
    }

    /// The message's bytes; valid while this object lives.
    @inline(__always)
    var view: MessageView {
        withUnsafeMutablePointers { header, elements in
            let topicCount = header.pointee.topicCount
            let propertiesCount = header.pointee.propertiesCount
            let raw = UnsafeRawPointer(elements)
            return MessageView(
                topic: Bytes(start: raw, count: topicCount),
                properties: Bytes(start: raw + topicCount, count: propertiesCount),
                payload: Bytes(start: raw + topicCount + propertiesCount, count: header.pointee.payloadCount),
                traits: header.pointee.traits, id: header.pointee.id, publisher: header.pointee.publisher)
        }
    }

    var traits: MessageTraits { header.traits }
    /// What the message takes in memory, for the bounds of queues.
    var byteCount: Int { header.topicCount + header.propertiesCount + header.payloadCount + 96 }
}
