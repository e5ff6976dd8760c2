import Buffers
import Cluster
import Foundation
import Testing

@Suite struct RouteTests {
    private static let cases = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Cases/Cluster/routes")

    @Test(arguments: 1...15)
    func `all nodes come to the union of what each subscribes to`(_ seed: UInt64) throws {
        let files = try FileManager.default.contentsOfDirectory(atPath: Self.cases.path).filter {
            $0.hasSuffix(".case")
        }
        #expect(files.count >= 5)
        for file in files.sorted() {
            let scenario = try String(contentsOf: Self.cases.appending(path: file), encoding: .utf8)
            var simulation = RouteSimulation(seed: seed)
            #expect(simulation.run(scenario) == [], "\(file), seed \(seed)")
        }
    }

    @Test func `a missing delta is noticed and asked for once`() {
        var local = LocalRoutes()
        var copy = PeerRoutes()
        dump(&local, to: &copy)
        var deltas: [OutputBuffer] = []
        for number in 0..<4 {
            local.change(RouteKey(filter: "t/\(number)"), members: 1)
            if let delta = local.takeDelta() { deltas.append(delta) }
        }
        var changes: [RouteChange] = []
        #expect(copy.apply(deltas[0].bytes, changes: &changes) == .applied)
        #expect(copy.apply(deltas[2].bytes, changes: &changes) == .needsDump)
        #expect(copy.apply(deltas[3].bytes, changes: &changes) == .ignored)
        #expect(changes.map(\.key.filter) == ["t/0"])
        dump(&local, to: &copy)
        #expect(copy.count == 4)
        #expect(local.summary.withUnsafeBytes { copy.compare(with: $0) } == .equal)
    }

    @Test func `a change that is taken back before a delta is taken is not told`() {
        var local = LocalRoutes()
        local.change(RouteKey(filter: "t"), members: 1)
        local.change(RouteKey(filter: "t"), members: -1)
        #expect(local.takeDelta() == nil)
        #expect(local.version == 0)
        #expect(local.count == 0)
    }

    @Test func `100,000 subscriptions are copied in well under three seconds`() {
        var local = LocalRoutes()
        for number in 0..<100_000 { local.change(RouteKey(filter: "device/\(number)/command/+"), members: 1) }
        while local.takeDelta() != nil {}
        var copy = PeerRoutes()
        let start = ContinuousClock.now
        dump(&local, to: &copy)
        #expect(copy.count == 100_000)
        #expect(ContinuousClock.now - start < .seconds(3))
    }

    @Test func `bytes that are cut off or changed are refused as a whole or read as entries, never trusted`() {
        var random = SeededRandom(seed: 7)
        var local = LocalRoutes()
        for number in 0..<50 {
            local.change(RouteKey(filter: "a/\(number)/+", group: number % 2 == 0 ? "g" : nil), members: 1, online: 1)
        }
        guard let delta = local.takeDelta() else {
            Issue.record("there is a delta")
            return
        }
        let whole = Array(delta.bytes)
        for length in 0..<whole.count {
            var copy = PeerRoutes()
            var fresh = LocalRoutes()
            dump(&fresh, to: &copy)
            var changes: [RouteChange] = []
            let outcome = whole[..<length].withUnsafeBytes { copy.apply($0, changes: &changes) }
            if outcome == .malformed { #expect(changes.isEmpty && copy.count == 0) }
        }
        for _ in 0..<20_000 {
            var bytes = whole
            for _ in 0...Int.random(in: 0..<4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(in: .min ... .max, using: &random)
            }
            var copy = PeerRoutes()
            var fresh = LocalRoutes()
            dump(&fresh, to: &copy)
            var changes: [RouteChange] = []
            _ = bytes.withUnsafeBytes { copy.apply($0, changes: &changes) }
            #expect(copy.count <= 50)
        }
    }

    @Test(arguments: ["a/#/b", "", "a+"])
    func `a filter that no client may have is refused`(_ filter: String) {
        var local = LocalRoutes()
        local.change(RouteKey(filter: "good"), members: 1)
        local.change(RouteKey(filter: filter), members: 1)
        var copy = PeerRoutes()
        var fresh = LocalRoutes()
        dump(&fresh, to: &copy)
        var changes: [RouteChange] = []
        #expect(local.takeDelta().map { copy.apply($0.bytes, changes: &changes) } == .malformed)
        #expect(changes.isEmpty)
    }

    private func dump(_ local: inout LocalRoutes, to copy: inout PeerRoutes) {
        var (dump, batch) = local.beginDump()
        var changes: [RouteChange] = []
        _ = copy.apply(batch.bytes, changes: &changes)
        while !dump.isFinished {
            batch = local.nextChunk(of: &dump)
            _ = copy.apply(batch.bytes, changes: &changes)
        }
    }
}
