package import Access
import Glibc
package import Logging
import MQTTCodec
import RuleEngine
import Storage
import Synchronization

/// One broker: its shards, listeners, rules, and what they share.
///
/// `@unchecked Sendable`: the lists are complete before the first thread starts and do not change afterwards; what does
/// change has its own owner or lock.
package final class BrokerNode: @unchecked Sendable {
    package let name: String
    package let version: String
    let settings: MQTTZone
    let logger: Logger
    /// For lines that clients can cause.
    let lines: LogThrottle
    let router: Router
    let registry = ClientRegistry()
    let retained: RetainedStore
    let delayed: DelayedStore
    let peaks = StatisticPeaks()
    let identity: UInt64
    let systemTopics: SystemTopics
    /// Nil: everybody may do everything.
    package let access: AccessControl?
    package let alarms: AlarmTable
    /// Run by the first shard.
    let boundsReport = BoundsReport()
    /// Sources of access control that have an alarm. The first shard's.
    var accessAlarms: Set<String> = []
    package let startedAt: Int64
    private(set) var shards: [Shard] = []
    private var epollLoops: [EpollLoop] = []
    private var nioLoops: [NIOShardLoop] = []
    private var acceptor: Acceptor?
    private var nioListeners: NIOListeners?
    private var certificates: CertificateWatcher?
    private var threads: [ThreadRunner] = []
    private(set) var listenerContexts: [(context: ListenerContext, address: String)] = []
    private var store: DurableStore?
    let recovered = RecoveredExchanges()
    let redirectionInForce = Guarded<Redirection?>(nil)
    private let ruleSnapshot = Mutex(RuleSnapshot.empty)
    private let clientNumber = Atomic<UInt64>(0)
    let wakeTimer = WakeTimer()
    /// Set before the start; nil for a node without a mesh.
    var links: NodeLinks?

    package init(_ options: NodeOptions, access: AccessControl? = nil, logger: Logger) {
        self.access = access
        name = options.name
        version = options.version
        settings = options.mqtt
        self.logger = logger
        lines = LogThrottle(logger)
        router = Router(strategy: options.mqtt.sharedStrategy)
        retained = RetainedStore(limit: options.mqtt.retainedLimit)
        let topics = options.mqtt.topics
        delayed = DelayedStore(limit: topics.delayedLimit, byteLimit: topics.delayedByteLimit)
        alarms = AlarmTable(options.alarm, logger: logger)
        identity = withBytes(options.name) { topicHash($0) } & 0xFFFF
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        startedAt = Int64(time.tv_sec) * 1000
        systemTopics = SystemTopics(
            node: options.name, version: options.version, heartbeatInterval: options.heartbeatInterval,
            messageInterval: options.systemMessageInterval, startedAt: startedAt)
    }

    // MARK: Start

    /// Makes the shards and binds the listeners; returns when all are bound.
    /// - Throws: the first listener that could not be bound, with its address and the system's reason; nothing runs then.
    package func start(_ options: NodeOptions) throws {
        do { try begin(options) } catch {
            endThreads()
            // Nobody runs them: who stops the node must not wait for their answer.
            shards = []
            throw error
        }
    }

    private func begin(_ options: NodeOptions) throws {
        let epollListeners = options.listeners.filter { $0.kind == .tcp && $0.transport == .epoll }
        let otherListeners = options.listeners.filter { !($0.kind == .tcp && $0.transport == .epoll) }
        let store = KeyValueStore()
        // Routes, outboxes and congestion name shards by the bits of one word.
        let shardCount = min(options.shards, epollListeners.isEmpty || otherListeners.isEmpty ? 64 : 32)
        let epollCount = epollListeners.isEmpty && !otherListeners.isEmpty ? 0 : shardCount
        let nioCount = otherListeners.isEmpty ? 0 : shardCount
        for index in 0..<(epollCount + nioCount) {
            let stage = RuleStage(
                context: EvaluationContext(node: name, store: store, environment: options.ruleEnvironment),
                ignoresSystemTopics: options.ignoresSystemTopics, logger: logger)
            let shard = Shard(
                index: index, node: self, router: router, settings: settings, rules: stage, logger: logger)
            stage.attach(to: shard)
            stage.authorizes = access?.authorizes ?? false
            if !settings.topics.rewrites.isEmpty { shard.rewriter = try TopicRewriter(settings.topics.rewrites) }
            stage.install(ruleSnapshot.withLock { $0 })
            shards.append(shard)
        }
        for shard in shards { shard.prepareOutboxes(count: shards.count) }
        links?.begin(shards)
        if nioCount > 0 {
            let listeners = NIOListeners(threads: nioCount, logger: logger)
            nioListeners = listeners
            nioLoops = listeners.makeLoops(Array(shards[epollCount...]))
        }
        for index in 0..<epollCount { epollLoops.append(try EpollLoop(shard: shards[index])) }
        if let storage = options.storage {
            let store = try openStore(storage)
            self.store = store
            for shard in shards { shard.durable = DurableStage(store: store, shard: shard) }
            try restore(from: store)
        }
        try listen(options.listeners)
        for (index, loop) in epollLoops.enumerated() {
            threads.append(try ThreadRunner(name: "shard-\(index)") { loop.run() })
        }
        for loop in nioLoops { loop.start() }
        if let acceptor { threads.append(try ThreadRunner(name: "acceptor") { acceptor.run() }) }
        try wakeTimer.start()
        try certificates?.start()
        let publishes = options.alarm.publishes
        if let first = shards.first {
            alarms.open { alarm in first.execute { $0.announce(alarm, publishes: publishes) } }
        }
    }

    private func listen(_ listeners: [ListenerOptions]) throws {
        guard !listeners.isEmpty else { return }
        let acceptor = try Acceptor(lines: lines)
        self.acceptor = acceptor
        var pipelines: [NIOListener] = []
        for listener in listeners {
            let context = ListenerContext(listener, logger: logger)
            let targets: [Acceptor.Adopt]
            if listener.kind == .tcp, listener.transport == .epoll {
                targets = epollLoops.map { loop in
                    { accepted in loop.shard.execute { _ in loop.adopt(accepted, listener: context) } }
                }
            } else {
                let pipeline: NIOListener
                do {
                    pipeline = try NIOListener(listener, context: context, maxPacketSize: settings.maxPacketSize)
                } catch {
                    throw ListenerError(id: listener.id, problem: "\(error)")
                }
                pipelines.append(pipeline)
                targets = nioLoops.map { loop in { accepted in pipeline.adopt(accepted, on: loop) } }
            }
            do {
                listenerContexts.append((context, try acceptor.listen(context, listener, targets: targets)))
            } catch {
                throw ListenerError(id: listener.id, address: listener.address(port: listener.port), reason: "\(error)")
            }
        }
        certificates = CertificateWatcher(pipelines, logger: logger)
    }

    /// Reads the certificates of the TLS listeners again; connections that there are keep theirs. Blocks on the files.
    package func reloadCertificates() { certificates?.look(force: true) }

    // MARK: Stop

    /// Takes no more connections, says goodbye to the clients there are, ends the threads. Sinks are the caller's to
    /// drain afterwards. Blocks for at most some seconds.
    package func stop() {
        alarms.close()
        access?.stop()
        acceptor?.stop()
        certificates?.stop()
        for shard in shards {
            let done = DoneSignal()
            shard.execute { shard in
                shard.beginDraining()
                for connection in shard.connections {
                    connection.close(reason: "server_shutdown", code: .serverShuttingDown)
                }
                shard.endTick()
                shard.rules.handOver()
                done.signal()
            }
            done.wait(milliseconds: 5000)
        }
        endThreads()
    }

    /// Ends what runs, also of a start that did not come to its end.
    private func endThreads() {
        acceptor?.stop()
        certificates?.stop()
        for loop in epollLoops { loop.stop() }
        for loop in nioLoops { loop.stop() }
        wakeTimer.stop()
        for thread in threads { thread.join() }
        threads = []
        acceptor?.closeListeners()
        nioListeners?.shutDown()
        for shard in shards { shard.durable?.close() }
        store?.close()
        store = nil
    }

    // MARK: Rules

    /// Has the shards evaluate what waits for its rules and hand over the rows. Blocks for a tick of each, at most a
    /// second; not to be called on a shard's thread.
    func settleRules() {
        for shard in shards {
            let done = DoneSignal()
            shard.execute { shard in
                shard.rules.handOver()
                done.signal()
            }
            done.wait(milliseconds: 1000)
        }
    }

    /// Puts a set of rules in force on all shards: at once for new look-ups, with no message in between that sees half.
    func install(_ snapshot: RuleSnapshot) {
        let old = ruleSnapshot.withLock { current in
            defer { current = snapshot }
            return current
        }
        let kept = Set(snapshot.rules.map { ObjectIdentifier($0) })
        let before = Set(old.rules.map { ObjectIdentifier($0) })
        router.replaceRules(
            removed: old.rules.filter { !kept.contains(ObjectIdentifier($0)) && $0.isEnabled },
            added: snapshot.rules.filter { !before.contains(ObjectIdentifier($0)) && $0.isEnabled })
        for shard in shards { shard.execute { $0.rules.install(snapshot) } }
    }

    /// Calls `body` once every shard works with the rules that were installed before. On a shard's thread; at once
    /// without shards.
    func whenInstalled(_ body: @escaping @Sendable () -> Void) {
        guard !shards.isEmpty else {
            body()
            return
        }
        let gate = Gate(count: shards.count, body)
        for shard in shards { shard.execute { _ in gate.pass() } }
    }

    /// Collects something from every shard, on its thread. Blocks for at most some seconds; not for a shard's thread.
    func collect<T: Sendable>(_ body: @escaping @Sendable (Shard) -> [T]) -> [T] {
        let results = Guarded<[T]>([])
        for shard in shards {
            let done = DoneSignal()
            shard.execute { shard in
                let part = body(shard)
                results.withLock { $0 += part }
                done.signal()
            }
            done.wait(milliseconds: 5000)
        }
        return results.withLock { $0 }
    }

    var rulesInForce: RuleSnapshot { ruleSnapshot.withLock { $0 } }

    // MARK: Figures

    package var listeners: [(id: String, address: String, current: Int, max: Int, refused: Int)] {
        listenerContexts.map {
            ($0.context.id, $0.address, $0.context.current, $0.context.maxConnections, $0.context.refusedCount)
        }
    }

    /// Counters by EMQX's names, summed over the shards, sorted.
    package var metrics: [(name: String, value: Int)] {
        var sums: [String: Int] = [:]
        for shard in shards { for (name, value) in shard.counters.metrics { sums[name, default: 0] += value } }
        return sums.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    var connectionCount: Int { listenerContexts.reduce(0) { $0 + $1.context.current } }

    package var uptimeMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 - startedAt
    }

    /// A client identifier for a client that brought none. [MQTT-3.1.3-6]
    func makeClientID() -> String {
        let number = clientNumber.wrappingAdd(1, ordering: .relaxed).newValue
        let random = UInt64.random(in: .min ... .max)
        return "sluice-" + String(random, radix: 36) + String(number, radix: 36)
    }

    /// Has a shard look again in a few milliseconds, when nothing else would wake it.
    func scheduleWake(of shard: Shard) { wakeTimer.wake(shard) }
}

/// A listener that could not be set up.
package struct ListenerError: Error, CustomStringConvertible {
    package let id: String
    package let description: String

    init(id: String, problem: String) {
        self.id = id
        description = "listener \(id): \(problem)"
    }

    /// It could not be bound.
    init(id: String, address: String, reason: String) {
        self.id = id
        description =
            "listener \(id) can't listen on \(address): \(reason); is another broker running there? Change listeners."
            + "\(id.replacing(":", with: ".")).bind or stop it."
    }
}
