import Buffers
import Cluster
import Synchronization
import Topics

/// One session's subscription to one filter. Immutable but for the group's number, which the router sets.
final class Subscription: Sendable {
    let session: Session
    let filter: String
    let shared: SharedFilter?
    let options: DeliveryOptions
    /// The shared group's number, 0 without one; set when the router takes the subscription in.
    let sharedGroup = Atomic<UInt32>(0)
    /// How the other nodes count it; see ``NodeLinks``. Written by the session's shard.
    let advertised = Atomic<UInt8>(0)

    /// The filter that the client needs the right for: as it asked, before rewriting; nil for one that the operator gave.
    let claim: String?

    /// - Parameter claim: nil for the filter itself.
    init(session: Session, filter: String, options: DeliveryOptions, claim: String? = nil, isAutomatic: Bool = false) {
        self.session = session
        self.filter = filter
        let shared = SharedFilter(filter)
        self.shared = shared
        topicFilter = shared?.filter ?? ExclusiveFilter.inner(filter) ?? filter
        self.claim = isAutomatic ? nil : claim ?? topicFilter
        self.options = options
    }

    /// The filter that topics are matched with: without `$share/group/` and `$exclusive/`.
    let topicFilter: String
}

extension Subscription {
    var isExclusive: Bool { shared == nil && topicFilter.utf8.count != filter.utf8.count }
    fileprivate var isToSystem: Bool { topicFilter.utf8.starts(with: "$SYS/".utf8) }
}

/// What a subscription asks for, in the form that the message path reads.
struct DeliveryOptions: BitwiseCopyable, Equatable {
    var qos: UInt8
    var noLocal = false
    var retainAsPublished = false
    /// 0, 1 or 2 as on the wire.
    var retainHandling: UInt8 = 0
    /// 0 when there is none.
    var subscriptionIdentifier: UInt32 = 0
}

/// Topic → who gets it. The one writer-locked index of a node: subscriptions, shared groups and rules side by side, so
/// that a publish pays one look-up. Publishers read it through the ``RouteCache`` of their shard.
///
/// Invalidation: a filter without wildcards bumps one of 4,096 generations chosen by its hash, a filter with wildcards
/// the one that all cached routes carry.
final class Router: @unchecked Sendable {  // `state` under its lock; the generations are atomics
    static let generationCount = 4096

    private enum Element {
        case subscription(Subscription)
        case group(SharedGroup)
        case rule(InstalledRule)
        case nodes(RemoteSubscribers)
    }

    private struct State {
        var index = TopicIndex<Element>()
        var groups: [SharedFilter: SharedGroup] = [:]
        var groupsByNumber: [UInt32: SharedGroup] = [:]
        private var lastGroup: UInt32 = 0
        /// Counts the moves of sessions between shards; a route carries the epoch at which it was read.
        var epoch: UInt64 = 1
        var subscriptions = 0
        var sharedSubscriptions = 0

        /// The group with that key, made when there is none.
        mutating func group(_ key: SharedFilter, filter: Bytes) -> SharedGroup {
            if let group = groups[key] { return group }
            repeat { lastGroup &+= 1 } while lastGroup == 0 || groupsByNumber[lastGroup] != nil
            let group = SharedGroup(key: key, number: lastGroup)
            groups[key] = group
            groupsByNumber[lastGroup] = group
            index.insert(.group(group), filter: filter)
            return group
        }

        /// Forgets a group without members, here or elsewhere.
        mutating func removeIfEmpty(_ group: SharedGroup, filter: Bytes) {
            guard group.members.isEmpty, group.remote.isEmpty else { return }
            group.isGone.store(true, ordering: .relaxed)
            groups[group.key] = nil
            groupsByNumber[group.number] = nil
            index.remove(filter: filter) { if case .group(let other) = $0 { other === group } else { false } }
        }

        /// What another node says of a filter.
        /// - Returns: whether it was there before.
        mutating func set(_ filter: Bytes, node: Int, to value: RouteValue?) -> Bool {
            let elements = index.elements(filter: filter)
            var found: RemoteSubscribers?
            for case .nodes(let subscribers) in elements { found = subscribers }
            guard found != nil || value != nil else { return false }
            let subscribers = found ?? RemoteSubscribers()
            let wasThere = subscribers.nodes & 1 << UInt64(node) != 0
            subscribers.set(node, to: value)
            if found == nil { index.insert(.nodes(subscribers), filter: filter) }
            if subscribers.nodes == 0 {
                index.remove(filter: filter) { if case .nodes = $0 { true } else { false } }
            }
            return wasThere
        }
    }

    private let state = Guarded(State())
    private let exactGenerations: UnsafeMutablePointer<Atomic<UInt64>>
    let wildGeneration = Atomic<UInt64>(1)
    let strategy: SharedStrategy
    let exclusive = ExclusiveTable()
    /// Subscriptions to `$SYS/…`.
    let systemReaders = Atomic<Int>(0)
    /// A bit for each other node that can be reached, by slot: routes name no others.
    let reachableNodes = Atomic<UInt64>(0)
    /// Set before the shards run; nil for a node without a mesh.
    var links: NodeLinks?

    init(strategy: SharedStrategy) {
        self.strategy = strategy
        exactGenerations = .allocate(capacity: Self.generationCount)
        for slot in 0..<Self.generationCount { (exactGenerations + slot).initialize(to: Atomic(1)) }
    }

    deinit {
        exactGenerations.deinitialize(count: Self.generationCount)
        exactGenerations.deallocate()
    }

    @inline(__always)
    func exactGeneration(_ hash: UInt64) -> UInt64 {
        exactGenerations[Int(truncatingIfNeeded: hash) & (Self.generationCount - 1)].load(ordering: .acquiring)
    }

    var counts: (topics: Int, subscriptions: Int, shared: Int) {
        state.withLock { ($0.index.count, $0.subscriptions, $0.sharedSubscriptions) }
    }

    // MARK: Writers

    /// Puts a subscription in force; one of the same session and filter must have been removed before.
    func add(_ subscription: Subscription) {
        if subscription.isExclusive { _ = exclusive.claim(subscription) }
        if subscription.isToSystem { systemReaders.wrappingAdd(1, ordering: .relaxed) }
        withBytes(subscription.topicFilter) { filter in
            state.withLock { state in
                state.subscriptions += 1
                guard let key = subscription.shared else {
                    state.index.insert(.subscription(subscription), filter: filter)
                    return
                }
                state.sharedSubscriptions += 1
                let group = state.group(key, filter: filter)
                group.members.append(subscription)
                subscription.sharedGroup.store(group.number, ordering: .relaxed)
            }
            invalidate(filter)
        }
        links?.advertise(subscription, isPresent: true)
    }

    func remove(_ subscription: Subscription) {
        if subscription.isExclusive { exclusive.release(subscription) }
        if subscription.isToSystem { systemReaders.wrappingSubtract(1, ordering: .relaxed) }
        withBytes(subscription.topicFilter) { filter in
            state.withLock { state in
                guard let key = subscription.shared else {
                    state.subscriptions -= state.index.remove(filter: filter) {
                        if case .subscription(let other) = $0 { other === subscription } else { false }
                    }
                    return
                }
                guard let group = state.groups[key] else { return }
                let before = group.members.count
                group.members.removeAll { $0 === subscription }
                state.subscriptions -= before - group.members.count
                state.sharedSubscriptions -= before - group.members.count
                state.removeIfEmpty(group, filter: filter)
            }
            invalidate(filter)
        }
        links?.advertise(subscription, isPresent: false)
    }

    /// Its client has come or gone, or it is kept on disk from now on: other nodes choose by that.
    func advertise(_ session: Session) {
        guard let links else { return }
        for subscription in session.subscriptions.values { links.advertiseAgain(subscription) }
    }

    /// Changes the rules in force in one step.
    func replaceRules(removed: [InstalledRule], added: [InstalledRule]) {
        state.withLock { state in
            for rule in removed {
                for filter in rule.filters {
                    withBytes(filter) { bytes in
                        _ = state.index.remove(filter: bytes) {
                            if case .rule(let other) = $0 { other === rule } else { false }
                        }
                    }
                }
            }
            for rule in added {
                for filter in rule.filters { withBytes(filter) { state.index.insert(.rule(rule), filter: $0) } }
            }
        }
        wildGeneration.wrappingAdd(1, ordering: .acquiringAndReleasing)
        for slot in 0..<Self.generationCount {
            exactGenerations[slot].wrappingAdd(1, ordering: .acquiringAndReleasing)
        }
    }

    /// From the next look-up on, messages for this session go to another shard.
    /// - Returns: the epoch of the move: routes with an older one still count on the old shard.
    func move(_ session: Session, subscriptions: some Sequence<Subscription>, to shard: Int) -> UInt64 {
        state.withLock { state in
            state.epoch += 1
            session.place(on: shard, epoch: state.epoch)
            // Under the lock: who reads the new place from here on may send mail there before this call returns, and the
            // new shard must not look it up in a route from before the move.
            for subscription in subscriptions { withBytes(subscription.topicFilter) { invalidate($0) } }
            return state.epoch
        }
    }

    /// What publishers know of these subscriptions' session is out of date.
    func invalidate(_ subscriptions: some Sequence<Subscription>) {
        for subscription in subscriptions { withBytes(subscription.topicFilter) { invalidate($0) } }
    }

    private func invalidate(_ filter: Bytes) {
        if TopicSyntax.hasWildcard(filter) {
            wildGeneration.wrappingAdd(1, ordering: .acquiringAndReleasing)
        } else {
            let hash = topicHash(filter)
            exactGenerations[Int(truncatingIfNeeded: hash) & (Self.generationCount - 1)]
                .wrappingAdd(1, ordering: .acquiringAndReleasing)
        }
    }

    // MARK: Other nodes

    /// Puts in force what another node says of its subscriptions. Some hundred at a time, since publishers wait meanwhile.
    func apply(_ changes: ArraySlice<RouteChange>, from node: RemoteNode) {
        var hasWildcard = false
        state.withLock { state in
            for change in changes {
                change.key.withParts { filter, group in
                    let wasThere =
                        group.isEmpty
                        ? state.set(filter, node: node.slot, to: change.value)
                        : set(filter, group, in: &state, change.value, node)
                    let isThere = change.value != nil
                    if isThere != wasThere, filter.starts(with: "$SYS/".utf8) {
                        systemReaders.wrappingAdd(isThere ? 1 : -1, ordering: .relaxed)
                    }
                }
            }
            for change in changes {
                change.key.withParts { filter, _ in
                    if TopicSyntax.hasWildcard(filter) { hasWildcard = true } else { invalidate(filter) }
                }
            }
        }
        if hasWildcard { wildGeneration.wrappingAdd(1, ordering: .acquiringAndReleasing) }
    }

    private func set(
        _ filter: Bytes, _ name: Bytes, in state: inout State, _ value: RouteValue?, _ node: RemoteNode
    ) -> Bool {
        let key = SharedFilter(
            group: String(decoding: name, as: UTF8.self), filter: String(decoding: filter, as: UTF8.self))
        guard value != nil || state.groups[key] != nil else { return false }
        let group = state.group(key, filter: filter)
        let wasThere = group.remote.contains { $0.slot == node.slot }
        group.set(node, to: value)
        state.removeIfEmpty(group, filter: filter)
        return wasThere
    }

    /// Another node can be reached from now on, or can't: its routes count at once, all of them.
    func setReachable(_ slot: Int, _ isReachable: Bool) {
        if isReachable {
            reachableNodes.bitwiseOr(1 << UInt64(slot), ordering: .acquiringAndReleasing)
        } else {
            reachableNodes.bitwiseAnd(~(1 << UInt64(slot)), ordering: .acquiringAndReleasing)
        }
        wildGeneration.wrappingAdd(1, ordering: .acquiringAndReleasing)
    }

    /// The group of that name and filter; nil when nobody is in it. Cold.
    func sharedGroup(_ key: SharedFilter) -> GroupSnapshot? {
        let reachable = reachableNodes.load(ordering: .acquiring)
        return state.withLock { state in state.groups[key].map { GroupSnapshot($0, reachable: reachable) } }
    }

    // MARK: Readers

    /// The group with its members of now; nil when the last one has gone. Cold.
    func sharedGroup(_ number: UInt32) -> GroupSnapshot? {
        let reachable = reachableNodes.load(ordering: .acquiring)
        return state.withLock { state in
            state.groupsByNumber[number].map { GroupSnapshot($0, reachable: reachable) }
        }
    }

    /// What a shard needs to deliver a message of this topic. Cold: the cache misses.
    func route(topic: Bytes, shard: Int) -> RouteDraft {
        var draft = RouteDraft()
        let reachable = reachableNodes.load(ordering: .acquiring)
        state.withLock { state in
            draft.epoch = state.epoch
            state.index.match(topic) { element in
                switch element {
                case .subscription(let subscription):
                    let place = subscription.session.place
                    if place.shard == shard {
                        draft.add(subscription, movedAt: place.epoch)
                    } else {
                        draft.remoteShards |= 1 << UInt64(place.shard)
                        if subscription.session.isStored { draft.storedShards |= 1 << UInt64(place.shard) }
                    }
                case .group(let group):
                    let snapshot = GroupSnapshot(group, reachable: reachable)
                    if !snapshot.isEmpty { draft.groups.append(snapshot) }
                case .nodes(let subscribers):
                    draft.remoteNodes |= subscribers.nodes & reachable
                    draft.storedNodes |= subscribers.stored & reachable
                case .rule(let rule): if !draft.rules.contains(where: { $0 === rule }) { draft.rules.append(rule) }
                }
            }
        }
        return draft
    }
}

/// FNV-1a with a final mix; the cache and the generations use the same one.
@inline(__always)
func topicHash(_ topic: Bytes) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    var position = 0
    let count = topic.count
    if let base = topic.baseAddress {
        while position + 8 <= count {
            let word = base.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            hash = (hash ^ word) &* 0x9FB2_1C65_1E98_DF25
            hash ^= hash >> 32
            position += 8
        }
        while position < count {
            hash = (hash ^ UInt64(base.load(fromByteOffset: position, as: UInt8.self))) &* 0x100_0000_01b3
            position += 1
        }
    }
    hash ^= UInt64(truncatingIfNeeded: count)
    hash = hash &* 0x9E37_79B9_7F4A_7C15
    return hash ^ (hash >> 29)
}

func withBytes<R>(_ text: String, _ body: (Bytes) throws -> R) rethrows -> R {
    var text = text
    return try text.withUTF8 { try body(Bytes($0)) }
}
