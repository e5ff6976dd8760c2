import Consensus
import Glibc
import Synchronization

/// Keeps a rolling hash over all commands, so that two machines are equal when they applied the same in the same order.
final class HashMachine: StateMachine {
    struct State: Equatable {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        var count: UInt64 = 0
    }
    private let locked = Mutex(State())
    var state: State { locked.withLock { $0 } }

    func apply(index: UInt64, command: [UInt8]) -> AppliedCommand {
        if command.first == 0xff { return .unknown("operation 255") }
        return locked.withLock { state in
            for byte in command { state.hash = (state.hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
            state.count += 1
            return .result(Array(command.reversed()))
        }
    }

    func encodeSnapshot() -> [[UInt8]] {
        let state = state
        return [state.hash, state.count].map { value in withUnsafeBytes(of: value, Array.init) }
    }

    func restore(_ snapshot: [UInt8]) throws {
        guard snapshot.count == 16 else { throw ConsensusStartError(.damaged, "a state of \(snapshot.count) bytes") }
        let words = snapshot.withUnsafeBytes { bytes in
            (0..<2).map { bytes.loadUnaligned(fromByteOffset: $0 * 8, as: UInt64.self) }
        }
        locked.withLock { $0 = State(hash: words[0], count: words[1]) }
    }
}

/// Nodes in one process, whose streams are socketpairs that can be cut.
final class TestCluster: Sendable {
    struct Member {
        var node: RaftNode
        var machine: HashMachine
    }
    private struct State {
        var members: [UInt64: Member] = [:]
        var streams: [(UInt64, UInt64, Int32)] = []
        var parts: [Set<UInt64>] = []
    }
    private let state = Mutex(State())
    let folder: String

    init() {
        var template = Array("/tmp/sluice-raft-XXXXXX".utf8CString)
        folder = mkdtemp(&template).map { String(cString: $0) } ?? "/tmp/sluice-raft"
    }

    func directory(_ id: UInt64) -> String { "\(folder)/\(id)" }

    func configuration(_ id: UInt64, bootstraps: Bool = false) -> RaftConfiguration {
        var configuration = RaftConfiguration(id: id, name: "node\(id)", directory: directory(id))
        configuration.bootstraps = bootstraps
        configuration.electionMilliseconds = 300
        configuration.heartbeatMilliseconds = 30
        configuration.snapshotEntries = 30
        configuration.snapshotBytes = 0
        configuration.trailingEntries = 10
        configuration.segmentBytes = 262_144
        configuration.cacheMilliseconds = 50
        return configuration
    }

    func start(_ id: UInt64, bootstraps: Bool = false) throws {
        let machine = HashMachine()
        let node = RaftNode(configuration(id, bootstraps: bootstraps), machine: machine) {
            [unowned self] to, _, connected in
            connected(stream(from: id, to: to))
        }
        try node.start()
        state.withLock { $0.members[id] = Member(node: node, machine: machine) }
    }

    func stop(_ id: UInt64) {
        state.withLock { $0.members.removeValue(forKey: id) }?.node.stop()
    }

    func end() {
        for id in state.withLock({ Array($0.members.keys) }) { stop(id) }
        for (_, _, descriptor) in state.withLock({ $0.streams }) { close(descriptor) }
    }

    subscript(id: UInt64) -> Member? { state.withLock { $0.members[id] } }
    var running: [Member] { state.withLock { Array($0.members.values) } }
    var leader: RaftNode? { running.map(\.node).first { $0.status.state == .leader && $0.status.isCurrent } }

    private func stream(from: UInt64, to: UInt64) -> Int32? {
        var ends: [Int32] = [0, 0]
        guard let target = self[to]?.node, socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
            return nil
        }
        let isCut = state.withLock { state in
            state.streams.append((from, to, dup(ends[0])))
            return !state.parts.isEmpty && !state.parts.contains { $0.isSuperset(of: [from, to]) }
        }
        guard !isCut else {
            close(ends[0])
            close(ends[1])
            return nil
        }
        target.accept(stream: ends[1], from: from, name: "node\(from)")
        return ends[0]
    }

    /// Cuts streams between nodes that share no part, and refuses new ones. None: heals.
    func partition(_ parts: [Set<UInt64>]) {
        state.withLock { state in
            state.parts = parts
            guard !parts.isEmpty else { return }
            state.streams.removeAll { from, to, descriptor in
                guard !parts.contains(where: { $0.isSuperset(of: [from, to]) }) else { return false }
                shutdown(descriptor, Int32(SHUT_RDWR))
                close(descriptor)
                return true
            }
        }
    }

    func propose(_ command: [UInt8]) async -> Result<[UInt8], ProposalError> {
        guard let leader else { return .failure(.notLeader(nil)) }
        return await withCheckedContinuation { done in leader.propose(command) { done.resume(returning: $0) } }
    }

    func change(_ change: MembershipChange) async -> Result<Void, ProposalError> {
        guard let leader else { return .failure(.notLeader(nil)) }
        return await withCheckedContinuation { done in leader.change(change) { done.resume(returning: $0) } }
    }

    /// Node 1 bootstrapped, the others added and made voters.
    static func make(_ count: UInt64) async throws -> TestCluster {
        let cluster = TestCluster()
        try cluster.start(1, bootstraps: true)
        _ = await eventually { cluster.leader != nil }
        for id in 1..<count {
            try cluster.start(id + 1)
            try await cluster.change(.add(id: id + 1, name: "node\(id + 1)")).get()
            try await cluster.change(.assign(id: id + 1, role: .voter)).get()
        }
        return cluster
    }

    var agree: Bool { Set(running.map(\.machine.state.hash)).count == 1 }
}

/// Awaits a condition, 20 s at most.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<4000 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(5))
    }
    return false
}
