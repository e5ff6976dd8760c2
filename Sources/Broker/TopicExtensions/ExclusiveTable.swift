import Topics

/// Which exclusive filter is whose, for the whole node. Cold: SUBSCRIBE and the end of a subscription come here.
/// [EMQX: exclusive subscription]
final class ExclusiveTable: Sendable {
    private let holders = Guarded<[ByteString: Subscription]>([:])

    /// Takes the filter for the subscription's session, in place of an older subscription of the same session.
    /// - Returns: false when another session has it.
    func claim(_ subscription: Subscription) -> Bool {
        guard let filter = ExclusiveFilter.inner(subscription.filter) else { return true }
        return holders.withLock { holders in
            if let holder = holders[ByteString(filter)], holder.session !== subscription.session { return false }
            holders[ByteString(filter)] = subscription
            return true
        }
    }

    /// Gives the filter back unless another subscription has it by now.
    func release(_ subscription: Subscription) {
        guard let filter = ExclusiveFilter.inner(subscription.filter) else { return }
        holders.withLock { holders in
            if holders[ByteString(filter)] === subscription { holders[ByteString(filter)] = nil }
        }
    }

    /// Lets others have a filter; who had it keeps its subscription.
    /// - Returns: false when nobody had it.
    func remove(_ filter: String) -> Bool {
        holders.withLock { $0.removeValue(forKey: ByteString(filter)) != nil }
    }

    var all: [(filter: String, clientID: String)] {
        holders.withLock { $0.map { ($0.key.text, $0.value.session.clientID) } }.sorted { $0.filter < $1.filter }
    }
}
