import MQTTCodec
import Synchronization

/// A count that one thread raises and any thread reads: a plain load and store, no locked instruction.
struct Counter: ~Copyable {
    private let value = Atomic<Int>(0)

    @inline(__always)
    func add(_ amount: Int) {
        value.store(value.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
    }

    var current: Int { value.load(ordering: .relaxed) }
}

/// What one shard has counted since it started; the node adds the shards up. Names as EMQX's metrics.
final class ShardCounters: Sendable {
    let bytesReceived = Counter()
    let bytesSent = Counter()
    private let packetsReceived = InlineArray<16, Counter> { _ in Counter() }
    private let packetsSent = InlineArray<16, Counter> { _ in Counter() }
    let receivedQoS0 = Counter()
    let receivedQoS1 = Counter()
    let receivedQoS2 = Counter()
    let sentQoS0 = Counter()
    let sentQoS1 = Counter()
    let sentQoS2 = Counter()
    let messagesAcked = Counter()
    let messagesDroppedNoSubscribers = Counter()
    let messagesRedispatched = Counter()
    let forwardedOut = Counter()
    let forwardedIn = Counter()
    let droppedNoLocal = Counter()
    let droppedQueueFull = Counter()
    let droppedExpired = Counter()
    let droppedQoS0 = Counter()
    let droppedTooLarge = Counter()
    let retainedTooLarge = Counter()
    let retainedFull = Counter()
    let retainedTooDeep = Counter()
    let retainedExpired = Counter()
    let delayed = Counter()
    let delayedFull = Counter()
    let topicsRefused = Counter()
    let subscriptionsOverQuota = Counter()
    let droppedAwaitingRelease = Counter()
    let sendTimeouts = Counter()
    let storageRefused = Counter()
    let storageLost = Counter()
    let connects = Counter()
    let connectsRefused = Counter()
    let connected = Counter()
    let disconnected = Counter()
    let subscribes = Counter()
    let unsubscribes = Counter()
    let sessionsCreated = Counter()
    let sessionsResumed = Counter()
    let sessionsTakenOver = Counter()
    let sessionsTerminated = Counter()
    let authenticated = Counter()
    let authenticatedAnonymous = Counter()
    let authenticationFailed = Counter()
    let authorizationAllowed = Counter()
    let authorizationDenied = Counter()
    let authorizationCacheHits = Counter()
    let authorizationCacheMisses = Counter()
    let authorizationSuperuser = Counter()
    let authorizationNoMatch = Counter()
    let publishesDenied = Counter()
    let subscribesDenied = Counter()
    let willsDenied = Counter()

    @inline(__always)
    func received(_ type: PacketType) { packetsReceived[Int(type.rawValue)].add(1) }

    @inline(__always)
    func sent(_ type: PacketType) { packetsSent[Int(type.rawValue)].add(1) }

    @inline(__always)
    func countReceived(qos: UInt8) {
        switch qos {
        case 0: receivedQoS0.add(1)
        case 1: receivedQoS1.add(1)
        default: receivedQoS2.add(1)
        }
    }

    @inline(__always)
    func countSent(qos: UInt8) {
        switch qos {
        case 0: sentQoS0.add(1)
        case 1: sentQoS1.add(1)
        default: sentQoS2.add(1)
        }
    }

    func countDropped(_ reason: DropReason) {
        switch reason {
        case .noLocal: droppedNoLocal.add(1)
        case .queueFull: droppedQueueFull.add(1)
        case .expired: droppedExpired.add(1)
        case .qos0: droppedQoS0.add(1)
        case .tooLarge: droppedTooLarge.add(1)
        }
    }

    /// All counts by metric name, in the order of the reference.
    var metrics: [(name: String, value: Int)] {
        let received = receivedQoS0.current + receivedQoS1.current + receivedQoS2.current
        let sent = sentQoS0.current + sentQoS1.current + sentQoS2.current
        let dropped =
            droppedNoLocal.current + droppedQueueFull.current + droppedExpired.current + droppedQoS0.current
            + droppedTooLarge.current
        return [
            ("bytes.received", bytesReceived.current), ("bytes.sent", bytesSent.current),
            ("messages.received", received), ("messages.sent", sent),
            ("messages.qos0.received", receivedQoS0.current), ("messages.qos0.sent", sentQoS0.current),
            ("messages.qos1.received", receivedQoS1.current), ("messages.qos1.sent", sentQoS1.current),
            ("messages.qos2.received", receivedQoS2.current), ("messages.qos2.sent", sentQoS2.current),
            ("messages.acked", messagesAcked.current),
            ("messages.publish", received), ("messages.delivered", sent),
            ("messages.dropped", messagesDroppedNoSubscribers.current + droppedAwaitingRelease.current),
            ("messages.dropped.no_subscribers", messagesDroppedNoSubscribers.current),
            ("messages.dropped.await_pubrel_timeout", droppedAwaitingRelease.current),
            ("messages.redispatched", messagesRedispatched.current),
            ("messages.forward", forwardedOut.current), ("messages.forward.out", forwardedOut.current),
            ("messages.forward.in", forwardedIn.current),
            ("messages.storage.refused", storageRefused.current), ("messages.storage.lost", storageLost.current),
            (
                "messages.retained.refused",
                retainedTooLarge.current + retainedFull.current + retainedTooDeep.current
            ),
            ("messages.retained.refused.too_large", retainedTooLarge.current),
            ("messages.retained.refused.full", retainedFull.current),
            ("messages.retained.expired", retainedExpired.current),
            ("messages.delayed", delayed.current), ("messages.delayed.refused", delayedFull.current),
            ("messages.dropped.topic_refused", topicsRefused.current),
            ("client.subscribe.quota_exceeded", subscriptionsOverQuota.current),
            ("delivery.dropped", dropped), ("delivery.dropped.no_local", droppedNoLocal.current),
            ("delivery.dropped.queue_full", droppedQueueFull.current),
            ("delivery.dropped.expired", droppedExpired.current), ("delivery.dropped.qos0_msg", droppedQoS0.current),
            ("delivery.dropped.too_large", droppedTooLarge.current),
            ("client.connect", connects.current), ("client.connack.error", connectsRefused.current),
            ("client.send_timeout", sendTimeouts.current),
            ("client.connected", connected.current), ("client.disconnected", disconnected.current),
            ("client.subscribe", subscribes.current), ("client.unsubscribe", unsubscribes.current),
            ("session.created", sessionsCreated.current), ("session.resumed", sessionsResumed.current),
            ("session.takenover", sessionsTakenOver.current), ("session.terminated", sessionsTerminated.current),
        ] + packetMetrics + accessMetrics
    }

    /// By packet type, under EMQX's names; those that only one side sends have one figure.
    private var packetMetrics: [(name: String, value: Int)] {
        var metrics: [(name: String, value: Int)] = []
        var (received, sent) = (0, 0)
        for type in PacketType.allCases {
            let (fromClients, toClients) = (
                packetsReceived[Int(type.rawValue)].current, packetsSent[Int(type.rawValue)].current
            )
            received += fromClients
            sent += toClients
            if type.isSent(by: .client) { metrics.append(("packets.\(type).received", fromClients)) }
            if type.isSent(by: .server) { metrics.append(("packets.\(type).sent", toClients)) }
        }
        return metrics + [
            ("packets.received", received), ("packets.sent", sent),
            ("client.connack", packetsSent[Int(PacketType.connack.rawValue)].current),
            ("packets.connack.error", connectsRefused.current),
        ]
    }

    private var accessMetrics: [(name: String, value: Int)] {
        [
            ("authentication.success", authenticated.current),
            ("authentication.success.anonymous", authenticatedAnonymous.current),
            ("authentication.failure", authenticationFailed.current),
            ("client.authenticate", authenticated.current + authenticationFailed.current),
            ("client.auth.anonymous", authenticatedAnonymous.current),
            ("client.authorize", authorizationAllowed.current + authorizationDenied.current),
            ("authorization.allow", authorizationAllowed.current), ("authorization.deny", authorizationDenied.current),
            ("authorization.cache_hit", authorizationCacheHits.current),
            ("authorization.cache_miss", authorizationCacheMisses.current),
            ("authorization.superuser", authorizationSuperuser.current),
            ("authorization.nomatch", authorizationNoMatch.current),
            ("packets.publish.auth_error", publishesDenied.current),
            ("packets.subscribe.auth_error", subscribesDenied.current),
            ("messages.will.denied", willsDenied.current),
        ]
    }
}
