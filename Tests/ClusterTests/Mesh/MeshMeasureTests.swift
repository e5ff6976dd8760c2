import Cluster
import Glibc
import Testing

/// What a message costs that crosses a link. Prints, and asserts only that all have come: the machine is not quiet.
@Suite("What a lane costs", .timeLimit(.minutes(1))) struct MeshMeasureTests {
    private let fixture = MeshFixture()

    private func cpuMicroseconds() -> Double {
        var usage = rusage()
        getrusage(0 /* RUSAGE_SELF */, &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    @Test(arguments: [1, 16, 64, 256])
    func `Messages of 256 bytes at saturation`(perBatch: Int) async throws {
        let (n1, n2) = (try fixture.node("n1@h"), try fixture.node("n2@h", keepsBytes: false))
        try await fixture.join(n1, n2)
        let slot = n1.slot(of: n2)
        let message = [UInt8](repeating: 0x55, count: 256)
        let batches = min(40_000, 400_000 / perBatch)
        let (begin, before) = (ContinuousClock.now, cpuMicroseconds())
        for _ in 0..<batches {
            let buffer = n1.mesh.takeBuffer()
            for _ in 0..<perBatch { buffer.append(message) }
            #expect(n1.mesh.post(buffer, to: slot, lane: .messages) != 0)
            while n1.mesh.backlog(of: slot) > 8 << 20 { sched_yield() }
        }
        let total = batches * perBatch
        try await eventually("all have come", seconds: 30) { n2.owner.bytes == total * 256 }
        let (cpu, time) = (cpuMicroseconds() - before, ContinuousClock.now - begin)
        let seconds = Double(time.components.seconds) + Double(time.components.attoseconds) / 1e18
        let (sent, writes) = (n1.mesh.counters.batchesSent, n1.mesh.counters.writes)
        print(
            "mesh: \(perBatch) messages a batch: \(Double(Int(cpu / Double(total) * 1000)) / 1000) CPU-us per message (both ends), "
                + "\(Int(Double(total) / seconds)) messages/s, \(Int(Double(sent) / seconds)) batches/s, "
                + "\(sent / max(1, writes)) batches a write")
    }
}
