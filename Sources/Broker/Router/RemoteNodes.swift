import Cluster

/// Another node as the router knows it.
struct RemoteNode {
    var slot: Int
    var name: String
    /// Nodes stand in the order of their names in a group's ring, the same on all of them.
    var isBeforeThis: Bool
}

/// The other nodes that subscribe to one filter. Under the router's lock.
final class RemoteSubscribers {
    private(set) var nodes: UInt64 = 0
    /// Those with persistent sessions among the subscribers.
    private(set) var stored: UInt64 = 0

    func set(_ slot: Int, to value: RouteValue?) {
        let bit: UInt64 = 1 << UInt64(slot)
        nodes = value == nil ? nodes & ~bit : nodes | bit
        stored = value?.isStored ?? false ? stored | bit : stored & ~bit
    }
}

/// The members of a shared group on another node.
struct RemoteMembers {
    var slot: Int
    var name: String
    var isBeforeThis: Bool
    var members: Int
    var online: Int
}

/// The members of a group over all nodes, in the same order on each of them: nodes by name, on each the members there.
/// Those whose clients are there; all when none is.
struct SharedRing {
    private let here: [Subscription]
    private let remote: [RemoteMembers]
    private let isOnline: Bool
    private let total: Int

    init(_ members: [Subscription], _ remote: [RemoteMembers]) {
        let online = members.filter { $0.session.isOnline }
        let total = online.count + remote.reduce(0) { $0 + $1.online }
        isOnline = total > 0
        here = isOnline ? online : members
        self.remote = remote
        self.total = isOnline ? total : members.count + remote.reduce(0) { $0 + $1.members }
    }

    /// - Parameter turn: gets the number of places, gives one of them.
    func choose(_ turn: (Int) -> Int) -> SharedChoice? {
        guard total > 0 else { return nil }
        var place = turn(total)
        for node in remote where node.isBeforeThis {
            if place < weight(node) { return .node(node.slot) }
            place -= weight(node)
        }
        if place < here.count { return .member(here[place]) }
        place -= here.count
        for node in remote where !node.isBeforeThis {
            if place < weight(node) { return .node(node.slot) }
            place -= weight(node)
        }
        return nil
    }

    private func weight(_ node: RemoteMembers) -> Int { isOnline ? node.online : node.members }
}
