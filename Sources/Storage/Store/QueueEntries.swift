import Glibc

/// Where a queue's message lies. Zero location: none.
struct QueueEntry: BitwiseCopyable {
    /// ``LogLocation``, with bit 63 set when the message may be shared with other queues.
    var place: UInt64
    /// Bytes to be read there.
    var length: UInt32
    var note: UInt32

    static let sharedBit: UInt64 = 1 << 63
    /// What one queue's share in a shared message takes in its record.
    static let targetBytes = 20

    var isLive: Bool { place != 0 }
    var isShared: Bool { place & Self.sharedBit != 0 }
    var location: LogLocation { LogLocation(rawValue: place & ~Self.sharedBit) }
}

/// The messages of one queue by position: 16 bytes each, in blocks of 32 positions that are freed when nothing in them
/// lives. Positions need not be dense, and come mostly at the end.
struct QueueEntries: ~Copyable {
    static let blockSize = 32

    /// A block in memory: its number (position / 32), how many entries live, then the entries.
    struct Block {
        let memory: UnsafeMutableRawPointer
        var number: UInt64 { memory.load(as: UInt64.self) }
        var live: Int {
            get { memory.load(fromByteOffset: 8, as: Int.self) }
            nonmutating set { memory.storeBytes(of: newValue, toByteOffset: 8, as: Int.self) }
        }
        var entries: UnsafeMutablePointer<QueueEntry> {
            (memory + 16).assumingMemoryBound(to: QueueEntry.self)
        }

        static let byteCount = 16 + QueueEntries.blockSize * MemoryLayout<QueueEntry>.stride

        init(number: UInt64) {
            memory = .allocate(byteCount: Self.byteCount, alignment: 8)
            memset(memory, 0, Self.byteCount)
            memory.storeBytes(of: number, as: UInt64.self)
        }
    }

    /// In ascending order from `head` on; what stands before is freed already.
    private(set) var blocks: ContiguousArray<Block> = []
    private(set) var head = 0
    private(set) var count = 0
    /// Bytes of the records, each queue's part of them.
    private(set) var bytes = 0

    deinit { for block in blocks[head...] { block.memory.deallocate() } }

    /// The index of the first block whose number is not below.
    private func lowerBound(_ number: UInt64) -> Int {
        var low = head
        var high = blocks.count
        guard low < high else { return low }
        // The first and the last block are what is nearly always asked for.
        if blocks[high - 1].number < number { return high }
        if blocks[low].number >= number { return low }
        if blocks[high - 1].number == number { return high - 1 }
        while low < high {
            let middle = (low + high) / 2
            if blocks[middle].number < number { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// - Returns: what stood there.
    @discardableResult
    mutating func set(_ position: UInt64, _ entry: QueueEntry) -> QueueEntry? {
        let number = position / UInt64(Self.blockSize)
        let index = lowerBound(number)
        if index == blocks.count || blocks[index].number != number {
            blocks.insert(Block(number: number), at: index)
        }
        let block = blocks[index]
        let slot = block.entries + Int(position % UInt64(Self.blockSize))
        let old = slot.pointee
        slot.pointee = entry
        bytes += Int(entry.length)
        if old.isLive {
            bytes -= Int(old.length)
            return old
        }
        block.live += 1
        count += 1
        return nil
    }

    func get(_ position: UInt64) -> QueueEntry? {
        let number = position / UInt64(Self.blockSize)
        let index = lowerBound(number)
        guard index < blocks.count, blocks[index].number == number else { return nil }
        let entry = blocks[index].entries[Int(position % UInt64(Self.blockSize))]
        return entry.isLive ? entry : nil
    }

    /// Takes out whatever lives in `positions`.
    mutating func clear(_ positions: Range<UInt64>, _ body: (QueueEntry) -> Void) {
        guard !positions.isEmpty else { return }
        let size = UInt64(Self.blockSize)
        var index = lowerBound(positions.lowerBound / size)
        var emptied = false
        while index < blocks.count, blocks[index].number * size < positions.upperBound {
            let block = blocks[index]
            let base = block.number * size
            let from = max(positions.lowerBound, base) - base
            let to = min(positions.upperBound - base, size)
            for slot in Int(from)..<Int(to) where block.entries[slot].isLive {
                let entry = block.entries[slot]
                block.entries[slot].place = 0
                block.live -= 1
                count -= 1
                bytes -= Int(entry.length)
                body(entry)
            }
            emptied = emptied || block.live == 0
            index += 1
        }
        if emptied { removeEmpty(before: index) }
    }

    private mutating func removeEmpty(before end: Int) {
        while head < end, blocks[head].live == 0 {
            blocks[head].memory.deallocate()
            head += 1
        }
        if head == blocks.count {
            blocks = []
            head = 0
        } else {
            if head >= 32, head > blocks.count / 2 {
                blocks.removeFirst(head)
                head = 0
            }
            removeEmptyInside()
        }
    }

    /// Blocks in the middle whose messages were all acknowledged while an older one waits.
    private mutating func removeEmptyInside() {
        var kept = head
        for index in head..<blocks.count {
            if blocks[index].live == 0 {
                blocks[index].memory.deallocate()
            } else {
                blocks[kept] = blocks[index]
                kept += 1
            }
        }
        blocks.removeLast(blocks.count - kept)
    }

    /// Those from `position` on, in order, until `body` returns false.
    func forEach(from position: UInt64 = 0, _ body: (UInt64, QueueEntry) -> Bool) {
        let size = UInt64(Self.blockSize)
        for index in lowerBound(position / size)..<blocks.count {
            let block = blocks[index]
            let base = block.number * size
            for slot in 0..<Self.blockSize where block.entries[slot].isLive && base + UInt64(slot) >= position {
                if !body(base + UInt64(slot), block.entries[slot]) { return }
            }
        }
    }

    var first: UInt64? {
        var found: UInt64?
        forEach { position, _ in
            found = position
            return false
        }
        return found
    }

    /// The stretches without a message between the first one and `end`, for the record that stands for all removals.
    func gaps(upTo end: UInt64) -> [Range<UInt64>] {
        var gaps: [Range<UInt64>] = []
        var expected = first ?? end
        forEach { position, _ in
            if position > expected { gaps.append(expected..<position) }
            expected = position + 1
            return true
        }
        if expected < end { gaps.append(expected..<end) }
        return gaps
    }
}
