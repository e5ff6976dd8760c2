import Buffers
import Glibc
import Storage
import Testing

@Suite struct DamageTests {
    private static let count = 300

    /// A store with messages whose bodies can be told from any other bytes, as a clean stop or a kill leaves it.
    private static func make(clean: Bool) throws -> TemporaryDirectory {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory, segmentBytes: 16384))
        let batch = store.makeBatch()
        let queues = try (1...3).map { try batch.makeQueue(id: UInt64($0), name: "q\($0)", metadata: "m\($0)") }
        for index in 0..<count {
            try batch.append(body(index % 3, index), to: queues[index % 3])
            if index % 10 == 0 {
                let shared = body(9, index)
                try batch.beginMessage { $0.append(shared) }
                for queue in queues { batch.addTarget(queue, note: 0) }
                batch.endMessage()
            }
            if index % 20 == 0 { try batch.put("k\(index)", body(8, index)) }
            try store.commit(batch)
        }
        try store.log.waitForWriter()
        if clean {
            store.close()
            return directory
        }
        let copy = directory.copy()
        store.close()
        return copy
    }

    private static func body(_ queue: Int, _ index: Int) -> String {
        "\(queue):\(index):" + String(repeating: Character(UnicodeScalar(97 + UInt8(index % 26))), count: 100 + index)
    }

    private struct Content: Equatable {
        var queues: [UInt64: [String]] = [:]
        var table: [String: String] = [:]
        var damagedReads = 0
    }

    private static func content(_ store: DurableStore) throws -> Content {
        var content = Content()
        let reader = StoreReader(store)
        for queue in store.queues() {
            var next: UInt64 = 0
            var bodies: [String] = []
            reading: while true {
                let outcome = reader.read(queue, from: next, limit: .max) {
                    bodies.append(String(decoding: $0.body, as: UTF8.self))
                    return true
                }
                switch outcome {
                case .damaged(let position):
                    content.damagedReads += 1
                    next = position + 1
                case .pending(let position):
                    next = position
                    try store.log.waitForWriter()
                default: break reading
                }
            }
            do {
                _ = try store.metadata(of: queue)
            } catch {
                content.damagedReads += 1
            }
            content.queues[queue.id] = bodies
        }
        content.table = try store.table()
        return content
    }

    /// Everything in `found` must be in `whole`, in its order.
    private static func isPart(_ found: Content, of whole: Content) -> Bool {
        for (id, bodies) in found.queues {
            var rest = (whole.queues[id] ?? [])[...]
            for body in bodies {
                guard let index = rest.firstIndex(of: body) else { return false }
                rest = rest[(index + 1)...]
            }
        }
        return found.table.allSatisfy { whole.table[$0.key] == $0.value }
    }

    /// 1,000 in all.
    @Test(arguments: [false, true], [false, true])
    func `flips and truncations never give a wrong message and are never silent`(
        _ clean: Bool, _ keepsSnapshot: Bool
    ) throws {
        let original = try Self.make(clean: clean)
        if !keepsSnapshot { unlink(original.path + "/snapshot") }
        let whole: Content
        do {
            let copy = original.copy()
            let (store, report) = try DurableStore.open(options(copy))
            #expect(report.findings.isEmpty)
            whole = try Self.content(store)
            store.close()
        }
        #expect(whole.queues.values.reduce(0) { $0 + $1.count } == Self.count + 3 * Self.count / 10)
        var random = SeededRandom(seed: clean ? 1 : 2)
        for round in 0..<250 {
            let copy = original.copy()
            guard let name = (copy.logs + (keepsSnapshot && clean ? ["snapshot"] : [])).randomElement(using: &random)
            else { return }
            var bytes = copy.read(name)
            let isFlip = round % 5 != 0
            var atBoundary = false
            let where_ = Int.random(in: 0..<bytes.count, using: &random)
            if isFlip {
                bytes[where_] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            } else {
                bytes.removeLast(bytes.count - where_)
                // The end of what a kill leaves may be anywhere; a cut there cannot be told from it.
                atBoundary = !(clean && keepsSnapshot) && name == copy.logs.last
            }
            copy.write(name, bytes)
            let events = Events()
            var options = options(copy)
            options.log.onEvent = { events.add($0) }
            let (store, report) = try DurableStore.open(options)
            let found = try Self.content(store)
            store.close()
            let note = "round \(round): \(isFlip ? "flip" : "cut") at \(where_) of \(name)"
            #expect(Self.isPart(found, of: whole), "\(note): a wrong message")
            var same = found
            same.damagedReads = 0
            if same != whole, !atBoundary {
                let isSaid = !report.findings.isEmpty || found.damagedReads > 0 || !events.all.isEmpty
                #expect(isSaid, "\(note): silent")
            }
        }
    }

    @Test func `a torn tail is cut, said, and gone at the next start`() throws {
        let directory = try Self.make(clean: false)
        let name = try #require(directory.logs.last)
        var bytes = directory.read(name)
        let size = bytes.count
        bytes.removeLast(5)
        directory.write(name, bytes)
        unlink(directory.path + "/snapshot")
        do {
            let (store, report) = try DurableStore.open(options(directory, segmentBytes: 1 << 20))
            #expect(report.findings.map { $0.kind } == [.tornTail])
            #expect(report.findings.first?.file == directory.path + "/" + name)
            #expect(report.findings.contains { $0.isLoss } == false)
            let batch = store.makeBatch()
            let queue = try #require(store.queue(1))
            try batch.append("after", to: queue)
            try store.commit(batch)
            #expect(try store.text(of: queue).last == "after")
            store.close()
        }
        #expect(directory.read(name).count < size)
        unlink(directory.path + "/snapshot")
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.findings.isEmpty)
        #expect(try store.text(of: try #require(store.queue(1))).last == "after")
    }

    @Test func `damage in the middle is told with file and offset; reading goes on behind it, or stops when asked to`()
        throws
    {
        let directory = try Self.make(clean: false)
        unlink(directory.path + "/snapshot")
        let name = try #require(directory.logs.first)
        var bytes = directory.read(name)
        bytes[bytes.count / 2] ^= 0x10
        directory.write(name, bytes)
        var options = options(directory)
        options.log.stopsAtDamage = true
        #expect(throws: StorageError.self) { _ = try DurableStore.open(options) }
        options.log.stopsAtDamage = false
        let (store, report) = try DurableStore.open(options)
        defer { store.close() }
        let finding = try #require(report.findings.first)
        #expect(report.findings.count == 1 && finding.kind == .damaged && finding.isLoss)
        #expect(finding.file == directory.path + "/" + name)
        #expect(finding.offset <= bytes.count / 2 && bytes.count / 2 < finding.offset + finding.length)
        let content = try Self.content(store)
        #expect(content.queues.values.reduce(0) { $0 + $1.count } >= Self.count + 3 * Self.count / 10 - 3)
    }

    @Test func `bytes in a payload that look like a record are not taken for one`() throws {
        let directory = TemporaryDirectory()
        let name: String
        do {
            let (store, _) = try DurableStore.open(options(directory, segmentBytes: 1 << 20))
            let batch = store.makeBatch()
            let queue = try batch.makeQueue(id: 1, name: "q")
            try batch.append("true", to: queue)
            try store.commit(batch)
            try store.log.waitForWriter()
            name = try #require(directory.logs.first)
            // A whole segment as a message, its records and all; once more, shifted to where records begin.
            let bytes = directory.read(name)
            for shift in 0..<8 {
                let body = [UInt8](repeating: 0, count: shift) + bytes[64...]
                _ = try body.withUnsafeBytes { try batch.append($0, to: queue) }
            }
            try store.commit(batch)
            store.close()
        }
        unlink(directory.path + "/snapshot")
        var bytes = directory.read(name)
        // Damage of each record's head in turn makes the reader search inside of the payloads.
        for offset in stride(from: 64, to: bytes.count, by: 8) { bytes[offset + 4] ^= 0x40 }
        directory.write(name, bytes)
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.records == 0 && report.findings.contains { $0.isLoss })
        #expect(store.queues().isEmpty)
    }
}
