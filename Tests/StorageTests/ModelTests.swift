import Buffers
import Glibc
import Storage
import Testing

/// What the store should hold, and random operations on both.
struct StoreModel {
    struct Queue: Equatable {
        var name: String
        var metadata: String
        var messages: [UInt64: String] = [:]
    }

    var queues: [UInt64: Queue] = [:]
    var table: [String: String] = [:]

    /// Compares; says where they differ first.
    func difference(from store: DurableStore) throws -> String? {
        let stored = Dictionary(uniqueKeysWithValues: store.queues().map { ($0.id, $0) })
        guard Set(stored.keys) == Set(queues.keys) else {
            return "queues \(stored.keys.sorted()) instead of \(queues.keys.sorted())"
        }
        for (id, queue) in queues {
            guard let found = stored[id] else { continue }
            if found.name != Array(queue.name.utf8) { return "name of \(id)" }
            if try store.metadata(of: found) != Array(queue.metadata.utf8) { return "metadata of \(id)" }
            let messages = try store.messages(of: found)
            let expected = queue.messages.sorted { $0.key < $1.key }
            if messages.map({ $0.position }) != expected.map({ $0.key }) {
                return "positions of \(id): \(messages.map { $0.position }) instead of \(expected.map { $0.key })"
            }
            if messages.map({ $0.body }) != expected.map({ $0.value }) { return "bodies of \(id)" }
        }
        let found = try store.table()
        return found == table ? nil : "table \(found) instead of \(table)"
    }
}

/// Random operations on a store and its model.
struct StoreDriver {
    var random: SeededRandom
    var model = StoreModel()
    private(set) var handles: [UInt64: StoredQueue] = [:]
    private var counter = 0
    private var nextID: UInt64 = 1

    init(seed: UInt64) { random = SeededRandom(seed: seed) }

    mutating func adopt(_ store: DurableStore, _ model: StoreModel) {
        self.model = model
        handles = Dictionary(uniqueKeysWithValues: store.queues().map { ($0.id, $0) })
        nextID = max(nextID, (handles.keys.max() ?? 0) + 1)
    }

    private mutating func text() -> String {
        counter += 1
        return "\(counter)/" + String(repeating: "z", count: Int.random(in: 0...200, using: &random))
    }

    mutating func step(_ batch: StoreBatch) throws {
        let known = handles.keys.sorted()
        let dice = Int.random(in: 0..<100, using: &random)
        if known.isEmpty || (dice < 3 && known.count < 12) {
            let queue = try batch.makeQueue(id: nextID, name: "n\(nextID)", metadata: "m\(nextID)")
            handles[nextID] = queue
            model.queues[nextID] = .init(name: "n\(nextID)", metadata: "m\(nextID)")
            nextID += 1
        } else if dice < 45 {
            let targets = Set(
                (0..<Int.random(in: 1...4, using: &random)).compactMap { _ in known.randomElement(using: &random) })
            let body = text()
            try batch.beginMessage { $0.append(body) }
            for id in targets.sorted() {
                guard let queue = handles[id] else { continue }
                let position = batch.addTarget(queue, note: UInt32(id))
                model.queues[id]?.messages[position] = body
            }
            batch.endMessage()
        } else if dice < 85 {
            guard let id = known.randomElement(using: &random), let queue = handles[id] else { return }
            let positions = (model.queues[id]?.messages.keys.sorted() ?? [])
            guard !positions.isEmpty else { return }
            let index = Bool.random(using: &random) ? 0 : Int.random(in: 0..<positions.count, using: &random)
            let count = Int.random(in: 1...3, using: &random)
            let range = positions[index]..<(positions[index] + UInt64(count))
            batch.remove(range, from: queue)
            for position in range { model.queues[id]?.messages[position] = nil }
        } else if dice < 87 {
            guard let id = known.randomElement(using: &random), let queue = handles[id] else { return }
            let metadata = Array(text().utf8)
            try metadata.withUnsafeBytes { try batch.setMetadata($0, of: queue) }
            model.queues[id]?.metadata = String(decoding: metadata, as: UTF8.self)
        } else if dice < 88 {
            guard let id = known.randomElement(using: &random), let queue = handles[id] else { return }
            batch.drop(queue)
            handles[id] = nil
            model.queues[id] = nil
        } else {
            let key = "k\(Int.random(in: 0..<20, using: &random))"
            if dice < 96 {
                let value = text()
                try batch.put(key, value)
                model.table[key] = value
            } else {
                batch.delete(key)
                model.table[key] = nil
            }
        }
    }
}

@Suite struct ModelTests {
    /// Small segments, so that compaction and rolling happen all the time.
    @Test(arguments: 1...12) func `random operations, copies of the directory at random instants and restarts`(
        _ seed: Int
    ) throws {
        var directory = TemporaryDirectory()
        var driver = StoreDriver(seed: UInt64(seed))
        var options = options(directory, segmentBytes: 4096)
        options.snapshotEveryBytes = seed % 3 == 0 ? 0 : 16384
        var (store, _) = try DurableStore.open(options)
        for round in 0..<12 {
            let batch = store.makeBatch()
            for _ in 0..<Int.random(in: 1...60, using: &driver.random) {
                for _ in 0..<Int.random(in: 1...20, using: &driver.random) { try driver.step(batch) }
                try store.commit(batch, writingNow: Bool.random(using: &driver.random))
            }
            #expect(try driver.model.difference(from: store) == nil, "running, round \(round)")
            // What is written must be found in a copy, whatever compaction is doing meanwhile.
            try store.log.waitForWriter()
            let isClean = Bool.random(using: &driver.random)
            if isClean { store.close() }
            let copy = directory.copy()
            if !isClean { store.close() }
            if Bool.random(using: &driver.random) { unlink(copy.path + "/snapshot") }
            directory = copy
            options.log.directory = copy.path
            let (reopened, report) = try DurableStore.open(options)
            store = reopened
            #expect(report.findings.filter { $0.isLoss }.isEmpty, "round \(round): \(report.findings)")
            #expect(try driver.model.difference(from: store) == nil, "reopened, round \(round)")
            driver.adopt(store, driver.model)
        }
        store.close()
    }
}
