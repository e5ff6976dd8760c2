package import ConfigSchema
import RuleEngine

/// Rewrites what tests expect to what they saw. Works on texts; the caller writes the files.
///
/// The new texts are tried before they are handed out: each changed test passes, and no other test fails that passed.
package struct RuleTestUpdate {
    package struct File: Sendable {
        package let source: SourceFile
        /// Without a byte order mark, as the source's.
        package let bytes: [UInt8]
        /// `file:line:column: rule: test: output.temp: 41 → 42`, of the old text.
        package let changes: [String]
    }

    /// Those that change, in the sources' order.
    package private(set) var files: [File] = []
    /// What differs and stays as it is, with the reason.
    package private(set) var refusals: [ConfigProblem] = []

    package init(_ sources: [SourceFile], nodeName: String = "sluice@127.0.0.1", filter: String? = nil) {
        let trials = RuleTestRunner.trials(sources, nodeName: nodeName)
        let unreadable = trials.filter { trial in trial.result.failures.contains { $0.code != .failedTest } }
        guard unreadable.isEmpty else {
            refusals = unreadable.flatMap(\.result.failures)
            return
        }
        var proposals = trials.filter { trial in
            let isChosen = filter.map { trial.result.rule.contains($0) || trial.result.name.contains($0) } ?? true
            return isChosen && !trial.result.passed
        }.map { Proposal($0) }
        for source in sources { add(source, proposals) }
        guard !files.isEmpty else {
            refusals += proposals.flatMap(\.refusals)
            return
        }
        let texts = sources.map { source in
            files.first { $0.source === source }.map { SourceFile(name: source.name, bytes: $0.bytes) } ?? source
        }
        let passing = Set(RuleTestRunner.trials(texts, nodeName: nodeName).filter(\.result.passed).map(\.id))
        // A change in one place may be what another test needed as well.
        proposals.removeAll { passing.contains($0.trial.id) }
        refusals += proposals.flatMap(\.refusals)
        check(trials.filter { $0.result.passed && !passing.contains($0.id) }, proposals)
    }

    /// What is to become of one test.
    private struct Proposal {
        let trial: RuleTestRunner.Trial
        let edits: YAMLEdits
        let changes: [String]
        let refusals: [ConfigProblem]

        init(_ trial: RuleTestRunner.Trial) {
            self.trial = trial
            let label = "\(trial.result.rule): \(trial.result.name)"
            guard let expect = trial.expect, expect.node.source === trial.source, expect.node.start >= trial.node.start
            else {
                edits = YAMLEdits(trial.source)
                changes = []
                refusals = [trial.node.problem(.failedTest, "\(label): not changed: it comes from an alias")]
                return
            }
            let values = ExpectedValues(expect, trial.seen, source: trial.source, label: label)
            (edits, changes, refusals) = (values.edits, values.changes, values.refusals)
        }
    }

    private mutating func add(_ source: SourceFile, _ proposals: [Proposal]) {
        var edits = YAMLEdits(source)
        let own = proposals.filter { $0.trial.source === source }
        for proposal in own { edits.add(proposal.edits) }
        guard !edits.isEmpty else { return }
        do throws(YAMLEdits.Refusal) {
            let bytes = try edits.applied()
            guard
                Self.withoutExpectations(SourceFile(name: source.name, bytes: bytes))
                    == Self.withoutExpectations(source)
            else { throw YAMLEdits.Refusal(reason: "the changes would touch more than expected values") }
            files.append(File(source: source, bytes: bytes, changes: own.flatMap(\.changes)))
        } catch {
            refuse(source, error.reason)
        }
    }

    /// What the file means apart from what tests expect; nil when it cannot be read.
    private static func withoutExpectations(_ source: SourceFile) -> [String]? {
        let parsed = YAMLParser.parse(source)
        return parsed.problems.hasErrors ? nil : parsed.documents.map { $0.removingEverywhere("expect").canonicalJSON }
    }

    private mutating func refuse(_ source: SourceFile, _ reason: String) {
        refusals.append(
            ConfigProblem(
                .failedTest, "this file was not changed: \(reason)", in: source, at: SourcePosition(line: 1, column: 1),
                showsSource: false))
    }

    /// Drops the files whose new text is not what it should be.
    ///
    /// - Parameters:
    ///   - broken: tests that passed before the changes only.
    ///   - open: tests that do not pass with the changes.
    private mutating func check(_ broken: [RuleTestRunner.Trial], _ open: [Proposal]) {
        for file in files {
            let wrong = open.first { $0.trial.source === file.source && $0.refusals.isEmpty && !$0.changes.isEmpty }
            guard let bad = (wrong.map(\.trial) ?? broken.first { $0.source === file.source })?.result else { continue }
            files.removeAll { $0.source === file.source }
            refuse(file.source, "with the changes \"\(bad.rule): \(bad.name)\" would not pass")
        }
    }
}

extension YAMLNode {
    /// The node without the entries of that key, at any depth.
    fileprivate func removingEverywhere(_ key: String) -> YAMLNode {
        var result = self
        switch content {
        case .scalar: break
        case .sequence(let items): result.content = .sequence(items.map { $0.removingEverywhere(key) })
        case .mapping(let entries):
            result.content = .mapping(
                entries.filter { $0.name != key }.map {
                    YAMLEntry(key: $0.key, value: $0.value.removingEverywhere(key))
                })
        }
        return result
    }
}
