import Buffers
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

/// The members of one shared subscription. `members` is the router's, changed under its lock.
final class SharedGroup: @unchecked Sendable {
    let key: SharedFilter
    /// Not 0; no other group of the node has it.
    let number: UInt32
    var members: [Subscription]
    let next = Atomic<Int>(0)

    init(key: SharedFilter, number: UInt32, member: Subscription) {
        self.key = key
        self.number = number
        members = [member]
    }
}

/// A group with its members as of a route's reading.
struct GroupSnapshot {
    let group: SharedGroup
    let members: [Subscription]

    /// The member that gets this message: one that is connected, else one whose session keeps messages.
    func choose(
        _ strategy: SharedStrategy, message: MessageView, sticky: inout [ObjectIdentifier: Subscription],
        shard: Int, random: inout some RandomNumberGenerator
    ) -> Subscription? {
        let count = members.count
        guard count > 0 else { return nil }
        let first: Int
        switch strategy {
        case .random: first = Int.random(in: 0..<count, using: &random)
        case .roundRobin, .roundRobinPerGroup:
            // Each group has its turn: with one for several, publishers that alternate would reach the same members only.
            first = (group.next.wrappingAdd(1, ordering: .relaxed).oldValue & Int.max) % count
        case .sticky:
            if let chosen = sticky[ObjectIdentifier(group)], chosen.session.isOnline,
                members.contains(where: { $0 === chosen })
            {
                return chosen
            }
            first = Int.random(in: 0..<count, using: &random)
        case .local:
            if let here = members.first(where: { $0.session.place.shard == shard && $0.session.isOnline }) {
                return here
            }
            first = Int.random(in: 0..<count, using: &random)
        case .hashTopic: first = Int(topicHash(message.topic) % UInt64(count))
        case .hashClientID: first = Int(hash(ofPublisher: message) % UInt64(count))
        }
        let chosen = firstOnline(from: first) ?? members[first]
        if strategy == .sticky { sticky[ObjectIdentifier(group)] = chosen }
        return chosen
    }

    /// The same for a client over all its sessions; the broker's own messages have no client.
    private func hash(ofPublisher message: MessageView) -> UInt64 {
        guard let publisher = message.publisher else { return 0 }
        return topicHash(publisher.clientIDValue.bytes)
    }

    private func firstOnline(from first: Int) -> Subscription? {
        for offset in 0..<members.count {
            let member = members[(first + offset) % members.count]
            if member.session.isOnline { return member }
        }
        return nil
    }
}
