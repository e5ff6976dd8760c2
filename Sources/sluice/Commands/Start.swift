import Access
import ArgumentParser
import Broker
import ConfigSchema
import Foundation
import Logging
import Management
import ServiceLifecycle
import UnixSignals

/// `sluice start`: runs a node in the foreground until SIGTERM or SIGINT.
struct Start: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a node in the foreground.",
        discussion: "SIGHUP reads the rule files and certificates again; SIGTERM drains and ends with 0.")

    @Option(name: .shortAndLong, help: "The configuration file; without one the defaults and SLUICE_ variables count.")
    var config: String?

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        // Until the service that reloads listens for it: the default would end the program.
        signal(SIGHUP, SIG_IGN)
        let configuration = try Configuration.load(config)
        LoggingSystem.bootstrap { label in
            var handler: any LogHandler =
                configuration.log.format == .json
                ? JSONLogHandler(label: label) : StreamLogHandler.standardError(label: label)
            handler.logLevel = Logger.Level(configuration.log.level)
            return handler
        }
        let logger = Logger(label: "sluice")
        let node = try RunningNode(configuration, logger: logger)
        try await node.run()
    }
}

/// A node with all that belongs to it, from start to drain.
struct RunningNode {
    private let configuration: BrokerConfiguration
    /// Held for as long as the node runs.
    private let directory: DataDirectory
    private let node: BrokerNode
    private let rules: RuleManager
    private let admin: AdminServer
    private let watcher: RuleWatcher?
    /// Nil for a node on its own.
    private let cluster: RunningCluster?
    private let logger: Logger
    private let hasRuleFiles: Bool

    init(_ configuration: BrokerConfiguration, logger: Logger) throws {
        self.configuration = configuration
        self.logger = logger
        OpenFiles.check(OpenFiles.raiseLimit(logger), configuration.listeners, logger)
        directory = try DataDirectory(configuration.node.dataDirectory)
        let environment = ProcessInfo.processInfo.environment
        let options = NodeOptions(configuration, version: sluiceVersion, environment: environment)
        let access: AccessControl
        do throws(AccessFailure) {
            access = try AccessControl(
                configuration.access, dataDirectory: configuration.node.dataDirectory, logger: logger)
        } catch { throw Failure("access control is not right, nothing was started: \(error)") }
        let node = BrokerNode(options, access: access, logger: logger)
        self.node = node
        let cluster =
            RunningCluster.isWanted(configuration) ? try RunningCluster(configuration, for: node, logger: logger) : nil
        self.cluster = cluster
        let rules = RuleManager(
            node: node, options: Self.ruleOptions(configuration), environment: .process(), store: cluster?.node.store,
            logger: logger)
        self.rules = rules
        admin = AdminServer(
            path: AdminServer.path(dataDirectory: configuration.node.dataDirectory), node: node, rules: rules,
            cluster: cluster?.node, discovery: cluster?.discovery, logger: logger)
        rules.followCluster()
        try cluster?.open()
        let report = rules.load()
        Problems.print(report.problems)
        for test in report.failedTests { Problems.print(line: test) }
        guard Self.mayStart(report, configuration) else {
            Self.giveUp(node, rules, cluster)
            throw Failure("the rules are not right; nothing was started")
        }
        if let refusal = report.refusal { Problems.print(line: "the rule files wait for the cluster: \(refusal)") }
        do {
            try node.start(options)
            try cluster?.link()
        } catch {
            Self.giveUp(node, rules, cluster)
            throw Failure("\(error)")
        }
        do { try admin.start() } catch {
            Self.giveUp(node, rules, cluster)
            throw Failure(
                "the admin socket \(AdminServer.path(dataDirectory: configuration.node.dataDirectory)) can't be made: \(error)"
            )
        }
        watcher =
            configuration.rules.source == .files
            ? RuleWatcher(paths: configuration.rules.paths, logger: logger) {
                Self.reload(rules, logger, because: "a rule file changed")
            } : nil
        do { try watcher?.start() } catch {
            admin.stop()
            Self.giveUp(node, rules, cluster)
            throw error
        }
        hasRuleFiles = !report.files.isEmpty
    }

    private static func ruleOptions(_ configuration: BrokerConfiguration) -> RuleManager.Options {
        var options = RuleManager.Options(
            paths: configuration.rules.paths, requiresPaths: !configuration.rules.pathsAreDefault,
            testsOnLoad: configuration.rules.testsOnLoad, nodeName: configuration.node.name,
            dataDirectory: URL(fileURLWithPath: configuration.node.dataDirectory).path)
        options.readsFiles = configuration.rules.source == .files
        options.requiresValid = configuration.rules.requiresValid
        return options
    }

    /// Files that are wrong are the end of the start, unless a cluster has rules that can run. Files that the cluster has not
    /// taken yet are offered again.
    private static func mayStart(_ report: RuleManager.Report, _ configuration: BrokerConfiguration) -> Bool {
        report.isInForce || report.refusal != nil || report.generation > 0 && !configuration.rules.requiresValid
    }

    /// Ends what runs already of a start that fails.
    private static func giveUp(_ node: BrokerNode, _ rules: RuleManager, _ cluster: RunningCluster?) {
        cluster?.stop()
        node.stop()
        _ = rules.drain(until: .now)
    }

    private func announce() {
        for listener in node.listeners { say("Listener \(listener.id) on \(listener.address) started.") }
        if !hasRuleFiles {
            say("No rule files in \(configuration.rules.paths.joined(separator: ", ")).")
        } else {
            say("Rules:")
            for rule in rules.ruleStatuses { say("  \(rule.id)  (\(rule.origin))") }
        }
        if let cluster { say("Node \(configuration.node.name) waits for other nodes at \(cluster.address).") }
        say("Sluice \(sluiceVersion) is running now!")
        if let listener = node.listeners.first(where: { $0.id.hasPrefix("tcp:") }),
            let port = listener.address.split(separator: ":").last
        {
            say(
                "Next: mosquitto_sub -p \(port) -t 'demo/#' -v     and     mosquitto_pub -p \(port) -t demo/hello -m hello"
            )
        }
    }

    /// A line on standard output, at once: who waits for the start may read from a pipe.
    private func say(_ line: String) { FileHandle.standardOutput.write(Data((line + "\n").utf8)) }

    private static func reloadAccess(_ node: BrokerNode, _ logger: Logger) {
        for problem in node.reloadAccess() {
            logger.error(
                "A file of access control was refused; what was read before stays in force.",
                metadata: ["error": "\(problem)"])
        }
    }

    static func reload(_ rules: RuleManager, _ logger: Logger, because reason: String) {
        let report = rules.load()
        guard report.isInForce else {
            Problems.print(report.problems)
            for test in report.failedTests { Problems.print(line: test) }
            if let refusal = report.refusal { Problems.print(line: "\(refusal)") }
            logger.error(
                "The rule files were refused; the rules before stay in force.",
                metadata: ["rules.generation": "\(report.generation)", "reason": "\(reason)"])
            return
        }
        logger.notice(
            "Rules are in force.",
            metadata: [
                "rules.generation": "\(report.generation)", "rules.added": "\(report.added.joined(separator: ","))",
                "rules.changed": "\(report.changed.joined(separator: ","))",
                "rules.removed": "\(report.removed.joined(separator: ","))", "reason": "\(reason)",
            ])
    }

    /// Serves until a signal says stop, then drains: clients first, sinks after them.
    func run() async throws {
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [
                    .init(service: NodeService(announce: { announce() }, stop: { stop() })),
                    .init(
                        service: HangUpService(
                            reload: {
                                Self.reload(rules, logger, because: "SIGHUP")
                                Self.reloadAccess(node, logger)
                                node.reloadCertificates()
                            })),
                ], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger))
        try await group.run()
    }

    private func stop() {
        watcher?.stop()
        admin.stop()
        cluster?.stop()
        node.stop()
        let deadline = ContinuousClock.now + configuration.drainTimeout
        for (name, lost) in rules.drain(until: deadline) where lost > 0 {
            logger.error("Records were lost at shutdown.", metadata: ["sink.name": "\(name)", "sink.lost": "\(lost)"])
        }
        logger.notice("The node has stopped.")
    }
}

/// Stands for the node in the service group: its threads run on their own, it waits for the end and ends them.
private struct NodeService: Service {
    let announce: @Sendable () -> Void
    let stop: @Sendable () -> Void

    func run() async throws {
        // Here the group traps SIGTERM already: who has read that the node runs may end it.
        announce()
        try await gracefulShutdown()
        await withCheckedContinuation { continuation in
            // Blocks for as long as the drain takes, so not on a thread of the concurrency pool.
            Thread.detachNewThread {
                stop()
                continuation.resume()
            }
        }
    }
}

private struct HangUpService: Service {
    let reload: @Sendable () -> Void

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            await withCheckedContinuation { continuation in
                Thread.detachNewThread {
                    reload()
                    continuation.resume()
                }
            }
        }
    }
}

extension Logger.Level {
    init(_ level: LogSettings.Level) {
        switch level {
        case .debug: self = .debug
        case .info: self = .info
        case .notice: self = .notice
        case .warning: self = .warning
        case .error: self = .error
        }
    }
}
