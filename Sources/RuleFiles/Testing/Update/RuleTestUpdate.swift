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
        let chosen = trials.filter { trial in
            filter.map { trial.result.rule.contains($0) || trial.result.name.contains($0) } ?? true
        }
        for source in sources { add(source, chosen) }
        check(sources, trials, nodeName)
    }

    private mutating func add(_ source: SourceFile, _ trials: [RuleTestRunner.Trial]) {
        var edits = YAMLEdits(source)
        var changes: [String] = []
        for trial in trials where !trial.result.passed {
            guard let expect = trial.expect, trial.source === source else { continue }
            let label = "\(trial.result.rule): \(trial.result.name)"
            guard expect.node.source === source, expect.node.start >= trial.node.start else {
                refusals.append(trial.node.problem(.failedTest, "\(label): not changed: it comes from an alias"))
                continue
            }
            let values = ExpectedValues(expect, trial.seen, source: source, label: label)
            edits.add(values.edits)
            changes += values.changes
            refusals += values.refusals
        }
        guard !edits.isEmpty else { return }
        do throws(YAMLEdits.Refusal) {
            files.append(File(source: source, bytes: try edits.applied(), changes: changes))
        } catch {
            refuse(source, error.reason)
        }
    }

    private mutating func refuse(_ source: SourceFile, _ reason: String) {
        refusals.append(
            ConfigProblem(
                .failedTest, "this file was not changed: \(reason)", in: source, at: SourcePosition(line: 1, column: 1),
                showsSource: false))
    }

    /// Drops the files whose new text is not better than the old.
    private mutating func check(_ sources: [SourceFile], _ before: [RuleTestRunner.Trial], _ nodeName: String) {
        guard !files.isEmpty else { return }
        let texts = sources.map { source in
            files.first { $0.source === source }.map { SourceFile(name: source.name, bytes: $0.bytes) } ?? source
        }
        let after = RuleTestRunner.trials(texts, nodeName: nodeName)
        func id(_ trial: RuleTestRunner.Trial) -> String { "\(trial.result.rule)\u{0}\(trial.number)" }
        let passing = Set(after.filter(\.result.passed).map(id))
        for file in files {
            let bad = before.first { trial in
                guard !passing.contains(id(trial)) else { return false }
                return trial.result.passed || changed(trial, file)
            }
            if let bad {
                files.removeAll { $0.source === file.source }
                refuse(file.source, "with the changes \"\(bad.result.rule): \(bad.result.name)\" would not pass")
            }
        }
    }

    /// Whether the file changes all of what differs in a test.
    private func changed(_ trial: RuleTestRunner.Trial, _ file: File) -> Bool {
        let label = "\(trial.result.rule): \(trial.result.name): "
        return file.changes.contains { $0.contains(label) } && !refusals.contains { $0.message.hasPrefix(label) }
    }
}
