import Cluster
import ConfigSchema
import Dispatch
import Glibc
import RuleFiles
import Sinks

/// Rules by way of the cluster: this node's files are handed in, and what is committed is compiled and put in force.
extension RuleManager {
    package static let driftAlarm = "rules_drift"
    package static let incompleteAlarm = "rules_incomplete"
    private static let retrySeconds = 2

    /// Puts in force whatever the cluster has committed, from now on.
    package func followCluster() {
        store?.machine.observe { [weak self] cluster, change in
            guard let self, !change.isDisjoint(with: [.rules, .members]) else { return }
            loads.async { self.take(cluster, change) }
        }
    }

    private func take(_ cluster: MetaState, _ change: MetaChange) {
        // A node that has just joined hands its files in before its rules would go.
        let isNew =
            options.readsFiles && cluster.isMember(options.nodeName) && cluster.offers[options.nodeName] == nil
            && state.withLock { !$0.own.isEmpty && $0.lastFailure == nil }
        if isNew, let store, load(through: store, again: false, installsFirst: false).isInForce { return }
        if change.contains(.rules) { install(cluster) }
        reviewDrift(cluster)
    }

    // MARK: This node's files

    /// On the queue of loads.
    func load(through store: MetaStore, again: Bool, installsFirst: Bool = true) -> Report {
        var report = Report(isInForce: false, problems: [], failedTests: [], generation: 0)
        // What was committed last runs first: it needs nobody's consent.
        if installsFirst { install(store.state) }
        report.generation = state.withLock { $0.generation }
        guard options.readsFiles else {
            report.isInForce = true
            state.withLock { $0.lastFailure = nil }
            return report
        }
        let (sources, missing) = RuleFileFinder.sources(options.paths, missingIsError: options.requiresPaths)
        let loaded = RuleFileLoader.load(sources, loadOptions)
        report.problems = missing + loaded.problems
        report.files = loaded.files
        if !report.problems.hasErrors { report.failedTests = failedTests(sources) }
        let isRefused = !report.failedTests.isEmpty && options.testsOnLoad == .require
        if report.problems.hasErrors || isRefused {
            let failure =
                report.problems.first { $0.severity == .error }?.headline
                ?? "test failed: \(report.failedTests.first ?? "")"
            state.withLock { $0.lastFailure = failure }
            raiseAlarm(report, failure)
            return report
        }
        return offer(sources, store, again, report)
    }

    private func offer(_ sources: [SourceFile], _ store: MetaStore, _ again: Bool, _ before: Report) -> Report {
        var report = before
        let objects = RuleIndex.entries(sources).map {
            RuleObject(id: $0.id, hash: $0.hash, file: $0.file, line: UInt32($0.line))
        }
        state.withLock { $0.own = objects }
        let cluster = store.state
        let offer = Self.hash(sources)
        let isKnown = cluster.offers[options.nodeName] == offer
        let hasNothing = sources.isEmpty && cluster.rules.bundles[options.nodeName] == nil
        if !hasNothing, again || !isKnown {
            do throws(MetaFailure) {
                _ = try store.applyRules(
                    owner: options.nodeName, files: sources.map { RuleFileContent(path: $0.name, bytes: $0.bytes) },
                    objects: objects, offer: offer, time: Self.now, by: options.nodeName, note: "rule files")
            } catch {
                report.refusal = error
                refused(error, report)
                return report
            }
        }
        state.withLock { state in
            state.lastFailure = nil
            state.isOfferPending = false
        }
        let installed = install(store.state)
        report.isInForce = true
        report.generation = installed.generation
        report.added = installed.added
        report.changed = installed.changed
        report.removed = installed.removed
        raiseAlarm(report, nil)
        reviewDrift(store.state)
        return report
    }

    /// A conflict stays until somebody changes something; anything else is tried again.
    private func refused(_ failure: MetaFailure, _ report: Report) {
        if case .conflict(let reason, _) = failure {
            state.withLock { $0.lastFailure = reason }
            reviewDrift(store?.state ?? MetaState())
            return
        }
        let isFirst = state.withLock { state -> Bool in
            state.lastFailure = failure.description
            defer { state.isOfferPending = true }
            return !state.isOfferPending
        }
        node.alarms.activate(
            Self.rulesAlarm, details: ["generation": .integer(report.generation)],
            message:
                "the cluster has not taken this node's rule files; what was committed before stays in force: \(failure)"
        )
        if isFirst { retryLater() }
    }

    private func retryLater() {
        loads.asyncAfter(deadline: .now() + .seconds(Self.retrySeconds)) { [weak self] in
            guard let self, let store, state.withLock({ $0.isOfferPending }) else { return }
            state.withLock { $0.isOfferPending = false }
            let report = load(through: store, again: false)
            if report.isInForce {
                logger.notice(
                    "The cluster has taken this node's rule files.",
                    metadata: ["rules.generation": "\(report.generation)"])
            }
        }
    }

    /// Changes with each byte of the files and their names. Never 0.
    private static func hash(_ sources: [SourceFile]) -> UInt64 {
        let hash = sources.reduce(metaHash([])) {
            metaHash($1.bytes, metaHash("\($1.name)\u{0}\($1.bytes.count)\u{0}".utf8, $0))
        }
        return max(1, hash)
    }

    private static var now: UInt64 { UInt64(max(0, time(nil))) }

    // MARK: What is committed

    /// Compiles the cluster's rules and puts them in force. What cannot run here is an alarm; the rest runs. On the queue of loads.
    @discardableResult
    func install(_ cluster: MetaState) -> Report {
        // A state without a cluster is one that is being left: what runs goes on.
        guard cluster.clusterID != 0 else {
            return Report(
                isInForce: true, problems: [], failedTests: [], generation: state.withLock { $0.generation })
        }
        let committed = cluster.rules
        var report = Report(
            isInForce: true, problems: [], failedTests: [], generation: Int(committed.number))
        let isSame = state.withLock { state in
            state.committed?.objects == committed.objects && state.committed?.bundles == committed.bundles
                && state.committed?.number == committed.number
        }
        guard !isSame, committed.number > 0 || state.withLock({ $0.installs > 0 }) else {
            state.withLock { $0.generation = Int(committed.number) }
            return report
        }
        let loaded = RuleFileLoader.load(Self.sets(cluster), loadOptions)
        // What only depends on something broken has no problem of its own.
        var failures = loaded.broken.compactMapValues { $0.first?.headline }
        state.withLock { state in
            do throws(SinkFailure) {
                try install(loaded, &state, &report, generation: Int(committed.number)) { id, failure in
                    failures[id] = failure.reason
                }
            } catch {
                // Only a console sink can fail here.
                failures["console"] = error.reason
            }
            state.committed = committed
            state.ruleGenerations = [:]
            for (id, owned) in committed.objects where id.hasPrefix("rule:") {
                state.ruleGenerations[String(id.dropFirst(5))] = Int(owned.generation)
            }
        }
        report.problems = loaded.problems
        tellIncomplete(failures)
        return report
    }

    static func sets(_ cluster: MetaState) -> [RuleFileSet] {
        cluster.rules.bundles.sorted { $0.key < $1.key }.map { owner, bundle in
            RuleFileSet(
                sources: bundle.files.map { SourceFile(name: $0.path, bytes: cluster.bytes(of: $0) ?? []) },
                accepted: cluster.rules.accepted(of: owner))
        }
    }

    private func tellIncomplete(_ failures: [String: String]) {
        guard !failures.isEmpty else {
            node.alarms.deactivate(Self.incompleteAlarm)
            return
        }
        let lines = failures.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
        node.alarms.activate(
            Self.incompleteAlarm,
            details: ["node": .text(options.nodeName), "objects": .list(Array(lines.prefix(10)))],
            message:
                "\(failures.count) of the cluster's rules, actions or connectors cannot run on \(options.nodeName): \(lines[0])"
        )
        logger.error(
            "Some of the cluster's rules cannot run on this node.",
            metadata: ["rules.broken": "\(lines.joined(separator: "; "))"])
    }

    /// An alarm as long as this node's files say something else than what is in force.
    func reviewDrift(_ cluster: MetaState) {
        let (own, isPending) = state.withLock { ($0.own, $0.isOfferPending) }
        guard !isPending else { return }
        let differing = own.filter { cluster.rules.objects[$0.id]?.object.hash != $0.hash }
        guard let first = differing.first else {
            node.alarms.deactivate(Self.driftAlarm)
            return
        }
        let present = cluster.rules.objects[first.id]
        let whose = present.map {
            $0.owner.isEmpty ? "the cluster's own text" : "that of \($0.owner) (\($0.object.origin))"
        }
        node.alarms.activate(
            Self.driftAlarm,
            details: [
                "node": .text(options.nodeName), "file": .text(first.origin), "hash": .text(metaHex(first.hash)),
                "in_force": .text(present.map { metaHex($0.object.hash) } ?? "none"),
                "objects": .list(Array(differing.map(\.id).prefix(10))),
            ],
            message:
                "\(first.id) in \(first.origin) on \(options.nodeName) is not what is in force: \(whose ?? "nothing of that name")"
        )
    }
}
