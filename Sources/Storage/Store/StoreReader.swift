package import Buffers
import Glibc

/// A message as it is read back. `body` is valid during the call that hands it over.
package struct StoredMessage {
    package var position: UInt64
    package var note: UInt32
    package var body: Bytes
}

/// How a reading ended.
package enum ReadOutcome: Sendable, Equatable {
    /// No more messages.
    case end
    /// The limit was reached, or the caller ended it: go on from here.
    case more(from: UInt64)
    /// The message at this position has been committed (or moved by compaction) but not written yet; it can be read
    /// when the log has moved on, which takes a moment.
    case pending(at: UInt64)
    /// The message at this position is not what was written. It has been reported as an event; remove it to go on.
    case damaged(at: UInt64)
    /// The disk does not give it.
    case failed(at: UInt64, errno: Int32)
}

/// Reads messages back, with a buffer of its own. Confined to one thread.
///
/// Reads block for as long as the disk takes, when the kernel does not have the page: ask for few messages at a time.
package final class StoreReader {
    private static let windowBytes = 64 * 1024
    /// Unneeded bytes between two messages that are read over rather than read around.
    private static let gapBytes = 4096
    private static let pageMessages = 128

    private struct Item {
        var position: UInt64
        var entry: QueueEntry
        var segment: Segment
    }

    private let store: DurableStore
    private var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: windowBytes, alignment: 16)
    private var items: ContiguousArray<Item> = []
    private var window: (segment: Segment, offset: Int, count: Int)?

    package init(_ store: DurableStore) { self.store = store }

    deinit { buffer.deallocate() }

    /// Reads messages in order, beginning with the first one at or behind `position`.
    ///
    /// - Parameters:
    ///   - limit: at most so many messages.
    ///   - body: returns false to end it behind this message.
    package func read(
        _ queue: StoredQueue, from position: UInt64 = 0, limit: Int, _ body: (StoredMessage) -> Bool
    ) -> ReadOutcome {
        // Nothing is kept: a segment that is held here could not give its room back.
        defer {
            items.removeAll(keepingCapacity: true)
            window = nil
        }
        var next = position
        var left = limit
        while left > 0 {
            collect(queue, from: next, limit: min(left, Self.pageMessages))
            guard !items.isEmpty else { return .end }
            for index in items.indices {
                if let outcome = deliver(index, queue, body) { return outcome }
            }
            left -= items.count
            next = items[items.count - 1].position + 1
        }
        return .more(from: next)
    }

    private func collect(_ queue: StoredQueue, from position: UInt64, limit: Int) {
        items.removeAll(keepingCapacity: true)
        store.lock.withLock {
            queue.entries.forEach(from: position) { position, entry in
                guard let segment = store.index.segment(entry.location.segment) else { return true }
                items.append(Item(position: position, entry: entry, segment: segment))
                return items.count < limit
            }
        }
    }

    /// - Returns: nil to go on.
    private func deliver(_ index: Int, _ queue: StoredQueue, _ body: (StoredMessage) -> Bool) -> ReadOutcome? {
        let item = items[index]
        let end = item.entry.location.offset + Int(item.entry.length)
        guard item.segment.written.load(ordering: .acquiring) >= end else { return .pending(at: item.position) }
        let code = load(index)
        if code < 0 { return .failed(at: item.position, errno: Int32(-code)) }
        guard let window,
            let message = Self.message(item.entry, bytes(of: item, in: window), queue, item.position, item.segment)
        else {
            store.report(
                Finding(
                    .damaged, file: item.segment.path, offset: item.entry.location.offset,
                    length: Int(item.entry.length)))
            return .damaged(at: item.position)
        }
        let goesOn = body(StoredMessage(position: item.position, note: item.entry.note, body: message))
        return goesOn ? nil : .more(from: item.position + 1)
    }

    private func bytes(of item: Item, in window: (segment: Segment, offset: Int, count: Int)) -> Bytes {
        let start = item.entry.location.offset - window.offset
        let end = min(start + Int(item.entry.length), window.count)
        return Bytes(rebasing: buffer[start..<max(start, end)])
    }

    /// Makes the window hold the message, and with it those that lie close behind.
    private func load(_ index: Int) -> Int {
        let first = items[index]
        let start = first.entry.location.offset
        var end = start + Int(first.entry.length)
        if let window, window.segment === first.segment, start >= window.offset, end <= window.offset + window.count {
            return 0
        }
        let written = first.segment.written.load(ordering: .acquiring)
        for item in items[(index + 1)...] {
            let offset = item.entry.location.offset
            let itemEnd = offset + Int(item.entry.length)
            guard item.segment === first.segment, offset >= end, offset - end <= Self.gapBytes,
                itemEnd - start <= Self.windowBytes, itemEnd <= written
            else { break }
            end = itemEnd
        }
        if end - start > buffer.count {
            buffer.deallocate()
            buffer = .allocate(byteCount: end - start, alignment: 16)
        }
        window = nil
        let count = first.segment.read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<(end - start)]), at: start)
        if count >= 0 { window = (first.segment, start, count) }
        return count
    }

    /// The body, if the bytes are what was written for this queue and position.
    private static func message(
        _ entry: QueueEntry, _ bytes: Bytes, _ queue: StoredQueue, _ position: UInt64, _ segment: Segment
    ) -> Bytes? {
        guard bytes.count == Int(entry.length) else { return nil }
        if entry.isShared { return sharedBody(bytes) }
        guard LogFormat.isIntact(bytes, at: entry.location, salt: segment.salt),
            bytes.raw(8, as: UInt64.self) >> 56 == UInt64(StoreRecord.message)
        else { return nil }
        let length = Int(bytes.raw(4, as: UInt32.self))
        let payload = Bytes(rebasing: bytes[LogFormat.frameBytes..<(LogFormat.frameBytes + length)])
        guard let message = StoreRecord.Message(payload), message.targetCount == 1,
            message.target(0).queue == queue.id, message.target(0).position == position
        else { return nil }
        return message.body
    }

    private static func sharedBody(_ bytes: Bytes) -> Bytes? {
        let start = LogFormat.frameBytes + StoreRecord.Message.prefixBytes
        guard bytes.count >= start else { return nil }
        let length = Int(bytes.raw(LogFormat.frameBytes, as: UInt32.self))
        guard StoreRecord.Message.sharedReadSize(body: length) == bytes.count else { return nil }
        let body = Bytes(rebasing: bytes[start..<(start + length)])
        guard bytes.raw(LogFormat.frameBytes + 8, as: UInt32.self) == StoreRecord.Message.bodyCheck(body) else {
            return nil
        }
        return body
    }
}
