/// Records that are delivered together: what one request or one write carries.
///
/// Confined to the worker's thread; pooled by the scheduler. Over all attempts a batch stays as it is, so that
/// its ``id`` names the same bytes each time.
package final class SinkBatch {
    struct Item {
        var record: SinkRecord
        /// Index of the chunk in the scheduler; negative when the batch owns a copy.
        var chunk: Int32
        var lane: Int32
    }

    var items: [Item] = []
    /// 1 for the first.
    package internal(set) var attempt = 0
    /// Monotonic nanoseconds.
    var notBefore: Int64 = 0
    /// Whether the other side named the time in ``notBefore``.
    var isServerPaced = false
    /// Of the oldest record.
    var enqueuedAt: Int64 = 0
    var bytes = 0
    /// Tells a pooled batch's lives apart in the retry heap.
    var generation = 0
    /// Where the records lie once they no longer pin the shards' chunks.
    var ownChunk: RecordChunk?

    package var count: Int { items.count }
    package subscript(index: Int) -> SinkRecord { items[index].record }
    /// The first record's.
    package var id: DeliveryID { items.first?.record.id ?? DeliveryID(high: 0, low: 0) }
}
