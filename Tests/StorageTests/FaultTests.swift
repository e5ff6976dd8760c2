import Buffers
import Glibc
import Storage
import Synchronization
import Testing

@Suite struct FaultTests {
    /// A scripted life: queues, messages for one and many, acknowledgements, compaction. Says what was acknowledgeable.
    private struct Life {
        /// The model after each operation, with the sequence of its batch: a batch may be cut between two records.
        var states: [(sequence: UInt64, model: StoreModel)] = [(0, StoreModel())]
        var acknowledged: UInt64 = 0

        /// - Returns: when the files fail, or the script is over.
        mutating func run(_ store: DurableStore, seed: UInt64) {
            var driver = StoreDriver(seed: seed)
            let batch = store.makeBatch()
            do {
                for round in 0..<60 {
                    let first = states.count
                    for _ in 0..<8 {
                        try driver.step(batch)
                        states.append((.max, driver.model))
                    }
                    let sequence = try store.commit(batch)
                    for index in first..<states.count { states[index].sequence = sequence }
                    // Some batches are left unwritten, as at a death in full work.
                    if round % 8 != 0 { try store.log.waitForWriter() }
                    acknowledged = store.acknowledgeable
                }
            } catch {
                // The disk is gone: what was acknowledged before counts.
            }
            acknowledged = max(acknowledged, store.acknowledgeable)
        }

        /// The first state that matches, of those that an honest store may show: none older than what was acknowledged.
        func matches(_ store: DurableStore) throws -> Bool {
            let least = states.lastIndex { $0.sequence <= acknowledged } ?? 0
            for state in states[least...] where try state.model.difference(from: store) == nil { return true }
            return false
        }
    }

    private func open(_ directory: TemporaryDirectory, _ files: FaultyFiles) throws -> DurableStore {
        var options = options(directory, segmentBytes: 2048)
        options.snapshotEveryBytes = 8192
        return try DurableStore.open(options, files: files).store
    }

    /// At each changing system call in turn: writes, creations, syncs, the deletions of compaction, the snapshot's
    /// rename.
    @Test(arguments: [FaultyFiles.Fault.kill, .killAfterHalf])
    func `dead at any system call, nothing acknowledged is lost`(
        _ fault: FaultyFiles.Fault
    ) throws {
        var call = 3
        var isOver = false
        while !isOver {
            let directory = TemporaryDirectory()
            let files = FaultyFiles(faultAt: call, fault: fault)
            guard let store = try? open(directory, files) else {
                call += 1
                continue
            }
            var life = Life()
            life.run(store, seed: 5)
            store.close()
            isOver = !files.isDead
            let (again, report) = try DurableStore.open(options(directory))
            defer { again.close() }
            #expect(report.findings.filter { $0.isLoss }.isEmpty, "call \(call): \(report.findings)")
            #expect(try life.matches(again), "call \(call) of \(files.calls), \(files.trace.last ?? "")")
            call += call < 150 ? 1 : 7
        }
        #expect(call > 100)
    }

    @Test func `short writes are continued`() throws {
        let directory = TemporaryDirectory()
        let store = try open(directory, FaultyFiles(everyWriteIsShort: true))
        var life = Life()
        life.run(store, seed: 9)
        store.close()
        let (again, report) = try DurableStore.open(options(directory))
        defer { again.close() }
        #expect(report.findings.isEmpty && life.states.count > 50)
        #expect(try life.states[life.states.count - 1].model.difference(from: again) == nil)
    }

    @Test func `a write error is final: no more acknowledgements, waiters are woken, commits say so`() throws {
        let directory = TemporaryDirectory()
        let files = FaultyFiles()
        let store = try open(directory, files)
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        try store.log.waitForWriter()
        let woken = Signal()
        let waiter = LogWaiter { woken.raise() }
        store.log.register(waiter)
        files.setFault(at: files.calls + 1, .error(EIO))
        try batch.append("a", to: queue)
        let sequence = try store.commit(batch)
        waiter.wait(for: sequence)
        if store.log.admission.isEmpty { woken.wait() }
        #expect(store.acknowledgeable < sequence)
        #expect(throws: StorageError.self) { try batch.append("b", to: queue) }
        batch.remove(0, from: queue)
        #expect(throws: StorageError.self) { try store.commit(batch) }
    }

    @Test func `with fsync nothing is acknowledged between write and sync`() throws {
        let directory = TemporaryDirectory()
        let files = FaultyFiles()
        var options = options(directory)
        options.log.durability = .fsync
        let (store, _) = try DurableStore.open(options, files: files)
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        let first = try store.commit(batch)
        try store.log.sync(through: first)
        // The write works, the sync does not.
        files.setFault(at: files.calls + 2, .error(EIO))
        try batch.append("a", to: queue)
        let sequence = try store.commit(batch)
        #expect(throws: StorageError.self) { try store.log.sync(through: sequence) }
        #expect(store.log.written == sequence && store.acknowledgeable == first)
    }

    @Test func `a full disk refuses content, takes removals, says so once, and takes content again when there is room`()
        throws
    {
        let directory = TemporaryDirectory()
        let files = FaultyFiles(room: 100_000)
        let events = Events()
        var options = options(directory, segmentBytes: 16384)
        options.log.reserveBytes = 40_000
        options.log.onEvent = { events.add($0) }
        let (store, _) = try DurableStore.open(options, files: files)
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        let body = String(repeating: "f", count: 500)
        var stored: [UInt64] = []
        var refusal: StorageError?
        while refusal == nil, stored.count < 1000 {
            do {
                stored.append(try batch.append(body, to: queue))
                try store.commit(batch)
                try store.log.waitForWriter()
            } catch {
                refusal = error as? StorageError
            }
        }
        #expect(refusal == .diskFull)
        #expect(stored.count > 100 && files.room ?? 0 > 15_000)
        for position in stored.prefix(20) {
            batch.remove(position, from: queue)
            let sequence = try store.commit(batch)
            try store.log.waitForWriter()
            #expect(store.acknowledgeable >= sequence)
        }
        #expect(events.all.count { if case .diskFull = $0 { true } else { false } } == 1)
        #expect(try store.text(of: queue).count == stored.count - 20)

        let clock = ContinuousClock.now
        files.room = 1_000_000
        while store.log.admission.contains(.diskFull) { sched_yield() }
        #expect(ContinuousClock.now - clock < .seconds(5))
        #expect(events.all.count { if case .diskRoom = $0 { true } else { false } } == 1)
        try batch.append("again", to: queue)
        try store.commit(batch)
        #expect(try store.text(of: queue).last == "again")
        store.close()
        let (reopened, report) = try DurableStore.open(StoreTests.plain(directory))
        defer { reopened.close() }
        #expect(report.findings.isEmpty)
        #expect(reopened.queues().first.map { reopened.size(of: $0).messages } == stored.count - 19)
    }

    @Test func `a disk that has no byte left holds up what waits, not the store, and nothing of it is acknowledged`()
        throws
    {
        let directory = TemporaryDirectory()
        let files = FaultyFiles()
        let (store, _) = try DurableStore.open(options(directory), files: files)
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        try store.log.waitForWriter()
        files.room = 100
        try batch.append(String(repeating: "g", count: 1000), to: queue)
        let sequence = try store.commit(batch)
        while !store.log.admission.contains(.diskFull) { sched_yield() }
        #expect(store.acknowledgeable < sequence)
        #expect(throws: StorageError.diskFull) { try batch.append("h", to: queue) }
        #expect(StoreReader(store).read(queue, limit: 9) { _ in true } == .pending(at: 0))
        files.room = 100_000
        try store.log.waitForWriter()
        #expect(store.acknowledgeable >= sequence)
        while store.log.admission.contains(.diskFull) { sched_yield() }
        files.room = 0
        try batch.append("lost", to: queue)
        try store.commit(batch)
        store.close()
        let (reopened, report) = try DurableStore.open(options(directory))
        defer { reopened.close() }
        #expect(report.findings.filter { $0.isLoss }.isEmpty)
        #expect(reopened.queues().first.map { reopened.size(of: $0).messages } == 1)
    }

    @Test func `producers that are faster than the disk are refused at the bound`() throws {
        let directory = TemporaryDirectory()
        let files = FaultyFiles()
        var options = options(directory)
        options.log.pendingBytes = 10_000
        let (store, _) = try DurableStore.open(options, files: files)
        defer { store.close() }
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        try store.log.waitForWriter()
        files.room = 0
        var count = 0
        var refusal: StorageError?
        while refusal == nil, count < 100 {
            do {
                try batch.append(String(repeating: "g", count: 1000), to: queue)
                try store.commit(batch)
                count += 1
            } catch {
                refusal = error as? StorageError
            }
        }
        #expect(refusal == .backlog || refusal == .diskFull)
        #expect(count <= 10)
        files.room = nil
        try store.log.waitForWriter()
        while !store.log.admission.isEmpty { sched_yield() }
        try batch.append("again", to: queue)
    }
}

/// Events as they came.
final class Events: Sendable {
    private let events = Mutex<[StorageEvent]>([])
    func add(_ event: StorageEvent) { events.withLock { $0.append(event) } }
    var all: [StorageEvent] { events.withLock { $0 } }
}

extension StoreTests {
    static func plain(_ directory: TemporaryDirectory) -> StoreOptions {
        var options = StoreOptions(directory: directory.path)
        options.log.reserveBytes = 0
        return options
    }
}
