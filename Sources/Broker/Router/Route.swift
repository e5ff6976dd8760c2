import Buffers
import RuleEngine

/// The identifiers of the subscriptions that a message matched, mostly none or one [MQTT-3.3.4-3], and the shared group by
/// which it came. Goes with the message into the session's queue and window.
struct SubscriptionIdentifiers {
    var first: UInt32 = 0
    /// ``SharedGroup/number``; 0 when the session subscribes for itself. A number, since it is copied with each message.
    var sharedGroup: UInt32 = 0
    var others: [UInt32]?

    mutating func add(_ identifier: UInt32) {
        guard identifier != 0 else { return }
        if first == 0 { first = identifier } else { others = (others ?? []) + [identifier] }
    }
}

/// One session on this shard that gets the messages of a route, once, at the highest QoS of what it subscribed.
/// [MQTT-3.3.4-2] [MQTT3-3.3.5-1]
struct LocalTarget {
    let session: Session
    var qos: UInt8
    var noLocal: Bool
    var retainAsPublished: Bool
    var identifiers = SubscriptionIdentifiers()
    /// The epoch at which the session came to this shard: older messages reach it by the shard that it left.
    var movedAt: UInt64
}

/// A route as read under the router's lock.
struct RouteDraft {
    var epoch: UInt64 = 0
    var targets: [LocalTarget] = []
    var remoteShards: UInt64 = 0
    /// Those of them that have persistent sessions among the targets.
    var storedShards: UInt64 = 0
    /// A bit for each other node that subscribes.
    var remoteNodes: UInt64 = 0
    /// Those of them that have persistent sessions among the targets.
    var storedNodes: UInt64 = 0
    var groups: [GroupSnapshot] = []
    var rules: [InstalledRule] = []

    private struct TargetKey: Hashable {
        var session: ObjectIdentifier
        var noLocal: Bool
    }

    /// Where the targets stand, once there are many.
    private var positions: [TargetKey: Int] = [:]

    mutating func add(_ subscription: Subscription, movedAt: UInt64) {
        let options = subscription.options
        if let index = position(of: subscription) {
            targets[index].qos = max(targets[index].qos, options.qos)
            targets[index].retainAsPublished = targets[index].retainAsPublished || options.retainAsPublished
            targets[index].identifiers.add(options.subscriptionIdentifier)
            return
        }
        var target = LocalTarget(
            session: subscription.session, qos: options.qos, noLocal: options.noLocal,
            retainAsPublished: options.retainAsPublished, movedAt: movedAt)
        target.identifiers.add(options.subscriptionIdentifier)
        targets.append(target)
        if !positions.isEmpty { positions[Self.key(of: target)] = targets.count - 1 }
    }

    /// A few are looked through; for a topic with thousands of subscribers that would hold the router's lock for seconds.
    private mutating func position(of subscription: Subscription) -> Int? {
        let noLocal = subscription.options.noLocal
        guard targets.count >= 16 else {
            return targets.firstIndex { $0.session === subscription.session && $0.noLocal == noLocal }
        }
        if positions.isEmpty {
            for (position, target) in targets.enumerated() { positions[Self.key(of: target)] = position }
        }
        return positions[TargetKey(session: ObjectIdentifier(subscription.session), noLocal: noLocal)]
    }

    private static func key(of target: LocalTarget) -> TargetKey {
        TargetKey(session: ObjectIdentifier(target.session), noLocal: target.noLocal)
    }
}

/// Where the messages of one topic go, as one shard sees it. Immutable; replaced when a generation moves on.
final class Route {
    /// Of its shard's routes; never used twice, never 0.
    let number: UInt64
    let epoch: UInt64
    let targets: [LocalTarget]
    /// A bit for each other shard that has a target.
    let remoteShards: UInt64
    /// Those of them that store the message.
    let storedShards: UInt64
    /// A bit for each other node that has a target, by slot.
    let remoteNodes: UInt64
    /// Those of them that store the message.
    let storedNodes: UInt64
    let groups: [GroupSnapshot]
    /// The rules of this topic, joined so that one scan of the payload serves them all; nil without rules.
    let rules: RuleSetRunner?

    init(_ draft: RouteDraft, number: UInt64, rules: RuleSetRunner?) {
        self.number = number
        epoch = draft.epoch
        targets = draft.targets
        remoteShards = draft.remoteShards
        storedShards = draft.storedShards
        remoteNodes = draft.remoteNodes
        storedNodes = draft.storedNodes
        groups = draft.groups
        self.rules = rules
    }

    var hasSubscribers: Bool { !targets.isEmpty || remoteShards | remoteNodes != 0 || !groups.isEmpty }
}

/// Topic → route of one shard: 4,096 entries in sets of four, checked by generation on each look-up. A hit costs a hash
/// and a comparison of bytes.
struct RouteCache {
    static let slots = 4096
    /// Slots that a topic may lie in: with one alone, two busy topics that meet would push each other out for ever.
    static let ways = 4
    /// Longer topics are not kept: 4,096 of the longest would take 256 MiB.
    static let longestTopic = 1024

    private struct Entry {
        var hash: UInt64 = 0
        var exactGeneration: UInt64 = 0
        var wildGeneration: UInt64 = 0
        var topic: UnsafeMutableRawBufferPointer = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        var route: Route?
    }

    private let entries: UnsafeMutablePointer<Entry>
    private(set) var misses = 0
    /// The last route that was not kept, for as long as it is used.
    private var uncached: Route?

    init() {
        entries = .allocate(capacity: Self.slots)
        entries.initialize(repeating: Entry(), count: Self.slots)
    }

    func deallocate() {
        for slot in 0..<Self.slots { entries[slot].topic.deallocate() }
        entries.deinitialize(count: Self.slots)
        entries.deallocate()
    }

    /// - Returns: the route in force, nil when it must be read anew.
    @inline(__always)
    func find(_ topic: Bytes, hash: UInt64, router: Router) -> Unmanaged<Route>? {
        let first = Int(truncatingIfNeeded: hash) & (Self.slots - 1)
        if entries[first].hash == hash { return check(entries + first, topic, hash, router) }
        for way in 1..<Self.ways where entries[first ^ way].hash == hash {
            return check(entries + (first ^ way), topic, hash, router)
        }
        return nil
    }

    @inline(__always)
    private func check(
        _ entry: UnsafeMutablePointer<Entry>, _ topic: Bytes, _ hash: UInt64, _ router: Router
    ) -> Unmanaged<Route>? {
        guard entry.pointee.topic.count == topic.count,
            entry.pointee.wildGeneration == router.wildGeneration.load(ordering: .acquiring),
            entry.pointee.exactGeneration == router.exactGeneration(hash),
            compareBytes(Bytes(entry.pointee.topic), topic) == 0
        else { return nil }
        return entry.pointee.route.map { Unmanaged.passUnretained($0) }
    }

    /// The slot for a topic: the one that it has, else a free or outdated one of its four, else each of them in turn.
    private func slot(for hash: UInt64, wild: UInt64) -> Int {
        let first = Int(truncatingIfNeeded: hash) & (Self.slots - 1)
        for way in 0..<Self.ways where entries[first ^ way].hash == hash { return first ^ way }
        for way in 0..<Self.ways {
            let entry = entries + (first ^ way)
            if entry.pointee.route == nil || entry.pointee.wildGeneration != wild { return first ^ way }
        }
        return first ^ (misses & (Self.ways - 1))
    }

    /// - Parameters:
    ///   - exact: the generations read before the router was asked, so that a change in between is noticed.
    mutating func store(_ route: Route, topic: Bytes, hash: UInt64, exact: UInt64, wild: UInt64) {
        misses += 1
        guard topic.count <= Self.longestTopic else {
            uncached = route
            return
        }
        let entry = entries + slot(for: hash, wild: wild)
        if entry.pointee.topic.count != topic.count {
            entry.pointee.topic.deallocate()
            entry.pointee.topic = .allocate(byteCount: topic.count, alignment: 8)
        }
        entry.pointee.topic.copyMemory(from: topic)
        entry.pointee.hash = hash
        entry.pointee.exactGeneration = exact
        entry.pointee.wildGeneration = wild
        entry.pointee.route = route
    }

    /// Lets go of routes that are out of date, and so of the sessions that they hold.
    mutating func sweep(router: Router) {
        uncached = nil
        let wild = router.wildGeneration.load(ordering: .acquiring)
        for slot in 0..<Self.slots where entries[slot].route != nil {
            if entries[slot].wildGeneration != wild
                || entries[slot].exactGeneration != router.exactGeneration(entries[slot].hash)
            {
                entries[slot].route = nil
                entries[slot].hash = 0
            }
        }
    }
}
