package import Cluster
package import ConfigSchema
import Dispatch
package import Logging
import RuleEngine
import RuleFiles
package import Sinks
import Synchronization

/// Owns the rules and sinks of a node: reads the files, checks and tests them, puts them in force as a whole or not at
/// all, and keeps what a reload did not change.
package final class RuleManager: Sendable {
    package struct Options: Sendable {
        package var paths: [String]
        /// Whether a path that does not exist is a mistake.
        package var requiresPaths: Bool
        package var testsOnLoad: RuleFileSettings.TestsOnLoad
        package var nodeName: String
        /// What relative paths of file sinks are below.
        package var dataDirectory: String
        /// How long a sink that a reload removed may go on delivering.
        package var removalDrain = Duration.seconds(30)
        /// Whether this node's files count, or only what the cluster has.
        package var readsFiles = true
        /// Whether a node whose files are wrong may run what the cluster has.
        package var requiresValid = false

        package init(
            paths: [String], requiresPaths: Bool, testsOnLoad: RuleFileSettings.TestsOnLoad, nodeName: String,
            dataDirectory: String
        ) {
            self.paths = paths
            self.requiresPaths = requiresPaths
            self.testsOnLoad = testsOnLoad
            self.nodeName = nodeName
            self.dataDirectory = dataDirectory
        }
    }

    /// What a load came to.
    package struct Report: Sendable {
        package var isInForce: Bool
        /// Why the cluster did not take the files; nil when it did, or when there is none.
        package var refusal: MetaFailure?
        package var problems: [ConfigProblem]
        package var failedTests: [String]
        package var generation: Int
        /// Ids, by what happened to them.
        package var added: [String] = []
        package var changed: [String] = []
        package var removed: [String] = []
        package var files: [String] = []
    }

    struct RunningSink {
        var worker: SinkWorker
        var content: String
        var watch: SinkAlarms.Watch
    }

    struct State {
        /// As it is shown: of the loads of a node without a cluster, else the cluster's.
        var generation = 0
        /// How often rules were put in force.
        var installs = 0
        /// By rule, the generation that gave it its text.
        var ruleGenerations: [String: Int] = [:]
        /// What of the cluster is in force.
        var committed: RuleGeneration?
        /// This node's files as last read without errors.
        var own: [RuleObject] = []
        var isOfferPending = false
        var sinks: [String: RunningSink] = [:]
        var rules: [InstalledRule] = []
        var files: [String] = []
        var lastFailure: String?
    }

    let node: BrokerNode
    private let runtime: SinkRuntime
    private let sinkAlarms: SinkAlarms
    let options: Options
    let environment: Environment
    let logger: Logger
    /// What the cluster agrees on; nil for a node that has no part in one.
    package let store: MetaStore?
    /// One load at a time, whoever wants it.
    let loads = DispatchQueue(label: "rule-loads")
    /// Never held while a message is worked on, nor while other nodes are asked.
    let state = Guarded(State())

    package init(
        node: BrokerNode, options: Options, environment: Environment, store: MetaStore? = nil, logger: Logger
    ) {
        self.store = store
        self.node = node
        self.options = options
        self.environment = environment
        self.logger = logger
        runtime = SinkRuntime(logger: logger)
        sinkAlarms = SinkAlarms(node.alarms)
    }

    // MARK: Loading

    /// Reads the rule files and puts them in force if all is right with them: on this node, or in the cluster. Blocks: files,
    /// tests, threads of sinks, other nodes.
    ///
    /// - Parameter again: whether files that the cluster has had already are handed in once more.
    package func load(again: Bool = false) -> Report {
        loads.sync {
            if let store { return load(through: store, again: again) }
            return state.withLock { state in
                let report = load(&state)
                raiseAlarm(report, state.lastFailure)
                return report
            }
        }
    }

    /// Files that were refused are an alarm until files are accepted. At the start they are the end of the start.
    func raiseAlarm(_ report: Report, _ failure: String?) {
        guard let failure else {
            node.alarms.deactivate(Self.rulesAlarm)
            return
        }
        guard report.generation > 0 else { return }
        let problems = report.problems.filter { $0.severity == .error }.map(\.headline) + report.failedTests
        node.alarms.activate(
            Self.rulesAlarm,
            details: ["problems": .list(Array(problems.prefix(10))), "generation": .integer(report.generation)],
            message: "the rule files were refused, the rules before stay in force: \(failure)")
    }

    package static let rulesAlarm = "rules_not_loaded"

    var loadOptions: RuleFileLoader.LoadOptions {
        RuleFileLoader.LoadOptions(
            environment: environment, nodeName: options.nodeName, dataDirectory: options.dataDirectory)
    }

    private func load(_ state: inout State) -> Report {
        let (sources, missing) = RuleFileFinder.sources(options.paths, missingIsError: options.requiresPaths)
        let loaded = RuleFileLoader.load(sources, loadOptions)
        let problems = missing + loaded.problems
        var report = Report(
            isInForce: false, problems: problems, failedTests: [], generation: state.generation, files: loaded.files
        )
        guard !problems.hasErrors else {
            state.lastFailure = problems.first { $0.severity == .error }?.headline
            return report
        }
        report.failedTests = failedTests(sources)
        if !report.failedTests.isEmpty, options.testsOnLoad == .require {
            state.lastFailure = "test failed: \(report.failedTests[0])"
            return report
        }
        do throws(SinkFailure) {
            try install(loaded, &state, &report)
            for id in report.added + report.changed { state.ruleGenerations[id] = report.generation }
            state.lastFailure = nil
        } catch {
            state.lastFailure = error.reason
            report.failedTests.append("a sink could not be started: \(error.reason)")
        }
        return report
    }

    /// The inline tests that fail, each with its reasons; they have ten seconds in all.
    func failedTests(_ sources: [SourceFile]) -> [String] {
        guard options.testsOnLoad != .off else { return [] }
        return RuleTestRunner.run(sources, nodeName: options.nodeName, deadline: .now + .seconds(10))
            .filter { !$0.passed }
            .map { test in
                "\(test.origin): the test \"\(test.name)\" of rule \(test.rule) fails: "
                    + test.failures.map(\.message).joined(separator: "; ")
            }
    }

    /// - Parameters:
    ///   - generation: as the cluster counts; nil counts on.
    ///   - failures: told of sinks that could not be started; without it the first one is thrown, and nothing has changed.
    func install(
        _ loaded: LoadedRules, _ state: inout State, _ report: inout Report, generation: Int? = nil,
        failures: ((String, SinkFailure) -> Void)? = nil
    ) throws(SinkFailure) {
        let sinks = try startSinks(loaded.definition, state, failures)
        var rules: [InstalledRule] = []
        for definition in loaded.definition.rules {
            let content = contentHash(definition, sinks)
            let running = state.rules.first { $0.id == definition.id }
            if let running {
                if running.contentHash == content {
                    rules.append(running)
                    continue
                }
                report.changed.append(definition.id)
            } else {
                report.added.append(definition.id)
            }
            rules.append(
                makeRule(definition, sinks, running, content: content, generation: state.installs + 1))
        }
        report.removed = state.rules.map(\.id).filter { id in !rules.contains { $0.id == id } }
        node.install(RuleSnapshot(rules: rules))
        let gone = state.sinks.filter { id, sink in sinks[id]?.worker !== sink.worker }.map(\.value)
        state.sinks = sinks
        state.rules = rules
        state.files = loaded.files
        state.installs += 1
        state.generation = generation ?? state.generation + 1
        report.generation = state.generation
        report.isInForce = true
        for sink in gone { sink.watch.end() }
        retire(gone.map(\.worker))
    }

    /// The sinks of a definition: those that run and have not changed, the others started. All or none.
    private func startSinks(
        _ definition: RuleSetDefinition, _ state: State, _ failures: ((String, SinkFailure) -> Void)?
    ) throws(SinkFailure) -> [String: RunningSink] {
        var sinks: [String: RunningSink] = [:]
        var started: [RunningSink] = []
        do throws(SinkFailure) {
            for action in definition.actions where action.isEnabled {
                if let running = state.sinks[action.id], running.content == action.content.hash {
                    sinks[action.id] = running
                    continue
                }
                do throws(SinkFailure) {
                    let sink = try start(
                        try action.sinkDefinition(dataDirectory: options.dataDirectory), content: action.content.hash)
                    started.append(sink)
                    sinks[action.id] = sink
                } catch {
                    guard let failures else { throw error }
                    failures(action.id, error)
                }
            }
            for rule in definition.rules {
                for use in rule.actions {
                    guard case .console = use.kind else { continue }
                    let running = state.sinks[use.name]
                    if let running {
                        sinks[use.name] = running
                        continue
                    }
                    let sink = try start(.console(use.name), content: "console")
                    started.append(sink)
                    sinks[use.name] = sink
                }
            }
        } catch {
            for sink in started {
                sink.watch.end()
                sink.worker.beginDrain(until: .now)
            }
            throw error
        }
        return sinks
    }

    private func start(_ definition: SinkDefinition, content: String) throws(SinkFailure) -> RunningSink {
        let watch = sinkAlarms.watch("\(definition.type):\(definition.name)")
        var definition = definition
        definition.stateObserver = { watch.changed(to: $0) }
        do throws(SinkFailure) {
            return RunningSink(worker: try runtime.start(definition), content: content, watch: watch)
        } catch {
            watch.end()
            throw error
        }
    }

    /// Changes with the rule and with each sink that it uses.
    private func contentHash(_ definition: RuleDefinition, _ sinks: [String: RunningSink]) -> String {
        var ids = definition.actions.compactMap { use in if case .action(let id) = use.kind { id } else { nil } }
        if case .deadLetter(let id) = definition.onError { ids.append(id) }
        return ids.reduce(definition.content.hash) { $0 + (sinks[$1]?.content ?? "") }
    }

    private func makeRule(
        _ definition: RuleDefinition, _ sinks: [String: RunningSink], _ running: InstalledRule?, content: String,
        generation: Int
    ) -> InstalledRule {
        func use(_ worker: SinkWorker) -> RuleUse {
            worker.use(
                ruleID: definition.id, undefinedAs: definition.undefinedAs,
                payloadEncoding: definition.payloadEncoding, generation: generation)
        }
        var actions: [InstalledAction] = []
        for item in definition.actions {
            let action: InstalledAction
            switch item.kind {
            case .republish(let arguments):
                action = .republish(RepublishAction(arguments, ruleID: definition.id), name: item.name)
            case .action(let id):
                // A disabled action has no sink; its rows are counted as discarded by its absence here.
                guard let sink = sinks[id] else { continue }
                action = .sink(sink.worker, use: use(sink.worker), name: item.name)
            case .console:
                guard let sink = sinks[item.name] else { continue }
                action = .sink(sink.worker, use: use(sink.worker), name: item.name)
            }
            actions.append(item.when.map { .guarded($0, action) } ?? action)
        }
        return InstalledRule(
            definition, actions: actions, gate: gate(definition, running),
            deadLetter: deadLetter(definition, sinks, generation), contentHash: content)
    }

    /// What the running rule remembers stays as long as its rows and its options mean the same.
    private func gate(_ definition: RuleDefinition, _ running: InstalledRule?) -> RowGate? {
        guard let settings = definition.gate else { return nil }
        if let running, let gate = running.gate, gate.settings == settings, running.sql == definition.sql {
            return gate
        }
        return RowGate(settings)
    }

    private func deadLetter(
        _ definition: RuleDefinition, _ sinks: [String: RunningSink], _ generation: Int
    ) -> InstalledDeadLetter? {
        guard case .deadLetter(let id) = definition.onError, let sink = sinks[id] else { return nil }
        // An event that a rule raises on is often one whose payload is no text. Counted apart from what the rule's
        // actions do with the same sink.
        let encoding = definition.payloadEncoding == .utf8 ? .auto : definition.payloadEncoding
        let use = sink.worker.use(
            ruleID: definition.id, undefinedAs: definition.undefinedAs, payloadEncoding: encoding,
            generation: -generation)
        return InstalledDeadLetter(worker: sink.worker, use: use, name: id)
    }

    /// Lets sinks that nobody uses any more deliver what they have, once no shard can hand over more.
    private func retire(_ workers: [SinkWorker]) {
        guard !workers.isEmpty else { return }
        node.whenInstalled { [logger, drain = options.removalDrain] in
            let deadline = ContinuousClock.now + drain
            for worker in workers {
                logger.notice(
                    "A sink was removed and drains.", metadata: ["sink.name": "\(worker.type):\(worker.name)"])
                worker.beginDrain(until: deadline)
            }
        }
    }

    // MARK: Stop

    /// Delivers what the sinks have, until the deadline; after the node has stopped.
    /// - Returns: by sink, how many records could not be delivered.
    package func drain(until deadline: ContinuousClock.Instant) -> [(name: String, lost: Int)] {
        let workers = state.withLock { Array($0.sinks.values.map(\.worker)) }
        return SinkRuntime.drain(workers, until: deadline)
    }

    // MARK: Figures

    package var summary: (generation: Int, files: [String], lastFailure: String?) {
        state.withLock { ($0.generation, $0.files, $0.lastFailure) }
    }

    /// Every sink that runs.
    package var sinkStatuses: [SinkStatus] {
        node.settleRules()
        return state.withLock { $0.sinks.values.map(\.worker) }.map { $0.status() }.sorted {
            ($0.type, $0.name) < ($1.type, $1.name)
        }
    }

    /// Every rule in force, in the order of the files.
    /// What the rules have counted of all messages that were acknowledged before the call.
    package var ruleStatuses: [RuleStatus] {
        node.settleRules()
        let generations = state.withLock { $0.ruleGenerations }
        return node.rulesInForce.rules.map { RuleStatus($0, generation: generations[$0.id] ?? 0) }
    }
}
