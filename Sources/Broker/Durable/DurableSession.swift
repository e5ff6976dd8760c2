import DequeModule
import Storage

/// What a session keeps in the store: where its queue stands. Belongs to the session, so to its shard.
///
/// QoS 1 and 2 messages get a position in the queue when they come, and keep it until the client has acknowledged them.
/// Positions below `next` have been sent or are in `resend`; those from `next` on wait, of which `page` holds the first
/// ones in memory. The packet identifier follows from the position, so that it is the same after a restart.
final class DurableSession {
    /// A message that waits, read back or not yet let go of.
    struct Paged {
        var position: UInt64
        var message: Message
        var qos: UInt8
        var isRetained: Bool
        var identifiers: SubscriptionIdentifiers
    }

    static let pageMessages = 64
    static let pageBytes = 64 * 1024

    let queue: StoredQueue
    /// Made with the first QoS 2 message that the client sends.
    var exchangeQueue: StoredQueue?
    /// The client's QoS 2 messages that await their PUBREL: packet identifier → position in ``exchangeQueue``.
    var exchanges: [UInt16: UInt64] = [:]
    /// Those of them that other shards store a part of; the session stays on its shard until they are taken.
    var pendingExchanges = 0
    /// The first position that waits.
    var next: UInt64
    var page: Deque<Paged> = []
    /// Behind the last position of `page`; `next` when it is empty.
    var pageEnd: UInt64
    /// Sent on an earlier connection and not acknowledged, in order.
    var resend: Deque<UInt64> = []
    /// Messages below may have been sent before: DUP. [MQTT-3.3.1-1]
    var sentBelow: UInt64 = 0
    /// Found at the start to be done with; removed when the shard runs.
    var abandoned: [UInt64] = []
    /// Bytes that wait, at most: what has been sent is taken off now and then.
    var waitingBytes = 0
    /// Order of the PUBRECs, for PUBRELs after a restart.
    var releaseOrder: UInt64 = 0

    init(queue: StoredQueue) {
        self.queue = queue
        next = queue.nextPosition
        pageEnd = next
    }

    @inline(__always)
    var waiting: Int { Int(queue.nextPosition - next) }
    @inline(__always)
    var hasWaiting: Bool { next != queue.nextPosition || !resend.isEmpty }

    /// Stays the same for as long as the message is kept; two messages that share one never are in flight together.
    @inline(__always)
    static func packetIdentifier(_ position: UInt64) -> UInt16 { UInt16(position % 65_535 + 1) }

    func forgetPage() {
        page = []
        pageEnd = next
    }

    /// Takes the first waiting message from memory and moves on behind it.
    func advance(behind position: UInt64) {
        if let first = page.first, first.position <= position { page.removeFirst() }
        next = position + 1
        if page.isEmpty { pageEnd = next }
        if next == queue.nextPosition {
            waitingBytes = 0
            if page.isEmpty { page = [] }
        }
    }
}
