import Buffers
import MQTTCodec
import Storage

/// The numbers of the store's tables, and how its queues and keys are named.
enum StoredTable {
    /// Queue id, filter → options of a subscription.
    static let subscriptions: UInt32 = 1
    /// Queue id, packet identifier → order of a PUBREC that PUBREL follows.
    static let released: UInt32 = 2
    /// Topic → retained message.
    static let retained: UInt32 = 3
    /// Message identity → due time and delayed message.
    static let delayed: UInt32 = 4

    /// Begin the names of queues: a session's own, and that of the QoS 2 messages that it sent and has not released.
    static let sessionQueue = UInt8(ascii: "s")
    static let exchangeQueue = UInt8(ascii: "x")
    /// One for each shard: the QoS 2 messages that it has stored and whose publisher's session does not know it yet.
    static let ledger = UInt8(ascii: "l")

    static func key(_ queue: StoredQueue, identifier: UInt16) -> [UInt8] {
        bytes(queue.id) + [UInt8(truncatingIfNeeded: identifier), UInt8(identifier >> 8)]
    }

    static func key(_ queue: StoredQueue, filter: String) -> [UInt8] { bytes(queue.id) + Array(filter.utf8) }

    static func bytes(_ id: UInt64) -> [UInt8] { withUnsafeBytes(of: id.littleEndian) { Array($0) } }

    /// - Returns: the queue's id and what stands behind it.
    static func split(_ key: [UInt8]) -> (queue: UInt64, rest: ArraySlice<UInt8>)? {
        guard key.count >= 8 else { return nil }
        return (key.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }, key[8...])
    }
}

/// What is kept of a session besides its subscriptions and messages: its queue's own record.
struct SessionRecord {
    static let version: UInt8 = 1

    /// Milliseconds since 1970.
    var createdAt: Int64
    /// Milliseconds since 1970; 0 while the client is connected.
    var leftAt: Int64
    /// Seconds.
    var expiryInterval: UInt32
    /// Messages below this position may have been sent to the client.
    var sentBelow: UInt64
    var shard: UInt8
    var isCleanStart: Bool
    var username: String?
    /// The user that the session belongs to.
    var owner: String?
    var will: Will?

    func append(to buffer: OutputBuffer) {
        buffer.append(Self.version)
        buffer.append(
            (isCleanStart ? 1 : 0) | (username != nil ? 2 : 0) | (will != nil ? 4 : 0)
                | (owner != nil ? 8 : 0) as UInt8)
        buffer.append(littleEndian: createdAt)
        buffer.append(littleEndian: leftAt)
        buffer.append(littleEndian: expiryInterval)
        buffer.append(littleEndian: sentBelow)
        buffer.append(shard)
        buffer.append(counted: username ?? "")
        buffer.append(counted: owner ?? "")
        guard let will else { return }
        buffer.append(littleEndian: will.delay)
        buffer.append((will.expiry == nil ? 0 : 1) as UInt8)
        buffer.append(littleEndian: will.expiry ?? 0)
        StoredMessageCodec.append(will.message.view, to: buffer)
    }

    init(_ session: Session, leftAt: Int64, sentBelow: UInt64) {
        createdAt = session.createdAt
        self.leftAt = leftAt
        expiryInterval = session.expiryInterval
        self.sentBelow = sentBelow
        shard = UInt8(clamping: session.attachedShard)
        isCleanStart = session.isCleanStart
        username = session.username
        owner = session.owner
        will = session.will
    }

    init?(_ bytes: Bytes) {
        var reader = StoredReader(bytes)
        guard reader.byte() == Self.version else { return nil }
        let flags = reader.byte()
        createdAt = reader.integer(Int64.self)
        leftAt = reader.integer(Int64.self)
        expiryInterval = reader.integer(UInt32.self)
        sentBelow = reader.integer(UInt64.self)
        shard = reader.byte()
        isCleanStart = flags & 1 != 0
        let name = reader.text()
        username = flags & 2 != 0 ? name : nil
        let user = reader.text()
        owner = flags & 8 != 0 ? user : nil
        if flags & 4 != 0 {
            let delay = reader.integer(UInt32.self)
            let hasExpiry = reader.byte() != 0
            let expiry = reader.integer(UInt32.self)
            guard !reader.hasFailed, let message = StoredMessageCodec.decode(reader.rest) else { return nil }
            will = Will(message: message.makeMessage(), delay: delay, expiry: hasExpiry ? expiry : nil)
        }
        guard !reader.hasFailed else { return nil }
    }
}

extension StoredMessageCodec.Decoded {
    /// The message with its publisher.
    func makeMessage() -> Message {
        var view = view
        let publisher = makePublisher()
        view.publisher = publisher
        return withExtendedLifetime(publisher) { Message.make(copying: view) }
    }
}

/// A subscription as it is kept.
extension DeliveryOptions {
    func append(to buffer: OutputBuffer) {
        buffer.append(qos)
        buffer.append((noLocal ? 1 : 0) | (retainAsPublished ? 2 : 0) as UInt8)
        buffer.append(retainHandling)
        buffer.append(littleEndian: subscriptionIdentifier)
    }

    init?(stored bytes: Bytes) {
        var reader = StoredReader(bytes)
        self.init(qos: reader.byte())
        let flags = reader.byte()
        noLocal = flags & 1 != 0
        retainAsPublished = flags & 2 != 0
        retainHandling = reader.byte()
        subscriptionIdentifier = reader.integer(UInt32.self)
        guard !reader.hasFailed, qos <= 2 else { return nil }
    }
}
