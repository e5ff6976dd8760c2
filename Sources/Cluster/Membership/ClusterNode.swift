import Consensus
import Dispatch
import Glibc
package import Logging
import Synchronization

/// A node's part in the cluster: its identity, its copy of the state, the engine or the stream that feeds it, and how nodes come
/// and go. A node on its own is a cluster of one.
///
/// Thread-safe. What is said to block must not be called on an event loop or on the engine's thread.
package final class ClusterNode: Sendable {
    package let options: ClusterOptions
    package let machine = MetaStateMachine()
    package let store: MetaStore
    let storage: any ClusterStorage
    let mesh: any ClusterMesh
    let logger: Logger
    let current = Mutex(Current())
    /// One request about membership at a time, on whichever side.
    let operations = DispatchQueue(label: "membership")
    let background = DispatchQueue(label: "cluster-background", attributes: .concurrent)
    let snapshots = Mutex<SnapshotCache?>(nil)

    struct Current {
        var identity = ClusterIdentity(id: 0)
        var consensus: (any Consensus)?
        var follower: ReplicaFollower?
        var isBusy = false
        var isStopped = false
        /// Says what of the node's own would be lost by a join; nil for nothing.
        var holdsData: (@Sendable () -> String?)?
        var isAutomatic = true
    }

    package init(
        _ options: ClusterOptions, storage: any ClusterStorage, mesh: any ClusterMesh, logger: Logger
    ) {
        self.options = options
        self.storage = storage
        self.mesh = mesh
        self.logger = logger
        store = MetaStore(machine: machine, name: NodeName(options.name))
    }

    /// - Parameter holdsData: says what of the node's own a join would lose, such as "stored sessions"; nil for nothing.
    package func guardData(_ holdsData: @escaping @Sendable () -> String?) {
        current.withLock { $0.holdsData = holdsData }
    }

    // MARK: Start and stop

    /// Reads the last known state, and takes part from then on. Blocks on files, not on other nodes.
    package func start() throws(ClusterStorageError) {
        let (identity, isNew) = try storage.identity()
        store.attach(mesh)
        attachHandlers()
        machine.observe { [weak self] state, change in self?.changed(state, change) }
        try begin(identity, bootstraps: isNew || identity.clusterID == 0)
        if !identity.joining.isEmpty {
            logger.notice("A join that was interrupted goes on.", metadata: ["cluster.via": "\(identity.joining)"])
            background.async { [self] in
                do throws(MetaFailure) { _ = try enter(identity.joining) } catch {
                    logger.error("The join did not come to its end.", metadata: ["error": "\(error)"])
                }
            }
        }
    }

    /// Opens the log, or the stream, of an identity.
    func begin(_ identity: ClusterIdentity, bootstraps: Bool) throws(ClusterStorageError) {
        current.withLock { $0.identity = identity }
        mesh.introduce(identity, role: options.role)
        if options.role == .replicant {
            if let copy = storage.readCopy() {
                do { try machine.restore(copy) } catch {
                    logger.warning(
                        "The copy of the cluster's state is damaged; it is fetched anew.",
                        metadata: ["error": "\(error)"])
                }
            }
            follow()
            return
        }
        let mesh = mesh
        let consensus = try storage.open(
            identity, name: options.name, bootstraps: bootstraps && identity.joining.isEmpty, machine: machine,
            dial: { id, name, connected in mesh.openStream(to: id, name: name, connected: connected) })
        mesh.acceptStreams { [weak consensus] descriptor, id, name in
            guard let consensus else {
                close(descriptor)
                return
            }
            consensus.accept(stream: descriptor, from: id, name: name)
        }
        consensus.observe { [weak self] status in self?.statusChanged(status) }
        current.withLock { $0.consensus = consensus }
        store.use(consensus)
        statusChanged(consensus.status)
    }

    package func stop() {
        let (consensus, follower) = current.withLock { current in
            current.isStopped = true
            return (current.consensus, current.follower)
        }
        store.stop()
        follower?.stop()
        consensus?.stop()
    }

    // MARK: What a leader does by itself

    private func statusChanged(_ status: ConsensusStatus) {
        guard status.state == .leader else { return }
        background.async { [self] in foundAndRegister() }
    }

    /// A new cluster gets its number; this node is in its table, as it is today.
    private func foundAndRegister() {
        let identity = current.withLock { $0.identity }
        guard identity.joining.isEmpty else { return }
        do throws(MetaFailure) {
            if store.state.clusterID == 0 {
                try store.change(.found(clusterID: .random(in: 1...UInt64(Int64.max)), name: options.clusterName))
            }
            if identity.epoch > store.state.epoch { try store.change(.raiseEpoch(identity.epoch)) }
            try register(identity)
        } catch { logger.warning("The node could not enter itself.", metadata: ["error": "\(error)"]) }
    }

    /// Says where this node is now, and what it runs.
    func register(_ identity: ClusterIdentity) throws(MetaFailure) {
        let known = store.state.members[options.name]
        if let known, known.id != identity.id { return }
        let member = ClusterMember(
            name: options.name, id: identity.id, role: options.role, address: options.address,
            joined: known?.joined ?? Self.now, version: options.version, featureLevel: options.featureLevel)
        guard known != member else { return }
        try store.change(.putMember(member))
    }

    /// What of the state concerns this node's links and files.
    private func changed(_ state: MetaState, _ change: MetaChange) {
        if options.role == .replicant, state.clusterID != 0 {
            do throws(ClusterStorageError) { try storage.writeCopy(machine.encodeSnapshot().flatMap { $0 }) } catch {
                logger.warning("The copy of the cluster's state could not be written.", metadata: ["error": "\(error)"])
            }
        }
        guard change.contains(.members) else { return }
        var identity = current.withLock { $0.identity }
        mesh.setMembers(
            state.members.values.filter { $0.name != options.name }.sorted { $0.name < $1.name },
            removed: Set(state.removed.map(\.id)))
        guard state.clusterID != 0, identity.joining.isEmpty,
            identity.clusterID != state.clusterID || identity.epoch < state.epoch
        else { return }
        identity.clusterID = state.clusterID
        identity.epoch = max(identity.epoch, state.epoch)
        do throws(ClusterStorageError) {
            try storage.keep(identity)
            current.withLock { if $0.identity.id == identity.id { $0.identity = identity } }
            mesh.introduce(identity, role: options.role)
        } catch { logger.error("The node's identity could not be written.", metadata: ["error": "\(error)"]) }
    }

    // MARK: Helpers

    package var identity: ClusterIdentity { current.withLock { $0.identity } }

    var consensus: (any Consensus)? { current.withLock { $0.consensus } }

    /// Seconds since 1970.
    static var now: UInt64 { UInt64(max(0, time(nil))) }

    /// Calls a node and waits. Not for an event loop.
    func call(
        _ node: NodeName, _ method: MeshMethod, _ body: [UInt8], timeoutMilliseconds: Int
    ) -> Result<[UInt8], MeshError> {
        let done = DispatchSemaphore(value: 0)
        let answer = Mutex<Result<[UInt8], MeshError>>(.failure(.timedOut))
        mesh.call(node, method: method, body: body, timeoutMilliseconds: timeoutMilliseconds) { result in
            answer.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        return answer.withLock { $0 }
    }

    func connect(_ address: String, timeoutMilliseconds: Int = 5000) -> Result<MeshPeer, MeshError> {
        let done = DispatchSemaphore(value: 0)
        let answer = Mutex<Result<MeshPeer, MeshError>>(.failure(.timedOut))
        mesh.connect(to: address, timeoutMilliseconds: timeoutMilliseconds) { result in
            answer.withLock { $0 = result }
            done.signal()
        }
        done.wait()
        return answer.withLock { $0 }
    }
}
