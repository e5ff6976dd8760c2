import Buffers

/// Published messages whose rules have not been evaluated yet, as copies of their bytes, in order.
///
/// Under a load that wakes the loop for each message alone, a rule evaluated at once runs through cold caches and costs
/// three times as much as one that runs a dozen times in a row; the copy costs a fraction of that. Confined to its shard's thread.
struct RuleBacklog {
    private struct Header: BitwiseCopyable {
        /// Kept alive by the rule stage, which empties the backlog before it lets go of a set.
        var set: UnsafeRawPointer
        /// A reference of its own: the client may be gone when its message's turn comes.
        var publisher: UnsafeRawPointer?
        var nanoseconds: Int64
        var traits: MessageTraits
        var id: MessageID
        var topicCount: UInt32
        var propertiesCount: UInt32
        var payloadCount: UInt32
    }

    /// Larger messages are not worth a copy.
    static let largestMessage = 2048
    private static let room = 64 * 1024

    private let stream = OutputBuffer(capacity: 4096)

    var isEmpty: Bool { stream.isEmpty }
    var isFull: Bool { stream.count >= Self.room }

    @inline(__always)
    static func accepts(_ message: MessageView) -> Bool {
        message.topic.count + message.properties.count + message.payload.count <= largestMessage
    }

    /// - Parameter nanoseconds: the wall clock that the evaluation is to see.
    @inline(__always)
    func append(_ message: MessageView, _ set: RuleSetRunner, nanoseconds: Int64) {
        let size = MemoryLayout<Header>.stride
        stream.reserve(size + message.topic.count + message.properties.count + message.payload.count + 8)
        stream.writePointer.storeBytes(
            of: Header(
                set: UnsafeRawPointer(Unmanaged.passUnretained(set).toOpaque()),
                publisher: message.publisher.map { UnsafeRawPointer(Unmanaged.passRetained($0).toOpaque()) },
                nanoseconds: nanoseconds, traits: message.traits, id: message.id,
                topicCount: UInt32(message.topic.count), propertiesCount: UInt32(message.properties.count),
                payloadCount: UInt32(message.payload.count)), as: Header.self)
        stream.advance(size)
        stream.append(message.topic)
        stream.append(message.properties)
        stream.append(message.payload)
        stream.advance((8 - stream.count & 7) & 7)
    }

    /// Gives each message to `body`, in order, and forgets it. `body` appends nothing.
    func drain(_ body: (RuleSetRunner, MessageView, _ nanoseconds: Int64) -> Void) {
        let bytes = stream.bytes
        var position = 0
        while position < bytes.count {
            let header = bytes.loadUnaligned(fromByteOffset: position, as: Header.self)
            position += MemoryLayout<Header>.stride
            let topic = take(header.topicCount, bytes, &position)
            let properties = take(header.propertiesCount, bytes, &position)
            let payload = take(header.payloadCount, bytes, &position)
            position = (position + 7) & ~7
            let publisher = header.publisher.map { Unmanaged<Publisher>.fromOpaque($0) }
            let message = MessageView(
                topic: topic, properties: properties, payload: payload, traits: header.traits, id: header.id,
                publisher: publisher?.takeUnretainedValue())
            Unmanaged<RuleSetRunner>.fromOpaque(header.set)._withUnsafeGuaranteedRef {
                body($0, message, header.nanoseconds)
            }
            publisher?.release()
        }
        stream.removeAll()
    }

    @inline(__always)
    private func take(_ count: UInt32, _ bytes: Bytes, _ position: inout Int) -> Bytes {
        defer { position += Int(count) }
        return Bytes(rebasing: bytes[position..<position + Int(count)])
    }
}
