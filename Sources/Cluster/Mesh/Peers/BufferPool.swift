package import Buffers
import Synchronization

/// Buffers that batches are written into and that come back when they are acknowledged. Thread-safe.
///
/// The buffers themselves belong to whoever took them; hence the unchecked conformance.
package final class BufferPool: @unchecked Sendable {
    private static let most = 256
    /// Larger ones are not kept.
    private static let largest = 256 * 1024
    private let lock = Mutex(())
    private var free: [OutputBuffer] = []

    init() { free.reserveCapacity(Self.most) }

    package func take() -> OutputBuffer {
        lock.withLock { _ in
            // Owned by nobody else once it has left the list.
            nonisolated(unsafe) let buffer = free.popLast()
            return buffer
        } ?? OutputBuffer(capacity: 4096)
    }

    func give(_ buffer: OutputBuffer) {
        guard buffer.capacity <= Self.largest else { return }
        buffer.removeAll()
        nonisolated(unsafe) let buffer = buffer
        lock.withLock { _ in if free.count < Self.most { free.append(buffer) } }
    }
}
