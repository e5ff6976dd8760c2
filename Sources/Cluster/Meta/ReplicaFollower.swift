import Dispatch
package import Logging
import Synchronization

/// What a replicant asks a core: everything after what it has.
struct FollowRequest {
    var clusterID: UInt64
    var epoch: UInt64
    /// Commands it has applied.
    var sequence: UInt64
    /// A snapshot that is being fetched: as of which command, and how much of it is here; 0 for none.
    var snapshot: UInt64
    var offset: UInt32

    var encoded: [UInt8] {
        var writer = MetaWriter()
        writer.number(clusterID)
        writer.number(epoch)
        writer.number(sequence)
        writer.number(snapshot)
        writer.number32(offset)
        return writer.bytes
    }

    init(clusterID: UInt64, epoch: UInt64, sequence: UInt64, snapshot: UInt64, offset: UInt32) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.sequence = sequence
        self.snapshot = snapshot
        self.offset = offset
    }

    init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        clusterID = try reader.number()
        epoch = try reader.number()
        sequence = try reader.number()
        snapshot = try reader.number()
        offset = try reader.number32()
    }
}

enum FollowReply: Equatable {
    case entries([MetaStateMachine.Entry])
    case snapshot(sequence: UInt64, total: UInt32, offset: UInt32, bytes: [UInt8])

    static let partBytes = 256 * 1024

    var encoded: [UInt8] {
        var writer = MetaWriter()
        switch self {
        case .entries(let entries):
            writer.byte(0)
            writer.list(entries) { writer, entry in
                writer.number(entry.sequence)
                writer.number(entry.index)
                writer.data(entry.command)
            }
        case .snapshot(let sequence, let total, let offset, let bytes):
            writer.byte(1)
            writer.number(sequence)
            writer.number32(total)
            writer.number32(offset)
            writer.data(bytes)
        }
        return writer.bytes
    }

    init(decoding bytes: [UInt8]) throws(MetaFormatError) {
        var reader = MetaReader(bytes)
        if try reader.byte() == 0 {
            self = .entries(
                try reader.list(limit: 65_536) { reader throws(MetaFormatError) in
                    MetaStateMachine.Entry(
                        sequence: try reader.number(), index: try reader.number(),
                        command: try reader.data(limit: MetaLimits.command))
                })
        } else {
            self = .snapshot(
                sequence: try reader.number(), total: try reader.number32(), offset: try reader.number32(),
                bytes: try reader.data(limit: Self.partBytes))
        }
    }
}

/// A snapshot that replicants are fetching part by part.
struct SnapshotCache {
    var sequence: UInt64
    var bytes: [UInt8]
}

/// Keeps a replicant's copy of the state: asks a core for what comes after what it has, and another core when that one is lost.
package final class ReplicaFollower: Sendable {
    private struct State {
        var core: NodeName?
        var snapshot: (sequence: UInt64, bytes: [UInt8])?
        var isStopped = false
        /// Cores that have failed lately, the last one last.
        var failed: [NodeName] = []
    }

    /// Largest snapshot that is taken from a core.
    private static let snapshotLimit = 64 * 1024 * 1024
    private static let callMilliseconds = 8000

    private let machine: MetaStateMachine
    private let links: any MeshLinks
    private let cluster: @Sendable () -> (id: UInt64, epoch: UInt64)
    private let changedCore: @Sendable (NodeName?) -> Void
    private let logger: Logger
    private let queue = DispatchQueue(label: "meta-follower")
    private let state = Mutex(State())

    /// - Parameters:
    ///   - cluster: what the node believes to belong to.
    ///   - changedCore: told whom this node follows.
    package init(
        machine: MetaStateMachine, links: any MeshLinks, logger: Logger,
        cluster: @escaping @Sendable () -> (id: UInt64, epoch: UInt64),
        changedCore: @escaping @Sendable (NodeName?) -> Void
    ) {
        self.machine = machine
        self.links = links
        self.logger = logger
        self.cluster = cluster
        self.changedCore = changedCore
    }

    package func start() { queue.async { self.next() } }

    package func stop() { state.withLock { $0.isStopped = true } }

    /// Whom it follows.
    package var core: NodeName? { state.withLock { $0.core } }

    private func next() {
        let (isStopped, core, snapshot) = state.withLock { ($0.isStopped, $0.core, $0.snapshot) }
        guard !isStopped else { return }
        guard let core = core ?? chooseCore() else { return later() }
        let (id, epoch) = cluster()
        let request = FollowRequest(
            clusterID: id, epoch: epoch, sequence: machine.state.sequence, snapshot: snapshot?.sequence ?? 0,
            offset: UInt32(snapshot?.bytes.count ?? 0))
        links.call(core, method: .follow, body: request.encoded, timeoutMilliseconds: Self.callMilliseconds) { result in
            self.queue.async { self.took(result, from: core) }
        }
    }

    private func later() { queue.asyncAfter(deadline: .now() + .milliseconds(200)) { self.next() } }

    private func chooseCore() -> NodeName? {
        let cores = links.peers.filter { $0.role == .core }.map(\.name).sorted()
        let failed = state.withLock { $0.failed }
        let chosen =
            cores.first { !failed.contains($0) }
            ?? cores.min { (failed.firstIndex(of: $0) ?? 0) < (failed.firstIndex(of: $1) ?? 0) }
        guard let chosen else { return nil }
        state.withLock { $0.core = chosen }
        changedCore(chosen)
        return chosen
    }

    private func took(_ result: Result<[UInt8], MeshError>, from core: NodeName) {
        guard !state.withLock({ $0.isStopped }) else { return }
        do {
            let reply = try FollowReply(decoding: try result.get())
            switch reply {
            case .entries(let entries): try apply(entries)
            case .snapshot(let sequence, let total, let offset, let bytes):
                try add(sequence, Int(total), Int(offset), bytes)
            }
            state.withLock { $0.failed.removeAll { $0 == core } }
            next()
        } catch {
            logger.info(
                "A core is not followed any more.", metadata: ["cluster.node": "\(core)", "error": "\(error)"])
            state.withLock { state in
                state.core = nil
                state.snapshot = nil
                state.failed.removeAll { $0 == core }
                state.failed.append(core)
            }
            changedCore(nil)
            later()
        }
    }

    private func apply(_ entries: [MetaStateMachine.Entry]) throws {
        for entry in entries {
            let expected = machine.state.sequence + 1
            guard entry.sequence == expected else {
                throw MetaFormatError("entry \(entry.sequence) came where \(expected) was due")
            }
            if case .unknown(let reason) = machine.apply(index: entry.index, command: entry.command) {
                logger.error("The replicant stops following.", metadata: ["error": "\(reason)"])
                stop()
                return
            }
        }
    }

    private func add(_ sequence: UInt64, _ total: Int, _ offset: Int, _ bytes: [UInt8]) throws {
        guard total <= Self.snapshotLimit else { throw MetaFormatError("a snapshot of \(total) bytes is too large") }
        let whole = try state.withLock { state -> [UInt8]? in
            if offset == 0 { state.snapshot = (sequence, []) }
            guard var snapshot = state.snapshot, snapshot.sequence == sequence, snapshot.bytes.count == offset,
                !bytes.isEmpty, offset + bytes.count <= total
            else { throw MetaFormatError("a part of a snapshot does not fit") }
            snapshot.bytes += bytes
            state.snapshot = snapshot.bytes.count == total ? nil : snapshot
            return snapshot.bytes.count == total ? snapshot.bytes : nil
        }
        if let whole { try machine.restore(whole) }
    }
}

extension ClusterNode {
    /// Begins to follow whichever core can be reached.
    func follow() {
        let follower = ReplicaFollower(
            machine: machine, links: mesh, logger: logger,
            cluster: { [weak self] in
                let identity = self?.identity
                return (identity?.clusterID ?? 0, identity?.epoch ?? 0)
            },
            changedCore: { [weak self] core in self?.store.use(upstream: core) })
        current.withLock { $0.follower = follower }
        follower.start()
    }

    /// Answers a replicant: at once when there is something, else as soon as there is, or after some seconds with nothing.
    func serveFollower(_ body: [UInt8], _ reply: @escaping @Sendable (Result<[UInt8], MeshError>) -> Void) {
        let request: FollowRequest
        do throws(MetaFormatError) { request = try FollowRequest(decoding: body) } catch {
            return reply(.failure(.refused(error.description)))
        }
        let state = machine.state
        guard consensus != nil, request.clusterID == 0 || request.clusterID == state.clusterID,
            request.epoch <= state.epoch
        else { return reply(.failure(.refused("it is of another cluster"))) }
        background.async { [self] in
            if request.snapshot != 0, let part = part(of: request.snapshot, from: Int(request.offset)) {
                return reply(.success(part.encoded))
            }
            switch machine.tail(after: request.sequence, maximumBytes: FollowReply.partBytes) {
            case .snapshot(let bytes):
                let sequence = machine.state.sequence
                snapshots.withLock { $0 = SnapshotCache(sequence: sequence, bytes: bytes) }
                guard let part = part(of: sequence, from: 0) else { return reply(.failure(.refused("try again"))) }
                reply(.success(part.encoded))
            case .entries(let entries) where !entries.isEmpty: reply(.success(FollowReply.entries(entries).encoded))
            case .entries:
                machine.whenApplied(request.sequence + 1, timeoutMilliseconds: 3000) { [machine] _ in
                    if case .entries(let entries) = machine.tail(
                        after: request.sequence, maximumBytes: FollowReply.partBytes)
                    {
                        reply(.success(FollowReply.entries(entries).encoded))
                    } else {
                        reply(.success(FollowReply.entries([]).encoded))
                    }
                }
            }
        }
    }

    private func part(of sequence: UInt64, from offset: Int) -> FollowReply? {
        snapshots.withLock { cache in
            guard let cache, cache.sequence == sequence, offset < cache.bytes.count else { return nil }
            let end = min(offset + FollowReply.partBytes, cache.bytes.count)
            return .snapshot(
                sequence: sequence, total: UInt32(cache.bytes.count), offset: UInt32(offset),
                bytes: Array(cache.bytes[offset..<end]))
        }
    }
}
