import Buffers
import Cluster
import Synchronization
import Topics

/// How a shared group chooses the member that gets a message. Names as in EMQX's `mqtt.shared_subscription_strategy`.
package enum SharedStrategy: String, Sendable, CaseIterable {
    case random
    case roundRobin = "round_robin"
    case roundRobinPerGroup = "round_robin_per_group"
    case sticky
    case local
    case hashTopic = "hash_topic"
    case hashClientID = "hash_clientid"
}

/// The members of one shared subscription. `members` and `remote` are the router's, changed under its lock.
final class SharedGroup: @unchecked Sendable {
    let key: SharedFilter
    /// Not 0; no other group of the node has it.
    let number: UInt32
    var members: [Subscription] = []
    /// Members on other nodes, by their names.
    private(set) var remote: [RemoteMembers] = []
    let next = Atomic<Int>(0)
    /// The same for messages that another node has left to the choice of this one: with one for both, two nodes that take
    /// turns would reach the same members only.
    let nextForNodes = Atomic<Int>(0)
    let isGone = Atomic<Bool>(false)
    /// Group, slash, filter: what names it between nodes.
    let name: [UInt8]

    init(key: SharedFilter, number: UInt32) {
        self.key = key
        self.number = number
        name = Array(key.group.utf8) + [UInt8(ascii: "/")] + Array(key.filter.utf8)
    }

    func set(_ node: RemoteNode, to value: RouteValue?) {
        remote.removeAll { $0.slot == node.slot }
        guard let value else { return }
        let members = RemoteMembers(
            slot: node.slot, name: node.name, isBeforeThis: node.isBeforeThis, members: Int(value.members),
            online: Int(value.online))
        let place = remote.firstIndex { $0.name > node.name } ?? remote.count
        remote.insert(members, at: place)
    }
}

/// Who was chosen: a member here, or another node, which chooses one of its own.
enum SharedChoice {
    case member(Subscription)
    case node(Int)
}

/// The choice that a group stays with.
struct StickyChoice {
    let group: SharedGroup
    let choice: SharedChoice

    func isUsable(reachable: UInt64) -> Bool {
        guard !group.isGone.load(ordering: .relaxed) else { return false }
        return switch choice {
        case .member(let member): member.session.isOnline
        case .node(let slot): reachable & 1 << UInt64(slot) != 0
        }
    }
}

/// What a choice goes by.
struct SharedChooser {
    var strategy: SharedStrategy
    var shard: Int
    var topic: Bytes
    /// The publisher's client identifier, the same over all its sessions; empty for the broker's own messages.
    var client: Bytes
    /// Whether another node has left the choice to this one: only members here count.
    var isForNode = false
}

/// A group with its members as of a route's reading.
struct GroupSnapshot {
    let group: SharedGroup
    let members: [Subscription]
    /// Those that can be reached, by name.
    let remote: [RemoteMembers]

    init(_ group: SharedGroup, reachable: UInt64) {
        self.group = group
        members = group.members
        remote = group.remote.isEmpty ? [] : group.remote.filter { reachable & 1 << UInt64($0.slot) != 0 }
    }

    var isEmpty: Bool { members.isEmpty && remote.isEmpty }

    /// Who gets this message: a member that is connected, here or elsewhere, else one whose session keeps messages.
    func choose(
        _ chooser: SharedChooser, sticky: inout [ObjectIdentifier: StickyChoice],
        random: inout some RandomNumberGenerator
    ) -> SharedChoice? {
        if chooser.isForNode { return chooseForNode(chooser, &sticky, &random) }
        guard !isEmpty else { return nil }
        if chooser.strategy == .sticky, let chosen = sticky[ObjectIdentifier(group)]?.choice, holds(chosen, remote) {
            return chosen
        }
        if chooser.strategy == .local, let here = memberHere(shard: chooser.shard, hasRemote: !remote.isEmpty) {
            return .member(here)
        }
        let chosen =
            remote.isEmpty
            ? chooseHere(chooser, &random) : SharedRing(members, remote).choose { turn($0, chooser, &random) }
        if chooser.strategy == .sticky, let chosen {
            sticky[ObjectIdentifier(group)] = StickyChoice(group: group, choice: chosen)
        }
        return chosen
    }

    /// A member here, for a message that another node has left to the choice of this one.
    private func chooseForNode(
        _ chooser: SharedChooser, _ sticky: inout [ObjectIdentifier: StickyChoice],
        _ random: inout some RandomNumberGenerator
    ) -> SharedChoice? {
        guard !members.isEmpty else { return nil }
        switch chooser.strategy {
        case .sticky:
            if let chosen = sticky[ObjectIdentifier(group)]?.choice, case .member = chosen, holds(chosen, []) {
                return chosen
            }
        case .hashTopic, .hashClientID:
            // The place in the ring of all, so that it is the same member wherever the publisher is.
            let place = SharedRing(members, remote).choose { turn($0, chooser, &random) }
            if let place, case .member = place { return place }
        default: break
        }
        let chosen = chooseHere(chooser, &random)
        if chooser.strategy == .sticky {
            sticky[ObjectIdentifier(group)] = StickyChoice(group: group, choice: chosen)
        }
        return chosen
    }

    private func chooseHere(_ chooser: SharedChooser, _ random: inout some RandomNumberGenerator) -> SharedChoice {
        let first = turn(members.count, chooser, &random)
        return .member(firstOnline(from: first) ?? members[first])
    }

    /// - Returns: a number below `count`.
    private func turn(_ count: Int, _ chooser: SharedChooser, _ random: inout some RandomNumberGenerator) -> Int {
        switch chooser.strategy {
        case .random, .sticky, .local: return Int.random(in: 0..<count, using: &random)
        case .roundRobin, .roundRobinPerGroup:
            // Each group has its turn: with one for several, publishers that alternate would reach the same members only.
            let number =
                chooser.isForNode
                ? group.nextForNodes.wrappingAdd(1, ordering: .relaxed).oldValue
                : group.next.wrappingAdd(1, ordering: .relaxed).oldValue
            return (number & Int.max) % count
        case .hashTopic: return Int(topicHash(chooser.topic) % UInt64(count))
        case .hashClientID: return chooser.client.isEmpty ? 0 : Int(topicHash(chooser.client) % UInt64(count))
        }
    }

    /// Whether a group stays with its choice.
    private func holds(_ chosen: SharedChoice, _ remote: [RemoteMembers]) -> Bool {
        switch chosen {
        case .member(let member): member.session.isOnline && members.contains { $0 === member }
        case .node(let slot): remote.contains { $0.slot == slot && $0.online > 0 }
        }
    }

    /// On this shard, else, where the others are on other nodes, on this node.
    private func memberHere(shard: Int, hasRemote: Bool) -> Subscription? {
        members.first { $0.session.place.shard == shard && $0.session.isOnline }
            ?? (hasRemote ? members.first { $0.session.isOnline } : nil)
    }

    private func firstOnline(from first: Int) -> Subscription? {
        for offset in 0..<members.count {
            let member = members[(first + offset) % members.count]
            if member.session.isOnline { return member }
        }
        return nil
    }
}
