import Buffers
import Glibc
import Storage
import Testing

@Suite struct CompactionTests {
    private static func wait(_ condition: () throws -> Bool) rethrows {
        let deadline = ContinuousClock.now + .seconds(20)
        while try !condition() {
            guard ContinuousClock.now < deadline else {
                Issue.record("waited for too long")
                return
            }
            usleep(1000)
        }
    }

    @Test func `segments go as soon as nothing in them is needed`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory))
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        for _ in 0..<200 { try batch.append(String(repeating: "a", count: 400), to: queue); try store.commit(batch) }
        try store.log.waitForWriter()
        #expect(directory.logs.count > 8)
        batch.remove(0..<200, from: queue)
        try store.commit(batch)
        Self.wait { directory.logs.count <= 2 }
        #expect(store.size(of: queue) == (0, 0))
    }

    @Test
    func `one old message does not keep the log: the rest around it is given back, and all is there after a start`()
        throws
    {
        let directory = TemporaryDirectory()
        do {
            let (store, _) = try DurableStore.open(options(directory))
            let batch = store.makeBatch()
            let old = try batch.makeQueue(store, name: "old", metadata: "kept")
            let busy = try batch.makeQueue(store, name: "busy")
            try batch.append("old", to: old)
            try batch.put("topic", "value")
            for index in 0..<3000 {
                let position = try batch.append(String(repeating: "b", count: 300), to: busy)
                if index % 5 != 4 { batch.remove(position, from: busy) }
                if index % 5 == 4 { batch.remove(position - 4..<position + 1, from: busy) }
                if index % 10 == 0 { try store.commit(batch) }
            }
            try store.commit(batch)
            Self.wait { store.usage.segments <= 3 }
            #expect(try store.text(of: old) == ["old"])
            store.close()
        }
        unlink(directory.path + "/snapshot")
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.findings.isEmpty)
        let texts = try Dictionary(
            uniqueKeysWithValues: store.queues().map {
                (String(decoding: $0.name, as: UTF8.self), try store.text(of: $0))
            })
        #expect(texts == ["old": ["old"], "busy": []])
        #expect(try store.table() == ["topic": "value"])
    }

    @Test func `acknowledged messages stay so when the segment of the acknowledgement goes before that of the message`()
        throws
    {
        let directory = TemporaryDirectory()
        do {
            let (store, _) = try DurableStore.open(options(directory))
            let batch = store.makeBatch()
            // Fills the oldest segments with messages that stay, so that these are not rewritten.
            let held = try batch.makeQueue(store, name: "held")
            let queue = try batch.makeQueue(store, name: "q")
            for index in 0..<60 {
                try batch.append(String(repeating: "h", count: 400), to: held)
                if index % 6 == 0 { try batch.append("early \(index)", to: queue) }
                try store.commit(batch)
            }
            for position in [0, 2, 3, 7] as [UInt64] { batch.remove(position, from: queue) }
            // What follows is dead at once: its segments, and the acknowledgements in them, are given up.
            for _ in 0..<200 {
                let position = try batch.append(String(repeating: "x", count: 400), to: queue)
                try store.commit(batch)
                batch.remove(position, from: queue)
            }
            try store.commit(batch)
            Self.wait { store.usage.segments <= 8 }
            store.close()
        }
        unlink(directory.path + "/snapshot")
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.findings.isEmpty)
        let queue = try #require(store.queues().first { $0.name == Array("q".utf8) })
        #expect(try store.text(of: queue) == [1, 4, 5, 6, 8, 9].map { "early \($0 * 6)" })
        #expect(queue.nextPosition == 210)
    }

    @Test func `compaction under load keeps order and content`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory, segmentBytes: 32768))
        let threads = try (0..<3).map { number in
            try TestThread {
                do {
                    var random = SeededRandom(seed: UInt64(number))
                    let batch = store.makeBatch()
                    let queue = try batch.makeQueue(id: UInt64(number + 1), name: "q\(number)")
                    var live: [(UInt64, String)] = []
                    for index in 0..<6000 {
                        let body = "\(index) " + String(repeating: "c", count: Int.random(in: 0...300, using: &random))
                        live.append((try batch.append(body, to: queue), body))
                        while live.count > 50 {
                            let victim = live.remove(at: Bool.random(using: &random) ? 0 : live.count / 2)
                            batch.remove(victim.0, from: queue)
                        }
                        if index % 20 == 19 { try store.commit(batch) }
                        if index % 500 == 499 {
                            try store.log.waitForWriter()
                            #expect(try store.text(of: queue) == live.map { $0.1 })
                        }
                    }
                } catch {
                    Issue.record(error)
                }
            }
        }
        for thread in threads { thread.join() }
        Self.wait { store.usage.segments <= 12 }
        store.close()
    }
}
