/// Says in the log when bounds of the configuration have turned something away: one line for each bound and minute, however
/// much it was. Run by the first shard.
final class BoundsReport {
    /// Milliseconds.
    static let interval: Int64 = 60_000

    private struct Bound {
        let message: String
        let key: String
        let count: (ShardCounters) -> Int
        var reported = 0
        var next: Int64 = 0
    }

    private var bounds = [
        Bound(
            message: "Messages were not retained: there are as many as may be.", key: "retainer.max_retained_messages",
            count: { $0.retainedFull.current }),
        Bound(
            message: "Messages were not retained: their payloads are too large.", key: "retainer.max_payload_size",
            count: { $0.retainedTooLarge.current }),
        Bound(
            message: "Messages were not retained: their topics have too many levels.", key: "mqtt.max_topic_levels",
            count: { $0.retainedTooDeep.current }),
        Bound(
            message: "Delayed messages were refused: there are as many as may be.",
            key: "delayed.max_delayed_messages", count: { $0.delayedFull.current }),
        Bound(
            message: "Subscriptions were refused: their clients have as many as they may.",
            key: "mqtt.max_subscriptions", count: { $0.subscriptionsOverQuota.current }),
    ]

    func tick(_ shard: Shard) {
        for index in bounds.indices where shard.now >= bounds[index].next {
            let bound = bounds[index]
            let total = shard.node.shards.reduce(0) { $0 + bound.count($1.counters) }
            guard total > bound.reported else { continue }
            bounds[index].reported = total
            bounds[index].next = shard.now + Self.interval
            shard.logger.warning(
                "\(bound.message)",
                metadata: ["bound.key": "\(bound.key)", "bound.refused": "\(total - bound.reported)"])
        }
    }
}
