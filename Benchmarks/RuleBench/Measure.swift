import Buffers
import Glibc
import RuleEngine

/// What repeats one evaluation, and how its time is taken: processor time of this thread, so that what else runs on the
/// machine counts little.
struct Measure {
    /// Each row's figure is the median of so many runs.
    var runs = 5
    var nanosecondsPerRun = 40_000_000.0

    static func processorTime() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }

    /// Nanoseconds for one call.
    func median(_ body: () -> Void) -> Double {
        for _ in 0..<1_000 { body() }
        let trial = time(500, body)
        let count = max(100, Int(nanosecondsPerRun / max(1, trial)))
        return (0..<runs).map { _ in time(count, body) }.sorted()[runs / 2]
    }

    private func time(_ count: Int, _ body: () -> Void) -> Double {
        let start = Self.processorTime()
        for _ in 0..<count { body() }
        return Double(Self.processorTime() - start) / Double(count)
    }

    /// Nanoseconds for one call when the caches near the processor hold something else, as between the work of a broker
    /// that is not busy: four megabytes are touched before each call. The median of the calls leaves out those that
    /// were interrupted; what taking the time costs is measured in the same place and subtracted.
    func medianCold(_ body: () -> Void) -> Double {
        let count = runs * 1_000
        let memory = ColdMemory()
        var figures: [Int] = []
        for _ in 0..<count {
            memory.touch()
            _ = Self.time()
            let first = Self.time()
            let second = Self.time()
            body()
            let third = Self.time()
            figures.append(third - second - (second - first))
        }
        return Double(figures.sorted()[count / 2])
    }

    private static func time() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// Four megabytes that are no part of the work.
final class ColdMemory {
    private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 64)

    init() { bytes.initializeMemory(as: UInt8.self, repeating: 1) }

    deinit { bytes.deallocate() }

    func touch() {
        var offset = 0
        while offset < bytes.count {
            bytes[offset] &+= 1
            offset += 64
        }
    }
}

/// Rules on one topic and a message for them: evaluates, and writes each row as JSON.
final class Evaluation {
    private let group: RuleGroup
    private let context = EvaluationContext(node: "sluice@127.0.0.1")
    private let rows = RowList()
    private let output = OutputBuffer(capacity: 16 * 1024)
    let event: Publish
    private(set) var rowCount = 0
    private(set) var failures = 0

    init(_ sql: [String], _ event: Publish) {
        context.nowNanoseconds = 1_700_000_000_123_000_000
        self.event = event
        group = RuleGroup(
            sql.enumerated().map { number, sql in
                let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "rule-\(number)")
                guard let rule else { fatalError("\(sql): \(diagnostics)") }
                return rule
            })
    }

    func run() {
        context.arena.reset()
        output.removeAll()
        group.evaluate(event, in: context, rows: rows) { _, outcome in
            guard case .passed(let count) = outcome else {
                if case .failed = outcome { failures += 1 }
                return
            }
            rowCount += count
            for index in 0..<count {
                do { try JSON.append(rows[index], to: output) } catch { failures += 1 }
            }
        }
    }

    /// The rows that the last run wrote.
    var text: String { output.description }
}
