import Buffers
import Cluster
import MQTTCodec
import Topics

/// Retained topics between nodes, on the lane `state`: kind, the sender's clock (8), then
///
///     set: 1 · time (8) · origin (8) · the message, see ``LinkMessage``
///     deleted: 2 · time (8) · origin (8) · topic count (2) · topic
struct RetainedBatch {
    enum Record {
        case set(LinkMessage, RetainedStamp)
        case deleted(Bytes, RetainedStamp)
    }

    private static let set: UInt8 = 1
    private static let deleted: UInt8 = 2
    static let headerBytes = 9
    /// Records of one batch end about here.
    static let batchBytes = 128 * 1024

    static func begin(_ buffer: OutputBuffer, wall: Int64) {
        buffer.append(StateBatch.retainedEntries.rawValue)
        buffer.append(littleEndian: wall)
    }

    static func append(_ message: MessageView, _ stamp: RetainedStamp, to buffer: OutputBuffer) {
        begin(set, stamp, buffer)
        LinkMessage.append(message, group: Bytes(start: nil, count: 0), passes: 0, to: buffer)
    }

    static func append(deleted topic: Bytes, _ stamp: RetainedStamp, to buffer: OutputBuffer) {
        begin(deleted, stamp, buffer)
        buffer.append(littleEndian: UInt16(truncatingIfNeeded: topic.count))
        buffer.append(topic)
    }

    private static func begin(_ kind: UInt8, _ stamp: RetainedStamp, _ buffer: OutputBuffer) {
        buffer.append(kind)
        buffer.append(littleEndian: stamp.time)
        buffer.append(littleEndian: stamp.origin)
    }

    private var reader: StoredReader
    private let lead: Int64
    /// What has been read is not what such a batch holds.
    private(set) var isDamaged: Bool

    /// - Parameter wall: this node's clock, by which the messages' ends are moved.
    init(_ batch: Bytes, wall: Int64) {
        reader = StoredReader(batch)
        _ = reader.byte()
        let sent = reader.integer(Int64.self)
        let (lead, overflows) = wall.subtractingReportingOverflow(sent)
        self.lead = lead
        isDamaged = reader.hasFailed || overflows
    }

    mutating func next() -> Record? {
        guard !isDamaged, reader.rest.count > 0 else { return nil }
        let kind = reader.byte()
        let stamp = RetainedStamp(time: reader.integer(UInt64.self), origin: reader.integer(UInt64.self))
        switch kind {
        case Self.set:
            if let message = LinkMessage.read(&reader, lead: lead) { return .set(message, stamp) }
        case Self.deleted:
            let topic = reader.take(Int(reader.integer(UInt16.self)))
            if !reader.hasFailed { return .deleted(topic, stamp) }
        default: break
        }
        isDamaged = true
        return nil
    }

    static func isValid(_ batch: Bytes) -> Bool {
        var batch = RetainedBatch(batch, wall: 0)
        while let record = batch.next() {
            switch record {
            case .set(let message, _): if !message.isDeliverable { return false }
            case .deleted(let topic, _): if !TopicSyntax.isName(topic) || !UTF8Text.isValid(topic) { return false }
            }
        }
        return !batch.isDamaged
    }
}
