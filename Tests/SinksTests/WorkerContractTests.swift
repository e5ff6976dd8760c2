import Foundation
import RuleEngine
import Sinks
import Synchronization
import Testing

/// What the worker does for any sink, seen through one whose verdicts a test decides.
@Suite struct WorkerContractTests {
    /// Answers each batch as it is told. `@unchecked Sendable`: the closure is the test's and locks for itself.
    final class ScriptedSink: Sink {
        let script: @Sendable ([Int], Int) -> WriteOutcome
        init(_ script: @escaping @Sendable ([Int], Int) -> WriteOutcome) { self.script = script }

        func write(_ batch: SinkBatch, now: Int64) -> WriteOutcome {
            let numbers = (0..<batch.count).map { index in
                Int(String(decoding: batch[index].body.filter { $0 >= 0x30 && $0 <= 0x39 }, as: UTF8.self)) ?? -1
            }
            return script(numbers, batch.attempt)
        }
    }

    private func rig(
        _ change: (inout WorkerSettings) -> Void = { _ in },
        _ script: @escaping @Sendable ([Int], Int) -> WriteOutcome
    ) throws -> SinkRig {
        var settings = WorkerSettings.file
        settings.batch.maxWait = .zero
        settings.batch.maxMessages = 10
        settings.retry.initial = .milliseconds(2)
        settings.retry.max = .milliseconds(10)
        change(&settings)
        return try SinkRig(
            SinkDefinition(
                name: "s", type: "scripted", worker: settings, renderer: ConsoleRenderer(),
                kind: .blocking { _ in ScriptedSink(script) }))
    }

    private func send(_ rig: SinkRig, _ numbers: Range<Int>, client: String = "c") throws {
        for number in numbers { try rig.append([("n", .number(number))], client: client, rule: "r") }
        rig.appender.handOver()
    }

    @Test func `records arrive in batches and in order`() async throws {
        let seen = Mutex<[[Int]]>([])
        let rig = try rig { numbers, _ in
            seen.withLock { $0.append(numbers) }
            return .finished(.delivered)
        }
        try send(rig, 0..<95)
        await rig.settle()
        #expect(seen.withLock { $0.flatMap { $0 } } == Array(0..<95))
        #expect(seen.withLock { $0.allSatisfy { $0.count <= 10 } })
        #expect(rig.counters.success == 95)
        rig.drain()
    }

    @Test func `what arrived of a batch that failed is not sent again`() async throws {
        let seen = Mutex<[Int]>([])
        let rig = try rig { numbers, attempt in
            if attempt < 3, numbers.count > 1 {
                seen.withLock { $0 += numbers.prefix(2) }
                return .finished(.retryable(reason: "later"), delivered: 2)
            }
            seen.withLock { $0 += numbers }
            return .finished(.delivered)
        }
        try send(rig, 0..<100)
        await rig.settle()
        #expect(seen.withLock { $0 } == Array(0..<100))
        #expect(rig.counters.success == 100)
        #expect(rig.counters.addsUp)
        rig.drain()
    }

    @Test(arguments: [FullPolicy.dropOldest, .dropNewest])
    func `a full queue drops by its policy and counts it`(policy: FullPolicy) async throws {
        let isOpen = Atomic(false)
        let seen = Mutex<[Int]>([])
        let rig = try rig({
            $0.maxBytes = 20_000
            $0.onFull = policy
            $0.batch.maxMessages = 1
        }) { numbers, _ in
            guard isOpen.load(ordering: .relaxed) else { return .finished(.retryable(reason: "closed")) }
            seen.withLock { $0 += numbers }
            return .finished(.delivered)
        }
        for start in stride(from: 0, to: 1000, by: 10) {
            try send(rig, start..<start + 10)
            #expect(rig.counters.addsUp)
        }
        await eventually(60, "the bound to hold: \(rig.worker.status().bufferedBytes)") {
            rig.worker.status().bufferedBytes <= 20_000
        }
        #expect(rig.counters.droppedQueueFull > 700)
        isOpen.store(true, ordering: .relaxed)
        await rig.settle()
        #expect(rig.counters.addsUp)
        #expect(rig.counters.success + rig.counters.droppedQueueFull == 1000)
        let numbers = seen.withLock { $0 }
        #expect(numbers == numbers.sorted())
        if policy == .dropOldest {
            #expect(numbers.last == 999)
        } else {
            #expect(numbers == Array(0..<numbers.count))
        }
        rig.drain()
    }

    @Test func `a sink that hangs does not let its queue grow beyond the bound`() async throws {
        let gate = DispatchSemaphore(value: 0)
        let hangs = Atomic(false)
        let rig = try rig({ $0.maxBytes = 1 << 20 }) { _, _ in
            hangs.store(true, ordering: .relaxed)
            gate.wait()
            gate.signal()
            return .finished(.delivered)
        }
        try send(rig, 0..<10)
        await eventually(60, "the write to hang") { hangs.load(ordering: .relaxed) }
        for start in stride(from: 0, to: 40_000, by: 100) { try send(rig, start..<start + 100) }
        let status = rig.worker.status()
        #expect(status.bufferedBytes <= (1 << 20) + (1 << 18))
        #expect(status.counters.addsUp)
        #expect(status.counters.received == 40_010)
        #expect(status.counters.droppedQueueFull > 10_000)
        gate.signal()
        await rig.settle()
        #expect(rig.counters.addsUp)
        rig.drain()
    }

    @Test func `block asks publishers to slow down and drops nothing up to twice the bound`() async throws {
        let isOpen = Atomic(false)
        let rig = try rig({
            $0.maxBytes = 10_000
            $0.onFull = .block
        }) { _, _ in isOpen.load(ordering: .relaxed) ? .finished(.delivered) : .finished(.retryable(reason: "closed")) }
        var sent = 0
        while !rig.worker.isCongested, sent < 1000 {
            try send(rig, sent..<sent + 1)
            sent += 1
        }
        #expect(rig.appender.isCongested)
        #expect(rig.counters.dropped == 0)
        isOpen.store(true, ordering: .relaxed)
        await rig.settle()
        #expect(!rig.worker.isCongested)
        #expect(rig.counters.success == sent)
        rig.drain()
    }

    @Test func `records that are too old expire`() async throws {
        let rig = try rig({ $0.maxAge = .milliseconds(30) }) { _, _ in .finished(.retryable(reason: "closed")) }
        try send(rig, 0..<25)
        await rig.settle()
        #expect(rig.counters.droppedExpired == 25)
        #expect(rig.counters.addsUp)
        #expect(rig.worker.status().oldestAge == nil)
        rig.drain()
    }

    @Test func `draining delivers what is there; what comes later is counted as dropped`() async throws {
        let seen = Mutex(0)
        let rig = try rig({ $0.batch.maxWait = .seconds(60) }) { numbers, _ in
            seen.withLock { $0 += numbers.count }
            return .finished(.delivered)
        }
        try send(rig, 0..<7)
        #expect(rig.drain() == 0)
        #expect(seen.withLock { $0 } == 7)
        try send(rig, 0..<3)
        #expect(rig.counters.droppedStopped == 3)
        #expect(rig.counters.addsUp)
        #expect(rig.worker.status().state == .stopped)
    }

    @Test func `a drain that runs out of time says what is lost`() async throws {
        let rig = try rig { _, _ in .finished(.retryable(reason: "closed")) }
        try send(rig, 0..<40)
        #expect(rig.drain(0.05) == 40)
        #expect(rig.counters.droppedStopped == 40)
        #expect(rig.counters.addsUp)
    }

    @Test func `a drain does not wait for a write that hangs`() async throws {
        let gate = DispatchSemaphore(value: 0)
        let hangs = Atomic(false)
        let rig = try rig { _, _ in
            hangs.store(true, ordering: .relaxed)
            gate.wait()
            return .finished(.delivered)
        }
        try send(rig, 0..<40)
        await eventually(60, "the write to hang") { hangs.load(ordering: .relaxed) }
        let start = ContinuousClock.now
        #expect(rig.drain(0.01) == 40)
        #expect(start.duration(to: .now) < .seconds(3))
        gate.signal()
    }

    @Test func `counters add up at any time, by rule and in sum`() async throws {
        let rig = try rig({
            $0.maxBytes = 100_000
            $0.batch.maxMessages = 7
            $0.retry.maxAttempts = 2
        }) { numbers, attempt in
            switch numbers[0] % 4 {
            case 0: .finished(.delivered)
            case 1: .finished(.permanent(reason: "no"))
            case 2: .finished(attempt == 1 ? .retryable(reason: "later") : .delivered)
            default: .finished(.retryable(reason: "never"))
            }
        }
        let isDone = Atomic(false)
        let worker = rig.worker
        let samples = Task.detached {
            var count = 0
            while !isDone.load(ordering: .relaxed) {
                let status = worker.status()
                #expect(status.counters.addsUp)
                #expect(status.rules.allSatisfy { $0.counters.addsUp })
                count += 1
                await Task.yield()
            }
            return count
        }
        for start in stride(from: 0, to: 6000, by: 20) {
            for number in start..<start + 20 { try rig.append([("n", .number(number))], rule: "r\(number % 3)") }
            rig.appender.handOver()
        }
        await rig.settle()
        isDone.store(true, ordering: .relaxed)
        #expect(await samples.value > 0)
        let status = rig.worker.status()
        #expect(status.counters.received == 6000)
        #expect(status.rules.map(\.counters.received) == [2000, 2000, 2000])
        #expect(status.counters.success > 0 && status.counters.failed > 0 && status.counters.retriedSuccess > 0)
        #expect(status.counters.queuingBytes == 0)
        rig.drain()
    }
}
