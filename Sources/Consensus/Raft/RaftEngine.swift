import CRaft
import Glibc
import Logging
import Synchronization

/// The engine's side of a ``RaftNode``. Owner of everything that is not under a lock: the thread that starts it until the engine's
/// own thread runs, then that one.
final class RaftEngine: @unchecked Sendable {
    let configuration: RaftConfiguration
    let machine: any StateMachine
    let log: Logger
    let dial: RaftNode.Dial

    let inbox = Inbox()
    let published = Mutex(ConsensusStatus())
    let observer = Mutex<(@Sendable (ConsensusStatus) -> Void)?>(nil)
    let guards = Mutex(RaftGuardCounters())

    var core: OpaquePointer?
    /// The entry that the machine's state reflects. After a start from the cache it is ahead of what the library has applied.
    var machineIndex: UInt64 = 0
    var isEnding = false
    var failure: String?

    // Proposals: those that wait, and the entries under way.
    var waiting: [Proposal] = []
    var nextWaiting = 0
    var underWay: [UInt64: SubmittedEntry] = [:]
    var tokenOfIndex: [UInt64: UInt64] = [:]
    var nextToken: UInt64 = 0

    var changes: [PendingChange] = []
    var runningChange: UInt64?

    // The cache.
    let cacheWriter: CacheWriter
    var cachedIndex: UInt64 = 0
    var cacheDue: UInt64?
    var cacheNotBefore: UInt64 = 0

    var configurationSignature: UInt64?
    var isMarked = false

    init(_ configuration: RaftConfiguration, machine: any StateMachine, log: Logger, dial: @escaping RaftNode.Dial) {
        self.configuration = configuration
        self.machine = machine
        self.log = log
        self.dial = dial
        cacheWriter = CacheWriter(path: configuration.cacheFile)
    }

    func makeToken() -> UInt64 {
        nextToken += 1
        return nextToken
    }

    // MARK: Life

    func open() throws(ConsensusStartError) {
        try AtomicFile.makeFolder(configuration.logFolder)
        isMarked = AtomicFile.exists(configuration.markFile)
        let cache = try LocalCache.read(configuration.cacheFile)
        if let cache {
            do { try machine.restore(cache.state) } catch {
                throw ConsensusStartError(.unusable, "\(configuration.cacheFile) cannot be used: \(error)")
            }
            machineIndex = cache.index
            cachedIndex = cache.index
        }
        let core = try create(cache)
        self.core = core
        do throws(ConsensusStartError) {
            try bootstrapIfWanted(core)
            var error = CErrorText()
            try check(error.use { craft_start(core, $0) }, error)
            try cacheWriter.start()
        } catch {
            discard()
            throw error
        }
        inbox.open(core)
        publish(core)
    }

    /// Instead of ``run()``.
    func discard() {
        _ = inbox.close()
        if let core { craft_destroy(core) }
        core = nil
        cacheWriter.end()
    }

    /// The engine's thread.
    func run() {
        guard let core else { return }
        craft_run(core)
        let (proposals, jobs) = inbox.close()
        endJobs(jobs)
        endProposals(proposals)
        endChanges()
        if failure == nil { writeCache(core, now: nil) }
        publishEnd()
        craft_destroy(core)
        self.core = nil
        cacheWriter.end()
    }

    private func create(_ cache: LocalCache?) throws(ConsensusStartError) -> OpaquePointer {
        var error = CErrorText()
        var result: Int32 = 0
        var hooks = RaftEngine.hooks
        // Not retained: the engine outlives its core, which ends in run() or discard().
        hooks.context = Unmanaged.passUnretained(self).toOpaque()
        let core = configuration.name.withCString { name in
            configuration.logFolder.withCString { folder in
                var options = craft_options()
                options.id = configuration.id
                options.name = name
                options.directory = folder
                options.election_milliseconds = configuration.electionMilliseconds
                options.heartbeat_milliseconds = configuration.heartbeatMilliseconds
                options.snapshot_entries = configuration.snapshotEntries
                options.snapshot_bytes = configuration.snapshotBytes
                options.trailing_entries = configuration.trailingEntries
                options.trailing_bytes = configuration.trailingBytes
                options.segment_bytes = configuration.segmentBytes
                options.applied_index = cache?.index ?? 0
                options.applied_term = cache?.term ?? 0
                options.has_taken_part = isMarked
                return error.use { craft_create(&options, &hooks, &result, $0) }
            }
        }
        guard let core else { throw Self.startError(result, error) }
        return core
    }

    /// A log that exists is no error: this is asked for at each start of a lone node.
    private func bootstrapIfWanted(_ core: OpaquePointer) throws(ConsensusStartError) {
        guard configuration.bootstraps, !isMarked else { return }
        var error = CErrorText()
        var member = craft_member(ConsensusMember(id: configuration.id, name: configuration.name, role: .voter))
        let result = error.use { craft_bootstrap(core, &member, 1, $0) }
        if result != Int32(CRAFT_NOT_PRISTINE.rawValue) { try check(result, error) }
    }

    private func check(_ result: Int32, _ error: CErrorText) throws(ConsensusStartError) {
        if result != 0 { throw Self.startError(result, error) }
    }

    static func startError(_ result: Int32, _ error: CErrorText) -> ConsensusStartError {
        switch craft_result(rawValue: UInt32(bitPattern: result)) {
        case CRAFT_DAMAGED: ConsensusStartError(.damaged, error.text)
        case CRAFT_MISSING_ENTRIES: ConsensusStartError(.entriesMissing, error.text)
        default: ConsensusStartError(.unusable, error.text)
        }
    }

    // MARK: Turns

    func drain() {
        guard let core else { return }
        let (proposals, jobs) = inbox.take()
        for job in jobs { perform(job, core) }
        waiting += proposals
        submitWaiting(core)
        beginNextChange(core)
    }

    private func perform(_ job: EngineJob, _ core: OpaquePointer) {
        switch job {
        case .change(let change, let completion): addChange(change, completion, core)
        case .dialed(let token, let descriptor): craft_dialed(core, token, descriptor)
        case .accepted(let descriptor, let id, let name): craft_accepted(core, id, name, descriptor)
        case .stop:
            isEnding = true
            craft_stop(core)
        }
    }

    private func endJobs(_ jobs: [EngineJob]) {
        for job in jobs {
            switch job {
            case .change(_, let completion): completion(.failure(.refused("the node is stopping")))
            case .dialed(_, let descriptor): if descriptor >= 0 { close(descriptor) }
            case .accepted(let descriptor, _, _): close(descriptor)
            case .stop: break
            }
        }
    }

    func turn(changed: Bool) {
        guard let core else { return }
        if changed { publish(core) }
        let now = craft_now(core)
        beginNextChange(core)
        if let cacheDue, now >= cacheDue { writeCache(core, now: now) }
    }

    func fail(_ reason: String) {
        guard failure == nil else { return }
        failure = reason
        log.error(
            "The replicated log has stopped on this node.",
            metadata: ["log.group": "\(configuration.group)", "reason": "\(reason)"])
    }

    // MARK: The machine

    /// - Returns: false to halt.
    func apply(index: UInt64, entry: UnsafeRawBufferPointer) -> Bool {
        guard index > machineIndex else { return true }
        guard let commands = EntryBatch.decode(entry) else {
            fail("entry \(index) of the log is not of a format that this version knows")
            return false
        }
        let token = tokenOfIndex[index]
        for command in commands {
            switch machine.apply(index: index, command: command) {
            case .result(let bytes): if let token { underWay[token]?.results.append(bytes) }
            case .unknown(let reason):
                fail("entry \(index) of the log needs a later version: \(reason)")
                return false
            }
        }
        machineIndex = index
        if cacheDue == nil, let core {
            cacheDue = max(craft_now(core) + configuration.cacheMilliseconds, cacheNotBefore)
        }
        return true
    }

    /// - Returns: false when it is not the time: the state is ahead of the log after a start from the cache.
    func encodeSnapshot(index: UInt64, into chunks: OpaquePointer) -> Bool {
        guard machineIndex <= index, failure == nil else { return false }
        return machine.encodeSnapshot().allSatisfy { chunk in
            chunk.withUnsafeBytes { craft_chunks_add(chunks, $0.baseAddress, $0.count) } == 0
        }
    }

    func restore(index: UInt64, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard index > machineIndex else { return true }
        do { try machine.restore([UInt8](bytes)) } catch {
            fail("the snapshot at entry \(index) cannot be used: \(error)")
            return false
        }
        machineIndex = index
        return true
    }

    /// - Parameter now: nil at the end.
    private func writeCache(_ core: OpaquePointer, now: UInt64?) {
        cacheDue = nil
        guard failure == nil, machineIndex > cachedIndex else { return }
        let began = monotonicMilliseconds()
        guard
            let state = EncodedState(
                index: machineIndex, term: craft_term_of(core, machineIndex), machine.encodeSnapshot())
        else { return log.error("There is no memory for the cache of the replicated state.") }
        cachedIndex = machineIndex
        if let problem = cacheWriter.write(state) {
            log.warning("The cache of the replicated state cannot be written.", metadata: ["reason": "\(problem)"])
        }
        // A large state is written less often: encoding takes a twentieth of this thread's time at most.
        if let now { cacheNotBefore = now + 20 * (monotonicMilliseconds() - began) }
    }

    private func monotonicMilliseconds() -> UInt64 {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return UInt64(now.tv_sec) * 1000 + UInt64(now.tv_nsec) / 1_000_000
    }
}
