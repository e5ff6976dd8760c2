internal import Buffers

/// The records that wait for their first attempt, in lanes: a lane holds the records of one order key, oldest first, and
/// while a batch with records of it is out it gives no more.
///
/// Confined to the worker's thread. Nodes, lanes and chunks are slots of growing tables, linked by index; nothing is
/// allocated per record once the tables have grown.
struct RecordQueue {
    private static let none: Int32 = -1

    private struct Node {
        var record: SinkRecord
        var chunk: Int32
        var lane: Int32
        /// The next one of the lane; of free nodes the next free one.
        var next: Int32
        var older: Int32
        var newer: Int32
    }

    private struct Lane {
        var key: UInt64
        var head: Int32 = -1
        var tail: Int32 = -1
        var count: Int32 = 0
        /// Whether a batch with records of this lane is out.
        var isHeld = false
        var isReady = false
        /// The next ready lane; of free lanes the next free one.
        var next: Int32 = -1
    }

    private var nodes: [Node] = []
    private var freeNode = none
    private var lanes: [Lane] = []
    private var freeLane = none
    private var laneOfKey: [UInt64: Int32] = [:]
    private var readyHead = none
    private var readyTail = none
    private var oldest = none
    private var newest = none
    private var chunks: [RecordChunk?] = []
    private var freeChunks: [Int32] = []
    /// Chunks without live records, to be taken by the owner.
    var spent: [RecordChunk] = []

    /// Whether a lane gives one batch at a time.
    private let holdsLanes: Bool
    /// Whether lanes are told apart by key.
    private let hasKeys: Bool

    private(set) var count = 0
    private(set) var bytes = 0
    /// Records in lanes that give none now.
    private var heldRecords = 0

    init(order: DeliveryOrder) {
        switch order {
        case .none: (holdsLanes, hasKeys) = (false, false)
        case .total: (holdsLanes, hasKeys) = (true, false)
        case .client, .topic, .key: (holdsLanes, hasKeys) = (true, true)
        }
    }

    /// Records that could be delivered now.
    var readyCount: Int { count - heldRecords }
    var hasReady: Bool { readyHead != Self.none }

    /// When the oldest record was handed over.
    var oldestEnqueuedAt: Int64? {
        guard oldest != Self.none else { return nil }
        return chunks[Int(nodes[Int(oldest)].chunk)]?.enqueuedAt
    }

    mutating func admit(_ chunk: RecordChunk) {
        guard let start = chunk.buffer.bytes.baseAddress else {
            spent.append(chunk)
            return
        }
        let slot = store(chunk)
        var offset = 0
        while offset < chunk.buffer.count {
            let record = SinkRecord(start: start + offset)
            let header = record.header
            offset += Int(header.length)
            append(record, chunk: slot, key: header.orderKey)
            bytes += Int(header.length)
            chunk.live += 1
        }
    }

    /// Moves ready records into an empty batch.
    /// - Parameter sameTarget: whether all records of a batch must agree in target and headers.
    mutating func fill(_ batch: SinkBatch, maxMessages: Int, maxBytes: Int, sameTarget: Bool) {
        var passed = 0
        var firstPassed = Self.none
        while batch.count < maxMessages, readyHead != Self.none, readyHead != firstPassed, passed < 64 {
            let lane = popReady()
            let head = lanes[Int(lane)].head
            guard head != Self.none else {
                // Its records were dropped while it stood in the list.
                free(lane: lane)
                continue
            }
            guard fits(nodes[Int(head)].record, batch, maxBytes, sameTarget) else {
                if firstPassed == Self.none { firstPassed = lane }
                passed += 1
                pushReady(lane)
                continue
            }
            take(from: lane, into: batch, maxMessages, maxBytes, sameTarget)
            if holdsLanes {
                lanes[Int(lane)].isHeld = true
                heldRecords += Int(lanes[Int(lane)].count)
            } else if lanes[Int(lane)].count > 0 {
                pushReady(lane)
                // The only lane, and what comes next does not fit.
                if batch.count < maxMessages { return }
            }
        }
    }

    /// The batch is over: its lanes give again.
    mutating func release(_ items: ArraySlice<SinkBatch.Item>, isLast: Bool) {
        for item in items {
            if item.chunk >= 0 { releaseChunk(item.chunk) }
            guard isLast else { continue }
            let lane = Int(item.lane)
            guard lanes[lane].isHeld else { continue }
            lanes[lane].isHeld = false
            heldRecords -= Int(lanes[lane].count)
            if lanes[lane].count > 0 { pushReady(item.lane) } else { free(lane: item.lane) }
        }
    }

    /// One reference less to a chunk.
    mutating func releaseChunk(_ slot: Int32) {
        guard let chunk = chunks[Int(slot)] else { return }
        chunk.live -= 1
        guard chunk.live == 0 else { return }
        chunks[Int(slot)] = nil
        freeChunks.append(slot)
        spent.append(chunk)
    }

    /// Takes the oldest record out, which is always the head of its lane.
    /// - Parameter body: is given the record before its memory goes.
    mutating func dropOldest(_ body: (SinkRecord) -> Void) {
        let index = oldest
        guard index != Self.none else { return }
        let lane = nodes[Int(index)].lane
        let node = removeHead(of: lane)
        if lanes[Int(lane)].isHeld { heldRecords -= 1 }
        body(node.record)
        releaseChunk(node.chunk)
        // A lane that is ready stays in the list and is skipped when it is found empty.
        if lanes[Int(lane)].count == 0, !lanes[Int(lane)].isHeld, !lanes[Int(lane)].isReady { free(lane: lane) }
    }
}

// Lanes and nodes.
extension RecordQueue {
    private func fits(_ record: SinkRecord, _ batch: SinkBatch, _ maxBytes: Int, _ sameTarget: Bool) -> Bool {
        guard let first = batch.items.first?.record else { return true }
        guard batch.bytes + record.length <= maxBytes else { return false }
        return !sameTarget
            || (compareBytes(record.target, first.target) == 0 && compareBytes(record.headers, first.headers) == 0)
    }

    private mutating func take(
        from lane: Int32, into batch: SinkBatch, _ maxMessages: Int, _ maxBytes: Int, _ sameTarget: Bool
    ) {
        while batch.count < maxMessages, lanes[Int(lane)].head != Self.none {
            let record = nodes[Int(lanes[Int(lane)].head)].record
            guard fits(record, batch, maxBytes, sameTarget) else { return }
            let node = removeHead(of: lane)
            let enqueuedAt = chunks[Int(node.chunk)]?.enqueuedAt ?? 0
            batch.enqueuedAt = batch.items.isEmpty ? enqueuedAt : min(batch.enqueuedAt, enqueuedAt)
            batch.bytes += record.length
            batch.items.append(SinkBatch.Item(record: record, chunk: node.chunk, lane: lane))
        }
    }

    private mutating func append(_ record: SinkRecord, chunk: Int32, key: UInt64) {
        let lane = laneIndex(key)
        let index = freeNode == Self.none ? Int32(nodes.count) : freeNode
        let node = Node(
            record: record, chunk: chunk, lane: lane, next: Self.none, older: newest, newer: Self.none)
        if freeNode == Self.none {
            nodes.append(node)
        } else {
            freeNode = nodes[Int(index)].next
            nodes[Int(index)] = node
        }
        if newest == Self.none { oldest = index } else { nodes[Int(newest)].newer = index }
        newest = index
        count += 1
        let tail = lanes[Int(lane)].tail
        if tail == Self.none { lanes[Int(lane)].head = index } else { nodes[Int(tail)].next = index }
        lanes[Int(lane)].tail = index
        lanes[Int(lane)].count += 1
        if lanes[Int(lane)].isHeld {
            heldRecords += 1
        } else if !lanes[Int(lane)].isReady {
            pushReady(lane)
        }
    }

    private mutating func removeHead(of lane: Int32) -> Node {
        let index = lanes[Int(lane)].head
        let node = nodes[Int(index)]
        lanes[Int(lane)].head = node.next
        if node.next == Self.none { lanes[Int(lane)].tail = Self.none }
        lanes[Int(lane)].count -= 1
        if node.older == Self.none { oldest = node.newer } else { nodes[Int(node.older)].newer = node.newer }
        if node.newer == Self.none { newest = node.older } else { nodes[Int(node.newer)].older = node.older }
        nodes[Int(index)].next = freeNode
        freeNode = index
        count -= 1
        bytes -= node.record.length
        return node
    }

    private mutating func laneIndex(_ key: UInt64) -> Int32 {
        let key = hasKeys ? key : 0
        if let known = laneOfKey[key] { return known }
        let index = freeLane == Self.none ? Int32(lanes.count) : freeLane
        if freeLane == Self.none {
            lanes.append(Lane(key: key))
        } else {
            freeLane = lanes[Int(index)].next
            lanes[Int(index)] = Lane(key: key)
        }
        laneOfKey[key] = index
        return index
    }

    private mutating func free(lane: Int32) {
        // The only lane of a sink without keys stays.
        guard hasKeys else { return }
        laneOfKey[lanes[Int(lane)].key] = nil
        lanes[Int(lane)].next = freeLane
        freeLane = lane
    }

    private mutating func pushReady(_ lane: Int32) {
        lanes[Int(lane)].isReady = true
        lanes[Int(lane)].next = Self.none
        if readyTail == Self.none { readyHead = lane } else { lanes[Int(readyTail)].next = lane }
        readyTail = lane
    }

    private mutating func popReady() -> Int32 {
        let lane = readyHead
        readyHead = lanes[Int(lane)].next
        if readyHead == Self.none { readyTail = Self.none }
        lanes[Int(lane)].isReady = false
        return lane
    }

    private mutating func store(_ chunk: RecordChunk) -> Int32 {
        if let slot = freeChunks.popLast() {
            chunks[Int(slot)] = chunk
            return slot
        }
        chunks.append(chunk)
        return Int32(chunks.count - 1)
    }
}
