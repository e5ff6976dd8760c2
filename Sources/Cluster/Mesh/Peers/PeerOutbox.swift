import Buffers
import Synchronization

/// A batch on its way.
struct Batch {
    let number: UInt64
    let buffer: OutputBuffer
}

/// Where shards leave batches for one node until the mesh's thread takes them. Thread-safe: everything but ``bytes`` stands
/// under the lock, hence the unchecked conformance.
final class PeerOutbox: @unchecked Sendable {
    private let lock = Mutex(())
    private let limit: Int
    private var isUp = false
    /// Whether the mesh's thread has been told and has not come yet.
    private var isWoken = false
    private var hasOverflowed = false
    private var lastNumbers = [UInt64](repeating: 0, count: PeerOutbox.laneCount)
    private var pending = [[Batch]](repeating: [], count: PeerOutbox.laneCount)
    /// Bytes not acknowledged.
    private let bytes = Atomic<Int>(0)

    static let laneCount = MeshLane.allCases.count

    init(limit: Int) { self.limit = limit }

    var backlog: Int { bytes.load(ordering: .relaxed) }

    /// - Returns: the batch's number, or 0; and whether the mesh's thread must be woken.
    func post(_ batch: OutputBuffer, lane: Int) -> (number: UInt64, wakes: Bool) {
        nonisolated(unsafe) let batch = batch
        return lock.withLock { _ in
            guard isUp else { return (0, false) }
            let count = batch.count
            let wakes = !isWoken
            isWoken = true
            if bytes.load(ordering: .relaxed) + count > limit {
                isUp = false
                hasOverflowed = true
                return (0, wakes)
            }
            lastNumbers[lane] &+= 1
            bytes.add(count, ordering: .relaxed)
            pending[lane].append(Batch(number: lastNumbers[lane], buffer: batch))
            return (lastNumbers[lane], wakes)
        }
    }

    // MARK: The mesh's side

    func open() {
        lock.withLock { _ in
            isUp = true
            hasOverflowed = false
            for lane in 0..<Self.laneCount {
                lastNumbers[lane] = 0
                pending[lane].removeAll()
            }
            bytes.store(0, ordering: .relaxed)
        }
    }

    func close() {
        lock.withLock { _ in
            isUp = false
            for lane in 0..<Self.laneCount { pending[lane].removeAll() }
            bytes.store(0, ordering: .relaxed)
        }
    }

    /// Moves what waits to the lanes' ends.
    /// - Returns: false when more was posted than may wait.
    func drain(into lanes: [PeerLane]) -> Bool {
        lock.withLock { _ in
            isWoken = false
            for lane in 0..<Self.laneCount where !pending[lane].isEmpty {
                lanes[lane].unacknowledged.append(contentsOf: pending[lane])
                pending[lane].removeAll(keepingCapacity: pending[lane].count <= 1024)
            }
            return !hasOverflowed
        }
    }

    func acknowledged(_ count: Int) { bytes.subtract(count, ordering: .relaxed) }
}
