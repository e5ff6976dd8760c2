import Access
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
    /// Nobody else gets the session; nil where nobody asked who the client is.
    var owner: String?
    /// Who the client is and was last; nil without access control.
    var access: ClientAccess?
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
    var awaitingRelease = AwaitingRelease()
    var will: Will?
    /// Monotonic milliseconds at which the will of an absent client is published.
    var willAt: Int64?
    var statistics = SessionStatistics()
    /// Set when the session has been ended; nothing is delivered any more.
    var isTerminated = false
    /// Milliseconds since 1970 at which the client left in an earlier life of the node; 0 while it is here or unknown.
    var leftAt: Int64 = 0
    /// Where it was when the node ended; -1 when it was not.
    var formerShard = -1
    /// Where it is kept on disk; nil for a session that ends with its connection.
    var durable: DurableSession?

    private let placement: Atomic<UInt64>
    private let attached: Atomic<Int>
    private let online = Atomic<Bool>(false)
    private let stored = Atomic<Bool>(false)

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
    var hasWaiting: Bool {
        !queue.isEmpty || !retainedBacklog.isEmpty || (durable.map { $0.hasWaiting } ?? false)
    }

    var isOnline: Bool { online.load(ordering: .relaxed) }
    func setOnline(_ value: Bool) { online.store(value, ordering: .relaxed) }

    /// Whether its QoS 1 and 2 messages are kept on disk.
    var isStored: Bool { stored.load(ordering: .relaxed) }
    func setStored(_ value: Bool) { stored.store(value, ordering: .relaxed) }
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
    /// In a persistent session's memory: goes behind the stored messages below this position.
    var storedBefore: UInt64 = 0
}

/// What waits for the client or for room in its window: bounded in messages and bytes, oldest dropped first.
///
/// QoS 0 stands in a line of its own, since it does not wait for the window and is dropped first; numbers keep the order
/// over both. So each operation takes the same time however long the queue is.
struct MessageQueue {
    private struct Entry {
        var number: UInt64
        var message: QueuedMessage
    }

    private var acknowledgedEntries: Deque<Entry> = []
    private var unacknowledgedEntries: Deque<Entry> = []
    private var nextNumber: UInt64 = 0
    private(set) var bytes = 0

    /// How many of them are QoS 0: these wait for room in the buffer, not in the window.
    @inline(__always)
    var unacknowledged: Int { unacknowledgedEntries.count }
    var count: Int { acknowledgedEntries.count + unacknowledgedEntries.count }
    @inline(__always)
    var isEmpty: Bool { acknowledgedEntries.isEmpty && unacknowledgedEntries.isEmpty }

    mutating func append(_ message: QueuedMessage) {
        let entry = Entry(number: nextNumber, message: message)
        nextNumber += 1
        bytes += message.message.byteCount
        if message.qos == 0 { unacknowledgedEntries.append(entry) } else { acknowledgedEntries.append(entry) }
    }

    /// - Returns: a message that has to go to keep within the bounds: the oldest QoS 0 first, then the oldest; nil when they
    ///   are kept. One large message may push out many small ones.
    mutating func popExcess(_ limits: QueueLimits) -> QueuedMessage? {
        guard count > limits.messages || bytes > limits.bytes else { return nil }
        return popFirstUnacknowledged() ?? popFirst()
    }

    var firstUnacknowledged: QueuedMessage? { unacknowledgedEntries.first?.message }

    /// The oldest QoS 0 message, wherever it stands.
    mutating func popFirstUnacknowledged() -> QueuedMessage? { Self.pop(from: &unacknowledgedEntries, &bytes) }

    mutating func popFirst() -> QueuedMessage? {
        guard let unacknowledged = unacknowledgedEntries.first else {
            return Self.pop(from: &acknowledgedEntries, &bytes)
        }
        if let acknowledged = acknowledgedEntries.first, acknowledged.number < unacknowledged.number {
            return Self.pop(from: &acknowledgedEntries, &bytes)
        }
        return Self.pop(from: &unacknowledgedEntries, &bytes)
    }

    private static func pop(from entries: inout Deque<Entry>, _ bytes: inout Int) -> QueuedMessage? {
        guard let entry = entries.popFirst() else { return nil }
        bytes -= entry.message.message.byteCount
        // An empty line keeps no memory: most sessions never queue again.
        if entries.isEmpty { entries = [] }
        return entry.message
    }

    /// Takes all messages out, oldest first.
    mutating func drain(_ body: (QueuedMessage) -> Void) {
        while let message = popFirst() { body(message) }
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
