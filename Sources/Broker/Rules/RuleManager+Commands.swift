package import Cluster
package import ConfigSchema
import Glibc
import RuleFiles

/// What `sluice rules apply`, `diff`, `export`, `history` and `rollback` do.
extension RuleManager {
    /// What a change would do, or has done.
    package struct Difference: Sendable, Equatable {
        package var added: [String] = []
        package var changed: [String] = []
        package var removed: [String] = []

        package var isEmpty: Bool { added.isEmpty && changed.isEmpty && removed.isEmpty }

        fileprivate init(from before: [String: UInt64], to after: [String: UInt64]) {
            added = after.keys.filter { before[$0] == nil }.sorted()
            changed = after.filter { before[$0.key].map { [hash = $0.value] in $0 != hash } ?? false }.map(\.key)
                .sorted()
            removed = before.keys.filter { after[$0] == nil }.sorted()
        }
    }

    package struct Applied: Sendable {
        package var generation: UInt64
        package var difference: Difference
        package var problems: [ConfigProblem]
    }

    package enum ApplyFailure: Error, Sendable {
        /// The files are wrong; nothing was changed.
        case files([ConfigProblem], failedTests: [String])
        case cluster(MetaFailure)
    }

    package struct ApplyOptions: Sendable {
        /// Whether the files are all that the cluster owns from now on.
        package var prunes = false
        package var isTrial = false
        /// Whether rules that belong to a node's files become the cluster's.
        package var takesOver = false
        package var by = "sluice rules apply"

        package init() {}
    }

    /// Checks and tests files and makes them the cluster's own, in place of those of the same names. Returns when it is committed
    /// and in force on this node. Blocks.
    package func apply(
        _ files: [RuleFileContent], _ options: ApplyOptions
    ) throws(ApplyFailure) -> Applied {
        let store = try required()
        let cluster = store.state
        var all =
            options.prunes ? [] : contents(cluster, owner: "").filter { old in !files.contains { $0.path == old.path } }
        all += files
        all.sort { $0.path < $1.path }
        let sources = all.map { SourceFile(name: $0.path, bytes: $0.bytes) }
        let loaded = RuleFileLoader.load(sources, loadOptions)
        let failed = loaded.problems.hasErrors ? [] : failedTests(sources)
        guard !loaded.problems.hasErrors, failed.isEmpty || self.options.testsOnLoad != .require else {
            throw .files(loaded.problems, failedTests: failed)
        }
        let objects = RuleIndex.entries(sources).map {
            RuleObject(id: $0.id, hash: $0.hash, file: $0.file, line: UInt32($0.line))
        }
        let before = cluster.rules.objects.mapValues(\.object.hash)
        // The cluster's own rules decide; tried out on a copy.
        var trial = cluster
        var staged: [RuleBundle.File] = []
        for file in all {
            let blob = BlobID(of: file.bytes)
            trial.blobs[blob] = file.bytes
            staged.append(RuleBundle.File(path: file.path, blob: blob))
        }
        let (answer, _) = trial.apply(
            .applyRules(
                RuleChange(
                    owner: "", manifest: .inline(RuleBundle(files: staged, objects: objects)), offer: 0,
                    expected: cluster.rules.number, takesOver: options.takesOver, time: 0, by: options.by, note: "")))
        if let failure = MetaFailure.of(answer) { throw .cluster(failure) }
        let difference = Difference(from: before, to: trial.rules.objects.mapValues(\.object.hash))
        guard !options.isTrial else {
            return Applied(generation: cluster.rules.number, difference: difference, problems: loaded.problems)
        }
        do throws(MetaFailure) {
            let (_, generation) = try store.applyRules(
                owner: "", files: all, objects: objects, offer: 0, expected: cluster.rules.number,
                takesOver: options.takesOver, time: UInt64(max(0, time(nil))), by: options.by)
            loads.sync { _ = install(store.state) }
            return Applied(generation: generation, difference: difference, problems: loaded.problems)
        } catch { throw .cluster(error) }
    }

    private func required() throws(ApplyFailure) -> MetaStore {
        guard let store else {
            throw .cluster(
                .refused(
                    reason: "this node runs without replicated rules",
                    next: "change its rule files, then sluice ctl rules reload"))
        }
        return store
    }

    private func contents(_ cluster: MetaState, owner: String) -> [RuleFileContent] {
        (cluster.rules.bundles[owner]?.files ?? []).map {
            RuleFileContent(path: $0.path, bytes: cluster.bytes(of: $0) ?? [])
        }
    }

    /// All rule files in force, by owner: empty for those that the cluster owns.
    package func exported() throws(ApplyFailure) -> [(owner: String, file: RuleFileContent)] {
        let cluster = try required().state
        return cluster.rules.bundles.keys.sorted().flatMap { owner in
            contents(cluster, owner: owner).map { (owner, $0) }
        }
    }

    /// The generations that there are to go back to, the newest first, the one in force at the front.
    package func history() throws(ApplyFailure) -> [(generation: RuleGeneration, difference: Difference)] {
        let cluster = try required().state
        guard cluster.rules.number > 0 else { return [] }
        let all = cluster.history + [cluster.rules]
        return all.indices.reversed().map { index in
            let before = index > 0 ? all[index - 1].objects.mapValues(\.object.hash) : [:]
            return (all[index], Difference(from: before, to: all[index].objects.mapValues(\.object.hash)))
        }
    }

    /// Makes an earlier generation the newest. Blocks.
    package func rollBack(to number: UInt64, by: String) throws(ApplyFailure) -> Applied {
        let store = try required()
        let before = store.state.rules
        do throws(MetaFailure) {
            let (_, generation) = try store.change(
                .rollbackRules(to: number, expected: before.number, time: UInt64(max(0, time(nil))), by: by))
            loads.sync { _ = install(store.state) }
            return Applied(
                generation: generation,
                difference: Difference(
                    from: before.objects.mapValues(\.object.hash),
                    to: store.state.rules.objects.mapValues(\.object.hash)), problems: [])
        } catch { throw .cluster(error) }
    }
}
