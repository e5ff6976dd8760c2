import Buffers
import Cluster
import Synchronization

/// What one shard sends another: a stream of records in the order in which they were written.
///
/// A message crosses as bytes when it is not acknowledged (no allocation), as a reference when it is. Records of
/// control are closures that run on the receiving shard; they are rare.
final class Outbox {
    enum Kind: UInt8 {
        /// Header, then topic, properties and payload.
        case bytes
        /// An owned reference to a ``Message``.
        case message
        /// An owned reference to a ``Message`` and one to the ``Subscription`` that was chosen in a shared group.
        case shared
        /// An owned reference to a ``ControlMail``.
        case control
        /// A batch from another node as it came: lane, count, bytes.
        case batch
    }

    struct BytesHeader: BitwiseCopyable {
        var epoch: UInt64
        var traits: MessageTraits
        var id: MessageID
        var topicCount: UInt32
        var propertiesCount: UInt32
        var payloadCount: UInt32
    }

    fileprivate(set) var stream = OutputBuffer(capacity: 4096)
    /// Bytes of the messages that the stream refers to, for the bound of the mailbox.
    fileprivate(set) var referenced = 0

    deinit { OutboxReader.discard(stream) }

    func append(_ message: MessageView, epoch: UInt64) {
        let size =
            8 + MemoryLayout<BytesHeader>.size + message.topic.count + message.properties.count + message.payload.count
        stream.reserve(size + 8)
        begin(.bytes)
        appendRaw(
            BytesHeader(
                epoch: epoch, traits: message.traits, id: message.id, topicCount: UInt32(message.topic.count),
                propertiesCount: UInt32(message.properties.count), payloadCount: UInt32(message.payload.count)))
        stream.append(message.topic)
        stream.append(message.properties)
        stream.append(message.payload)
        align()
    }

    func append(_ message: Message, epoch: UInt64) {
        referenced += message.byteCount
        begin(.message)
        appendRaw(epoch)
        appendRaw(UInt(bitPattern: Unmanaged.passRetained(message).toOpaque()))
    }

    func append(_ message: Message, to subscription: Subscription) {
        referenced += message.byteCount
        begin(.shared)
        appendRaw(UInt(bitPattern: Unmanaged.passRetained(message).toOpaque()))
        appendRaw(UInt(bitPattern: Unmanaged.passRetained(subscription).toOpaque()))
    }

    func append(_ control: ControlMail) {
        begin(.control)
        appendRaw(UInt(bitPattern: Unmanaged.passRetained(control).toOpaque()))
    }

    func append(batch: Bytes, lane: MeshLane) {
        stream.reserve(32 + batch.count)
        begin(.batch)
        appendRaw(UInt64(lane.rawValue))
        appendRaw(batch.count)
        stream.append(batch)
        align()
    }

    private func begin(_ kind: Kind) { appendRaw(UInt64(kind.rawValue)) }

    @inline(__always)
    private func appendRaw<T: BitwiseCopyable>(_ value: T) {
        stream.reserve((MemoryLayout<T>.size + 7) & ~7)
        stream.writePointer.storeBytes(of: value, as: T.self)
        stream.advance((MemoryLayout<T>.size + 7) & ~7)
    }

    /// Records begin at multiples of eight.
    private func align() { stream.advance((8 - stream.count & 7) & 7) }
}

/// An errand on another shard. Owned by the record that carries it; run once, on the receiving shard's thread.
final class ControlMail: @unchecked Sendable {
    let run: (Shard) -> Void

    init(_ run: @escaping @Sendable (Shard) -> Void) { self.run = run }
}

/// The receiving end: one for each shard, written by all others under its lock, swapped out whole by its owner.
final class Mailbox: Sendable {
    /// Bytes waiting at which senders stop reading from the clients that publish to this shard.
    static let highWaterMark = 16 * 1024 * 1024

    private struct State {
        var streams: [OutputBuffer] = []
        var spare: [OutputBuffer] = []
        var bytes = 0
    }

    private let state = Guarded(State())
    /// Bytes that wait or are being worked on: the streams and the messages that they refer to.
    let backlog = Atomic<Int>(0)

    /// What nobody has taken when the node ends.
    deinit { for stream in state.withLock({ $0.streams }) { OutboxReader.discard(stream) } }

    /// Takes the outbox's stream and leaves an empty one in its place.
    /// - Returns: true when the mailbox was empty, so that its owner must be woken.
    func post(_ outbox: Outbox) -> Bool {
        let stream = outbox.stream
        backlog.wrappingAdd(stream.count + outbox.referenced, ordering: .relaxed)
        outbox.referenced = 0
        let (wasEmpty, spare) = state.withLock { state -> (Bool, OutputBuffer?) in
            let wasEmpty = state.streams.isEmpty
            state.streams.append(stream)
            return (wasEmpty, state.spare.popLast())
        }
        outbox.stream = spare ?? OutputBuffer(capacity: 4096)
        return wasEmpty
    }

    /// Takes all streams, in the order in which they were posted.
    func take(into streams: inout [OutputBuffer]) {
        state.withLock { state in
            streams.append(contentsOf: state.streams)
            state.streams.removeAll(keepingCapacity: true)
        }
    }

    /// Gives drained streams back for reuse; large ones are let go.
    /// - Parameter bytes: what they and the messages that they referred to took.
    func recycle(_ streams: [OutputBuffer], bytes: Int) {
        backlog.wrappingSubtract(bytes, ordering: .relaxed)
        state.withLock { state in
            for stream in streams where state.spare.count < 64 && stream.capacity <= 64 * 1024 {
                state.spare.append(stream)
            }
        }
    }
}
