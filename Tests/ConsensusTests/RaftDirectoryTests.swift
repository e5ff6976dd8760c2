import Consensus
import Glibc
import Testing

@Suite("Raft directory", .serialized) struct RaftDirectoryTests {
    /// A lone node that has written some entries and snapshots, stopped.
    private func stopped() async throws -> TestCluster {
        let cluster = try await TestCluster.make(1)
        for number in 0..<100 { _ = try await cluster.propose([1, UInt8(number)]).get() }
        cluster.stop(1)
        return cluster
    }

    private func logFiles(_ cluster: TestCluster, _ matches: (String) -> Bool) -> [String] {
        let folder = cluster.directory(1) + "/meta/log"
        guard let listing = opendir(folder) else { return [] }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            names.append(
                withUnsafeBytes(of: entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
        }
        return names.filter(matches).sorted().map { "\(folder)/\($0)" }
    }

    private func flip(_ path: String, at offset: Int) {
        let descriptor = open(path, O_RDWR)
        defer { close(descriptor) }
        var byte: UInt8 = 0
        pread(descriptor, &byte, 1, off_t(offset))
        byte ^= 0x10
        pwrite(descriptor, &byte, 1, off_t(offset))
    }

    private func startError(_ cluster: TestCluster) -> ConsensusStartError? {
        do { try cluster.start(1) } catch { return error as? ConsensusStartError }
        cluster.stop(1)
        return nil
    }

    @Test func `A flipped bit in a snapshot refuses the start, naming file and offset`() async throws {
        let cluster = try await stopped()
        let file = try #require(logFiles(cluster, { $0.hasPrefix("snapshot-") && !$0.hasSuffix(".meta") }).last)
        flip(file, at: 60)
        let error = try #require(startError(cluster))
        #expect(error.kind == .damaged)
        #expect(error.description.contains("snapshot-") && error.description.contains("offset 40"))
        flip(file, at: 60)
        flip(file + ".meta", at: 20)
        #expect(startError(cluster)?.kind == .damaged)
        flip(file + ".meta", at: 20)
        #expect(startError(cluster) == nil)
    }

    @Test func `A flipped bit in a closed segment refuses the start`() async throws {
        let cluster = try await stopped()
        let segments = logFiles(cluster) { $0.first?.isNumber == true }
        let file = try #require(segments.last)
        flip(file, at: 40)
        let error = try #require(startError(cluster))
        #expect(error.kind == .damaged, "\(error)")
    }

    @Test func `A log that ends before what was applied, or is gone, refuses the start`() async throws {
        let cluster = try await stopped()
        for file in logFiles(
            cluster, { $0.first?.isNumber == true || $0.hasPrefix("open-") || $0.hasPrefix("snapshot-") })
        { unlink(file) }
        #expect(startError(cluster)?.kind == .entriesMissing)
        unlink(cluster.directory(1) + "/meta/state")
        for file in logFiles(cluster, { $0.hasPrefix("metadata") }) { unlink(file) }
        #expect(startError(cluster)?.kind == .entriesMissing)
    }

    @Test func `A survivor that is recovered leads alone, with all it had applied`() async throws {
        let cluster = try await TestCluster.make(3)
        defer { cluster.end() }
        for number in 0..<50 { _ = try await cluster.propose([2, UInt8(number)]).get() }
        #expect(await eventually { cluster.running.allSatisfy { $0.machine.state.count == 50 } })
        for id in UInt64(1)...3 { cluster.stop(id) }
        let inspection = try RaftDirectory.inspect(cluster.configuration(2))
        #expect(inspection.members.count == 3 && inspection.lastIndex > 0)
        try RaftDirectory.recover(
            cluster.configuration(2), members: [ConsensusMember(id: 2, name: "node2", role: .voter)])
        try cluster.start(2)
        #expect(await eventually { cluster.leader?.status.members.count == 1 })
        #expect(cluster[2]?.machine.state.count == 50)
    }

    @Test func `An identity is kept, and a wiped directory gets another`() throws {
        let folder = TestCluster().folder
        let first = try NodeIdentity.readOrMake(in: folder)
        #expect(try NodeIdentity.readOrMake(in: folder) == first)
        unlink(folder + "/identity")
        #expect(try NodeIdentity.readOrMake(in: folder).id != first.id)
        flip(folder + "/identity", at: 4)
        #expect(throws: ConsensusStartError.self) { try NodeIdentity.read(from: folder) }
    }
}
