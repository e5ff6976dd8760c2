import Broker
import Cluster
import ConfigSchema

extension AdminCommands {
    static let ruleSetCommands: [Command] = [
        Command(
            name: "rules history", arguments: "", summary: "List the generations of the rules"
        ) { c, _ throws(AdminError) in try c.ruleHistory() },
        Command(
            name: "rules rollback", arguments: "<Generation>", summary: "Go back to an earlier generation of the rules"
        ) { c, a throws(AdminError) in try c.rollBackRules(a) },
    ]

    /// Asked by `sluice rules …` with the files' contents; not for people.
    static let fileCommands: [Command] = [
        Command(name: "rules apply", arguments: "", summary: "") { c, a throws(AdminError) in try c.applyRules(a) },
        Command(name: "rules export", arguments: "", summary: "") { c, _ throws(AdminError) in try c.exportRules() },
    ]

    private func failed(_ failure: RuleManager.ApplyFailure) -> AdminError {
        switch failure {
        case .files(let problems, let tests):
            .failed(
                "nothing was changed, the files are not right:\n"
                    + (problems.map(\.headline) + tests).joined(separator: "\n"))
        case .cluster(let failure): AdminError(failure)
        }
    }

    private func text(_ difference: RuleManager.Difference) -> String {
        difference.added.map { "+ \($0)\n" }.joined() + difference.changed.map { "~ \($0)\n" }.joined()
            + difference.removed.map { "- \($0)\n" }.joined()
    }

    private func data(_ difference: RuleManager.Difference) -> [String: JSONValue] {
        [
            "added": .array(difference.added.map { .string($0) }),
            "changed": .array(difference.changed.map { .string($0) }),
            "removed": .array(difference.removed.map { .string($0) }),
        ]
    }

    /// Arguments: options, then `--`, then names and contents of files by turns.
    private func applyRules(_ arguments: [String]) throws(AdminError) -> Result {
        let split = arguments.firstIndex(of: "--") ?? arguments.count
        let rest = arguments.dropFirst(split + 1)
        guard rest.count.isMultiple(of: 2) else { throw .usage("a file lacks its content") }
        var files: [RuleFileContent] = []
        var index = rest.startIndex
        while index < rest.endIndex {
            files.append(RuleFileContent(path: rest[index], bytes: Array(rest[index + 1].utf8)))
            index += 2
        }
        var options = RuleManager.ApplyOptions()
        options.prunes = arguments[..<split].contains("--prune")
        options.isTrial = arguments[..<split].contains("--dry-run")
        options.takesOver = arguments[..<split].contains("--take-over")
        do throws(RuleManager.ApplyFailure) {
            let applied = try rules.apply(files, options)
            let warnings = applied.problems.map { $0.headline + "\n" }.joined()
            let sentence =
                options.isTrial
                ? applied.difference.isEmpty ? "Nothing would change.\n" : "Nothing was changed; this would be:\n"
                : applied.difference.isEmpty
                    ? "Nothing has changed: generation \(applied.generation) is in force.\n"
                    : "Generation \(applied.generation) is committed and in force.\n"
            return Result(
                text: warnings + sentence + text(applied.difference),
                data: .object(
                    data(applied.difference).merging([
                        "generation": .integer(Int(applied.generation)), "committed": .boolean(!options.isTrial),
                        "warnings": .array(applied.problems.map { .string($0.headline) }),
                    ]) { first, _ in first }))
        } catch { throw failed(error) }
    }

    private func exportRules() throws(AdminError) -> Result {
        do throws(RuleManager.ApplyFailure) {
            let files = try rules.exported()
            return Result(
                text: files.map { owner, file in
                    "# \(file.path)\(owner.isEmpty ? "" : " of \(owner)")\n---\n"
                        + String(decoding: file.bytes, as: UTF8.self) + (file.bytes.last == 10 ? "" : "\n")
                }.joined(),
                data: .array(
                    files.map { owner, file in
                        .object([
                            "owner": .string(owner), "path": .string(file.path),
                            "text": .string(String(decoding: file.bytes, as: UTF8.self)),
                        ])
                    }))
        } catch { throw failed(error) }
    }

    private func ruleHistory() throws(AdminError) -> Result {
        do throws(RuleManager.ApplyFailure) {
            let history = try rules.history()
            guard !history.isEmpty else { return Result(text: "No generations.\n", data: .array([])) }
            let lines = history.enumerated().map { index, entry in
                let (generation, difference) = entry
                let time = Timestamp.rfc3339(milliseconds: Int64(generation.time) * 1000)
                let change = "+\(difference.added.count) ~\(difference.changed.count) -\(difference.removed.count)"
                return "\(index == 0 ? "*" : " ") \(generation.number)  \(time)  \(change)  by \(generation.by)"
                    + (generation.note.isEmpty ? "\n" : " (\(generation.note))\n")
            }
            return Result(
                text: lines.joined(),
                data: .array(
                    history.map { generation, difference in
                        .object(
                            data(difference).merging([
                                "generation": .integer(Int(generation.number)),
                                "hash": .string(metaHex(generation.hash)), "time": .integer(Int(generation.time)),
                                "by": .string(generation.by), "note": .string(generation.note),
                                "objects": .integer(generation.objects.count),
                            ]) { first, _ in first })
                    }))
        } catch { throw failed(error) }
    }

    private func rollBackRules(_ arguments: [String]) throws(AdminError) -> Result {
        let word = try Self.one(arguments, "rules rollback <Generation>")
        guard let number = UInt64(word) else {
            throw .usage("\"\(word)\" is no number of a generation; see sluice ctl rules history")
        }
        do throws(RuleManager.ApplyFailure) {
            let applied = try rules.rollBack(to: number, by: "sluice ctl rules rollback")
            return Result(
                text: "Generation \(applied.generation), which is as \(number) was, is committed and in force.\n"
                    + text(applied.difference),
                data: .object(
                    data(applied.difference).merging(["generation": .integer(Int(applied.generation))]) { first, _ in
                        first
                    }))
        } catch { throw failed(error) }
    }
}
