import Buffers
import Glibc
import Storage
import Synchronization
import Testing

@Suite struct StoreTests {
    @Test func `messages, notes, metadata and table entries are there after a clean stop and a start`() throws {
        let directory = TemporaryDirectory()
        do {
            let (store, report) = try DurableStore.open(options(directory))
            #expect(report.findings.isEmpty && report.records == 0)
            let batch = store.makeBatch()
            let queue = try batch.makeQueue(store, name: "client-1", metadata: "first")
            #expect(try batch.append("a", to: queue, note: 7) == 0)
            try batch.append("b", to: queue, note: .max)
            try batch.append("", to: queue)
            batch.remove(1, from: queue)
            try batch.put("topic", "old")
            try batch.put("topic", "new")
            try batch.put("gone", "x")
            batch.delete("gone")
            Array("second".utf8).withUnsafeBytes { try? batch.setMetadata($0, of: queue) }
            try store.commit(batch)
            #expect(batch.isEmpty)
            store.close()
        }
        for _ in 0..<3 {
            let (store, report) = try DurableStore.open(options(directory))
            defer { store.close() }
            #expect(report.findings.isEmpty && report.usedSnapshot)
            let queue = try #require(store.queues().first)
            #expect(queue.name == Array("client-1".utf8))
            #expect(try store.metadata(of: queue) == Array("second".utf8))
            #expect(queue.nextPosition == 3)
            #expect(
                try store.messages(of: queue) == [
                    .init(position: 0, note: 7, body: "a"), .init(position: 2, note: 0, body: ""),
                ])
            #expect(try store.table() == ["topic": "new"])
            let (present, absent) = try Array("topic".utf8).withUnsafeBytes { key in
                (try store.value(of: key, in: 1), try store.value(of: key, in: 2))
            }
            #expect(present == Array("new".utf8) && absent == nil)
        }
    }

    @Test func `a message for several queues is stored once and read from each`() throws {
        let directory = TemporaryDirectory()
        let body = String(repeating: "x", count: 5000)
        do {
            let (store, _) = try DurableStore.open(options(directory, segmentBytes: 1 << 20))
            let batch = store.makeBatch()
            let queues = try (0..<50).map { try batch.makeQueue(store, name: "q\($0)") }
            try batch.beginMessage { $0.append(body) }
            for (index, queue) in queues.enumerated() { batch.addTarget(queue, note: UInt32(index)) }
            batch.endMessage()
            try store.commit(batch)
            #expect(try store.text(of: queues[17]) == [body])
            for queue in queues.dropLast() { batch.remove(0, from: queue) }
            try store.commit(batch)
            store.close()
        }
        let size = directory.logs.reduce(0) { $0 + directory.read($1).count }
        #expect(size < 14_000)
        let (store, _) = try DurableStore.open(options(directory))
        defer { store.close() }
        let left = store.queues().filter { store.size(of: $0).messages > 0 }
        #expect(left.count == 1)
        #expect(try store.messages(of: try #require(left.first)) == [.init(position: 0, note: 49, body: body)])
    }

    @Test func `a dropped queue is gone, with its messages, and its id is not handed out again`() throws {
        let directory = TemporaryDirectory()
        let id: UInt64
        do {
            let (store, _) = try DurableStore.open(options(directory))
            let batch = store.makeBatch()
            let queue = try batch.makeQueue(store, name: "q")
            id = queue.id
            try batch.append("a", to: queue)
            try store.commit(batch)
            batch.drop(queue)
            try store.commit(batch)
            #expect(store.queues().isEmpty)
            store.close()
        }
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.findings.isEmpty && store.queues().isEmpty)
        #expect(store.makeQueueID() > id)
    }

    @Test func `reading is paged and goes on where it ended`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory, segmentBytes: 65536))
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        for index in 0..<1000 {
            try batch.append("\(index) " + String(repeating: "y", count: index), to: queue)
            if index % 7 == 0 { batch.remove(UInt64(index), from: queue) }
            if index % 100 == 0 { try store.commit(batch) }
        }
        try store.commit(batch)
        try store.log.waitForWriter()
        let reader = StoreReader(store)
        var position: UInt64 = 0
        var found: [Int] = []
        while true {
            let outcome = reader.read(queue, from: position, limit: 33) {
                found.append(Int(String(decoding: $0.body, as: UTF8.self).split(separator: " ")[0]) ?? -1)
                return found.count % 10 != 0
            }
            guard case .more(let next) = outcome else {
                #expect(outcome == .end)
                break
            }
            position = next
        }
        #expect(found == (0..<1000).filter { $0 % 7 != 0 })
        #expect(store.firstPosition(of: queue, from: 7) == 8)
    }

    @Test func `acknowledgements in a row make one record, out of order they leave the rest`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory, segmentBytes: 1 << 20))
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        for index in 0..<100 { try batch.append("\(index)", to: queue) }
        try store.commit(batch)
        let before = store.log.committed
        for index in 0..<50 { batch.remove(UInt64(index), from: queue) }
        for index in stride(from: 99, to: 60, by: -2) { batch.remove(UInt64(index), from: queue) }
        let last = try store.commit(batch)
        #expect(last - before == 21)
        #expect(store.size(of: queue).messages == 30)
        #expect(store.firstPosition(of: queue) == 50)
        batch.remove(0..<10_000, from: queue)
        try store.commit(batch)
        #expect(store.size(of: queue) == (0, 0))
    }

    @Test func `a batch that was discarded leaves nothing, and positions go on`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory))
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        try batch.append("lost", to: queue)
        batch.discard()
        #expect(try store.commit(batch) == 0)
        #expect(try batch.append("kept", to: queue) == 1)
        try store.commit(batch)
        #expect(try store.text(of: queue) == ["kept"])
    }

    @Test func `a format of the future is refused`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory))
        store.close()
        var bytes = directory.read(directory.logs[0])
        bytes[8] = 2
        directory.write(directory.logs[0], LogBytes.withHeaderCheck(bytes))
        unlink(directory.path + "/snapshot")
        #expect(throws: StorageError.unsupportedFormat(path: directory.path + "/" + directory.logs[0], version: 2)) {
            _ = try DurableStore.open(options(directory))
        }
    }

    @Test(arguments: Durability.allCases) func `what is acknowledgeable has been done`(_ durability: Durability) throws
    {
        let directory = TemporaryDirectory()
        let files = FaultyFiles()
        var options = options(directory)
        options.log.durability = durability
        let (store, _) = try DurableStore.open(options, files: files)
        defer { store.close() }
        let woken = Signal()
        let waiter = LogWaiter { woken.raise() }
        store.log.register(waiter)
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try batch.append("a", to: queue)
        let sequence = try store.commit(batch)
        if durability != .none {
            waiter.wait(for: sequence)
            if store.acknowledgeable < sequence { woken.wait() }
        }
        #expect(store.acknowledgeable >= sequence)
        let trace = files.trace
        switch durability {
        case .none: break
        case .process: #expect(trace.contains("write") && store.log.written >= sequence)
        case .fsync: #expect(trace.contains("sync") && trace.contains("syncDirectory"))
        }
    }

    @Test func `a producer may write by itself, and what it wrote can be read at once`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(options(directory))
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        try store.log.waitForWriter()
        for index in 0..<100 {
            try batch.append("\(index)", to: queue)
            let sequence = try store.commit(batch, writingNow: true)
            if store.acknowledgeable < sequence { try store.log.waitForWriter() }
            #expect(store.acknowledgeable >= sequence)
        }
        #expect(try store.text(of: queue) == (0..<100).map { "\($0)" })
    }

    @Test func `several producers keep their order, each message once`() throws {
        let directory = TemporaryDirectory()
        do {
            let (store, _) = try DurableStore.open(options(directory, segmentBytes: 32768))
            let threads = try (0..<4).map { number in
                try TestThread {
                    do {
                        let batch = store.makeBatch()
                        let queue = try batch.makeQueue(id: UInt64(number + 1), name: "q\(number)")
                        for index in 0..<2000 {
                            try batch.append("\(number):\(index)", to: queue)
                            if index % 13 == 0 { try store.commit(batch, writingNow: index % 2 == 0) }
                        }
                        try store.commit(batch)
                    } catch {
                        Issue.record(error)
                    }
                }
            }
            for thread in threads { thread.join() }
            store.close()
        }
        unlink(directory.path + "/snapshot")
        let (store, report) = try DurableStore.open(options(directory))
        defer { store.close() }
        #expect(report.findings.isEmpty)
        for queue in store.queues() {
            #expect(try store.text(of: queue) == (0..<2000).map { "\(queue.id - 1):\($0)" })
        }
        #expect(store.queues().count == 4)
    }
}
