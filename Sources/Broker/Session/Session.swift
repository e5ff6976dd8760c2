import Buffers
import DequeModule
import MQTTCodec
import Synchronization
import Topics

/// A client's session: subscriptions, what is in flight, what waits. [MQTT-4.1.0-1]
///
/// Owned by one shard at a time, whose thread alone touches the plain properties; ownership passes in a mail. What other
/// threads may read (where it lives, whether it is online) are atomics.
final class Session: @unchecked Sendable {
    let id: UInt64
    let clientID: String
    let createdAt: Int64
    /// Which user the session belongs to.
    var username: String?
    var publisher: Publisher
    /// Nil while the client is away.
    unowned(unsafe) var connection: Connection?
    var subscriptions: [ByteString: Subscription] = [:]
    /// Seconds; 0 ends the session with its connection, `UInt32.max` keeps it for ever. [MQTT-3.1.2-23]
    var expiryInterval: UInt32 = 0
    var isCleanStart = true
    /// Monotonic milliseconds at which an absent client's session ends; `Int64.max` for never.
    var expiresAt: Int64 = .max
    var inflight = InflightWindow()
    var queue = MessageQueue()
    /// Retained messages that a SUBSCRIBE asked for and that have not been sent yet; references, no copies.
    var retainedBacklog: Deque<RetainedDelivery> = []
    /// Packet identifiers of QoS 2 messages that the client sent and has not released. [MQTT-4.3.3-10]
    var awaitingRelease: [UInt16] = []
    var will: Will?
    /// Monotonic milliseconds at which the will of an absent client is published.
    var willAt: Int64?
    var statistics = SessionStatistics()
    /// Set when the session has been ended; nothing is delivered any more.
    var isTerminated = false

    private let placement: Atomic<UInt64>
    private let attached: Atomic<Int>
    private let online = Atomic<Bool>(false)

    init(id: UInt64, clientID: String, publisher: Publisher, shard: Int, now: Int64) {
        self.id = id
        self.clientID = clientID
        self.publisher = publisher
        createdAt = now
        placement = Atomic(UInt64(shard) << 48)
        attached = Atomic(shard)
    }

    /// The shard that look-ups send messages to, and the epoch of the move that made it so.
    var place: (shard: Int, epoch: UInt64) {
        let packed = placement.load(ordering: .acquiring)
        return (Int(packed >> 48), packed & 0xFFFF_FFFF_FFFF)
    }

    /// Under the router's lock.
    func place(on shard: Int, epoch: UInt64) {
        placement.store(UInt64(shard) << 48 | epoch, ordering: .releasing)
    }

    /// Stands for no shard in ``attachedShard``: the session is in the mail.
    static let inTransit = -1

    /// The shard whose thread may touch the session.
    var attachedShard: Int { attached.load(ordering: .relaxed) }
    func attach(to shard: Int) { attached.store(shard, ordering: .releasing) }

    /// Whether messages wait for room in the client's window or buffer.
    @inline(__always)
    var hasWaiting: Bool { !queue.isEmpty || !retainedBacklog.isEmpty }

    var isOnline: Bool { online.load(ordering: .relaxed) }
    func setOnline(_ value: Bool) { online.store(value, ordering: .relaxed) }
}

/// A will as it waits in the session. [MQTT-3.1.2-8]
struct Will {
    var message: Message
    /// Seconds.
    var delay: UInt32
    /// Seconds from its publication on.
    var expiry: UInt32?
}

struct SessionStatistics {
    var delivered = 0
    var enqueued = 0
    var dropped = 0
    var received = 0
}

/// A retained message on its way to a new subscription.
struct RetainedDelivery {
    var message: Message
    var qos: UInt8
    var identifier: UInt32
}

/// A message that waits in a session.
struct QueuedMessage {
    var message: Message
    var qos: UInt8
    var isRetained: Bool
    var identifiers: SubscriptionIdentifiers
}

/// What waits for the client or for room in its window: bounded in messages and bytes, oldest dropped first.
struct MessageQueue {
    private var messages: Deque<QueuedMessage> = []
    private(set) var bytes = 0
    /// How many of them are QoS 0: these wait for room in the buffer, not in the window.
    private(set) var unacknowledged = 0

    var count: Int { messages.count }
    var isEmpty: Bool { messages.isEmpty }
    var first: QueuedMessage? { messages.first }

    mutating func append(_ message: QueuedMessage) {
        messages.append(message)
        bytes += message.message.byteCount
        if message.qos == 0 { unacknowledged += 1 }
    }

    /// - Returns: a message that has to go to keep within the bounds: the oldest QoS 0 first, then the oldest; nil when they
    ///   are kept. One large message may push out many small ones.
    mutating func popExcess(_ limits: QueueLimits) -> QueuedMessage? {
        guard messages.count > limits.messages || bytes > limits.bytes else { return nil }
        return popFirstUnacknowledged() ?? popFirst()
    }

    /// The oldest QoS 0 message, wherever it stands.
    mutating func popFirstUnacknowledged() -> QueuedMessage? {
        if messages.first?.qos == 0 { return popFirst() }
        guard unacknowledged > 0, let position = messages.firstIndex(where: { $0.qos == 0 }) else { return nil }
        let message = messages.remove(at: position)
        bytes -= message.message.byteCount
        unacknowledged -= 1
        return message
    }

    mutating func popFirst() -> QueuedMessage? {
        guard let first = messages.popFirst() else { return nil }
        bytes -= first.message.byteCount
        if first.qos == 0 { unacknowledged -= 1 }
        if messages.isEmpty { messages = [] }
        return first
    }

    mutating func removeAll() {
        messages = []
        bytes = 0
        unacknowledged = 0
    }
}

package struct QueueLimits: Sendable {
    package var messages: Int
    package var bytes: Int

    package init(messages: Int, bytes: Int) {
        self.messages = messages
        self.bytes = bytes
    }
}
