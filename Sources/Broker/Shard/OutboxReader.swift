import Buffers
import Cluster

/// Reads the records of a mailbox stream; the counterpart of ``Outbox``. References are taken over from the stream.
struct OutboxReader {
    enum Record {
        case bytes(MessageView, epoch: UInt64)
        case message(Message, epoch: UInt64)
        case shared(Message, Subscription)
        case control(ControlMail)
        case batch(Bytes, MeshLane)
    }

    private let bytes: Bytes
    private var position = 0

    init(_ bytes: Bytes) { self.bytes = bytes }

    /// Lets go of what a stream refers to that will not be read.
    static func discard(_ stream: OutputBuffer) {
        var reader = OutboxReader(stream.bytes)
        while reader.next() != nil {}
        stream.removeAll()
    }

    mutating func next() -> Record? {
        guard position < bytes.count else { return nil }
        // The stream was written by this process, record by record; an unknown kind is a bug of ours.
        guard let kind = Outbox.Kind(rawValue: UInt8(truncatingIfNeeded: read(UInt64.self))) else {
            preconditionFailure("a mailbox holds the records that an outbox wrote")
        }
        switch kind {
        case .bytes:
            let header = read(Outbox.BytesHeader.self)
            let topic = take(Int(header.topicCount))
            let properties = take(Int(header.propertiesCount))
            let payload = take(Int(header.payloadCount))
            position = (position + 7) & ~7
            let view = MessageView(
                topic: topic, properties: properties, payload: payload, traits: header.traits, id: header.id,
                publisher: nil)
            return .bytes(view, epoch: header.epoch)
        case .message:
            let epoch = read(UInt64.self)
            return .message(takeReference(Message.self), epoch: epoch)
        case .shared:
            let message = takeReference(Message.self)
            return .shared(message, takeReference(Subscription.self))
        case .control:
            return .control(takeReference(ControlMail.self))
        case .batch:
            guard let lane = MeshLane(rawValue: UInt8(truncatingIfNeeded: read(UInt64.self))) else {
                preconditionFailure("a mailbox holds the records that an outbox wrote")
            }
            let count = read(Int.self)
            let batch = take(count)
            position = (position + 7) & ~7
            return .batch(batch, lane)
        }
    }

    @inline(__always)
    private mutating func read<T: BitwiseCopyable>(_ type: T.Type) -> T {
        let value = bytes.loadUnaligned(fromByteOffset: position, as: type)
        position += (MemoryLayout<T>.size + 7) & ~7
        return value
    }

    private mutating func take(_ count: Int) -> Bytes {
        defer { position += count }
        return Bytes(rebasing: bytes[position..<position + count])
    }

    private mutating func takeReference<T: AnyObject>(_ type: T.Type) -> T {
        guard let pointer = UnsafeRawPointer(bitPattern: read(UInt.self)) else {
            preconditionFailure("a mailbox's references are not null")
        }
        return Unmanaged<T>.fromOpaque(pointer).takeRetainedValue()
    }
}
