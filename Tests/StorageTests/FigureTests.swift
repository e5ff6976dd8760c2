import Buffers
import Glibc
import Storage
import Testing

/// Figures, by hand: `STORAGE_FIGURES=1 swift test -c release --filter StorageTests.FigureTests`.
@Suite(.serialized, .enabled(if: getenv("STORAGE_FIGURES") != nil)) struct FigureTests {
    private static func cpuSeconds() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    /// Of the process, in the kernel.
    private static func systemSeconds() -> Double {
        var usage = rusage()
        getrusage(0 /* RUSAGE_SELF */, &usage)
        return Double(usage.ru_stime.tv_sec) + Double(usage.ru_stime.tv_usec) / 1e6
    }

    private static func wallSeconds() -> Double {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
    }

    private static func residentMegabytes() -> Double {
        let descriptor = open("/proc/self/statm", O_RDONLY)
        defer { close(descriptor) }
        var text = [UInt8](repeating: 0, count: 200)
        let count = text.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        let fields = String(decoding: text.prefix(max(0, count)), as: UTF8.self).split(separator: " ")
        return fields.count > 1 ? (Double(fields[1]) ?? 0) * 4096 / 1e6 : 0
    }

    private static func options(_ directory: TemporaryDirectory) -> StoreOptions {
        StoreOptions(directory: directory.path)
    }

    @Test(arguments: [1, 10, 100]) func `appending 300-byte records`(_ batchSize: Int) throws {
        for writingNow in [false, true] {
            let directory = TemporaryDirectory()
            let (store, _) = try DurableStore.open(Self.options(directory))
            let batch = store.makeBatch()
            let queues = try (0..<1000).map { try batch.makeQueue(store, name: "q\($0)") }
            try store.commit(batch)
            try store.log.waitForWriter()
            let body = [UInt8](repeating: 7, count: 300)
            let count = batchSize == 1 ? 100_000 : 500_000
            let (cpu, system, wall) = (Self.cpuSeconds(), Self.systemSeconds(), Self.wallSeconds())
            var encoding = 0.0
            try body.withUnsafeBytes { body in
                for index in 0..<count {
                    while !store.log.admission.isEmpty { try store.log.waitForWriter() }
                    try batch.append(body, to: queues[index % 1000])
                    if index % batchSize == batchSize - 1 { try store.commit(batch, writingNow: writingNow) }
                }
            }
            encoding = Self.wallSeconds() - wall
            try store.log.waitForWriter()
            let micros = (Self.cpuSeconds() - cpu) * 1e6 / Double(count)
            let kernel = (Self.systemSeconds() - system) * 1e6 / Double(count)
            let way = writingNow ? "written by the producer" : "by the writer thread"
            print("append 300 B, batches of \(batchSize), \(way): \(micros) CPU-µs each (kernel \(kernel)),")
            print("    \(Int(Double(count) / encoding))/s")
            store.close()
        }
    }

    @Test func `10,000 queues of 500 messages of 256 bytes`() throws {
        let directory = TemporaryDirectory()
        let before = Self.residentMegabytes()
        do {
            let (store, _) = try DurableStore.open(Self.options(directory))
            let batch = store.makeBatch()
            let queues = try (0..<10_000).map { try batch.makeQueue(store, name: "client-\($0)") }
            let body = [UInt8](repeating: 9, count: 256)
            let start = Self.cpuSeconds()
            try body.withUnsafeBytes { body in
                for round in 0..<500 {
                    for (index, queue) in queues.enumerated() {
                        while !store.log.admission.isEmpty { try store.log.waitForWriter() }
                        try batch.append(body, to: queue, note: UInt32(round))
                        if index % 100 == 99 { try store.commit(batch) }
                    }
                }
            }
            try store.log.waitForWriter()
            print(
                "5 M appended: \((Self.cpuSeconds() - start) / 5) CPU-µs each;",
                "RSS \(Self.residentMegabytes()) MB, \(before) before")
            let reader = StoreReader(store)
            let wall = Self.wallSeconds()
            var read = 0
            for queue in queues.prefix(1000) {
                var expected: UInt64 = 0
                let outcome = reader.read(queue, limit: .max) {
                    #expect($0.position == expected)
                    expected += 1
                    read += 1
                    return true
                }
                #expect(outcome == .end)
            }
            print("replay of interleaved queues: \(Int(Double(read) / (Self.wallSeconds() - wall)))/s")
            let closing = Self.wallSeconds()
            store.close()
            print("close with snapshot: \(Self.wallSeconds() - closing) s")
        }
        for snapshot in [true, false] {
            if !snapshot { unlink(directory.path + "/snapshot") }
            let wall = Self.wallSeconds()
            let (store, report) = try DurableStore.open(Self.options(directory))
            print(
                "open \(snapshot ? "with" : "without") snapshot: \(Self.wallSeconds() - wall) s,",
                "\(report.records) records",
                "RSS \(Self.residentMegabytes()) MB")
            #expect(report.findings.isEmpty && store.queues().count == 10_000)
            store.close()
        }
    }

    @Test func `one message in, out and acknowledged, as for a session that is online`() throws {
        let directory = TemporaryDirectory()
        let (store, _) = try DurableStore.open(Self.options(directory))
        let batch = store.makeBatch()
        let queue = try batch.makeQueue(store, name: "q")
        try store.commit(batch)
        let body = [UInt8](repeating: 7, count: 300)
        let count = 1_000_000
        let cpu = Self.cpuSeconds()
        try body.withUnsafeBytes { body in
            for index in 0..<count {
                while !store.log.admission.isEmpty { try store.log.waitForWriter() }
                let position = try batch.append(body, to: queue)
                if index % 32 == 31 {
                    try store.commit(batch)
                    batch.remove((position - 31)..<(position + 1), from: queue)
                }
            }
        }
        try store.commit(batch)
        try store.log.waitForWriter()
        print(
            "append and acknowledge, batches of 32: \((Self.cpuSeconds() - cpu) * 1e6 / Double(count)) CPU-µs;",
            "\(store.usage.segments) segments left")
        store.close()
    }
}
