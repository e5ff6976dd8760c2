import Broker
import Sinks

extension AdminCommands {
    func ruleList() -> Result {
        let rules = self.rules.ruleStatuses
        return Result(
            text: rules.isEmpty
                ? "No rules.\n"
                : rules.map { "Rule{id=\($0.id), name=\($0.name), enabled=\($0.isEnabled), descr=\($0.description)}\n" }
                    .joined(),
            data: .array(rules.map { data($0) }))
    }

    func rule(_ id: String) throws(AdminError) -> Result {
        let rules = self.rules.ruleStatuses
        guard let rule = rules.first(where: { $0.id == id }) else {
            throw .notFound("there is no rule \"\(id)\"; the rules are: \(rules.map(\.id).joined(separator: ", "))")
        }
        var text = "Id:\n  \(rule.id)\nName:\n  \(rule.name)\nDescription:\n  \(rule.description)\n"
        text += "Enabled:\n  \(rule.isEnabled)\nFile:\n  \(rule.origin)\n"
        text += "SQL:\n" + rule.sql.split(separator: "\n").map { "  \($0)\n" }.joined()
        if !rule.options.isEmpty { text += "Holds back by:\n" + rule.options.map { "  \($0)\n" }.joined() }
        text += "Metrics:\n" + metrics(rule).map { "  \(padded($0.name, 24)): \($0.value)\n" }.joined()
        if let failure = rule.totals.lastFailure { text += "Last error:\n  \(line(failure))\n" }
        text += "Actions:\n"
        for action in rule.actions {
            text += "- Name: \(action.name)\n  \(figures(action))\n"
        }
        if let letter = rule.deadLetter { text += "Dead letters:\n- Name: \(letter.name)\n  \(figures(letter))\n" }
        if !rule.memory.isEmpty {
            text += "Remembers:\n"
            for table in rule.memory {
                text += "  \(padded(table.option, 24)): \(table.keys) keys, \(table.forgotten) forgotten\n"
            }
        }
        return Result(text: text, data: data(rule))
    }

    private func line(_ failure: RuleFailure) -> String {
        let place =
            switch failure.part {
            case .statement: ""
            case .condition: "the condition of an action: "
            case .republish: "a republish: "
            }
        let time = Timestamp.rfc3339(milliseconds: failure.milliseconds)
        return "\(time) \(place)\(failure.error.name): \(failure.error.explanation)"
    }

    private func figures(_ action: RuleStatus.Action) -> String {
        let skipped = action.skipped.map { ", skipped: \($0)" } ?? ""
        return "success: \(action.success), failed: \(action.failed), dropped: \(action.dropped), "
            + "queued: \(action.queued)\(skipped)"
    }

    /// Rules that hold rows back show how many; the others have the usual figures alone.
    private func metrics(_ rule: RuleStatus) -> [(name: String, value: Int)] {
        let held = rule.totals.held
        let gate = [
            ("failed.no_result.held", held.matches), ("held.rows", held.rows), ("held.sample", held.sampled),
            ("held.on_change", held.unchanged), ("held.suppress", held.suppressed), ("held.throttle", held.throttled),
        ]
        return [
            ("matched", rule.totals.matched), ("passed", rule.totals.passed), ("failed", rule.totals.failed),
            ("failed.exception", rule.totals.exceptions), ("failed.no_result", rule.totals.noResult),
        ] + (rule.hasGate ? gate : []) + [
            ("rows", rule.totals.rows), ("actions.total", rule.actionsTotal), ("actions.success", rule.actionsSuccess),
            ("actions.failed", rule.actionsFailed), ("actions.dropped", rule.actionsDropped),
            ("actions.queued", rule.actionsQueued),
        ]
    }

    private func data(_ rule: RuleStatus) -> JSONValue {
        .object([
            "id": .string(rule.id), "name": .string(rule.name), "description": .string(rule.description),
            "enable": .boolean(rule.isEnabled), "sql": .string(rule.sql), "origin": .string(rule.origin),
            "generation": .integer(rule.generation),
            "metrics": .object(Dictionary(uniqueKeysWithValues: metrics(rule).map { ($0.name, .integer($0.value)) })),
            "actions": .array(rule.actions.map { data($0) }),
            "last_error": rule.totals.lastFailure.map { data($0) } ?? .null,
            "dead_letters": rule.deadLetter.map { data($0) } ?? .null,
            "remembers": .object(
                Dictionary(
                    uniqueKeysWithValues: rule.memory.map {
                        ($0.option, .object(["keys": .integer($0.keys), "forgotten": .integer($0.forgotten)]))
                    })),
        ])
    }

    private func data(_ failure: RuleFailure) -> JSONValue {
        .object([
            "at": .integer(Int(failure.milliseconds)), "error": .string(failure.error.name),
            "message": .string(failure.error.explanation),
            "part": .string(failure.part.rawValue),
        ])
    }

    private func data(_ action: RuleStatus.Action) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(action.name), "success": .integer(action.success), "failed": .integer(action.failed),
            "dropped": .integer(action.dropped), "queued": .integer(action.queued),
        ]
        if let skipped = action.skipped { members["skipped"] = .integer(skipped) }
        return .object(members)
    }

    func reload() throws(AdminError) -> Result {
        let report = rules.load(again: true)
        if let refusal = report.refusal { throw AdminError(refusal) }
        guard report.isInForce else {
            let reasons = report.problems.map(\.headline) + report.failedTests
            throw .failed(
                "the rule files were refused, the rules before stay in force:\n" + reasons.joined(separator: "\n"))
        }
        let text =
            "Rules of generation \(report.generation) are in force: \(report.added.count) added, "
            + "\(report.changed.count) changed, \(report.removed.count) removed.\n"
        return Result(
            text: text,
            data: .object([
                "generation": .integer(report.generation), "added": .array(report.added.map { .string($0) }),
                "changed": .array(report.changed.map { .string($0) }),
                "removed": .array(report.removed.map { .string($0) }),
            ]))
    }

    // MARK: Sinks

    func sinkList() -> Result {
        let sinks = rules.sinkStatuses
        return Result(
            text: sinks.isEmpty
                ? "No sinks.\n"
                : sinks.map { sink in
                    "Sink{id=\(sink.type):\(sink.name), status=\(sink.state.name), queuing=\(sink.counters.queuing), "
                        + "success=\(sink.counters.success), failed=\(sink.counters.failed), dropped=\(sink.counters.dropped)}\n"
                }.joined(),
            data: .array(sinks.map { data($0) }))
    }

    func sink(_ id: String) throws(AdminError) -> Result {
        let sinks = rules.sinkStatuses
        guard let sink = sinks.first(where: { "\($0.type):\($0.name)" == id || $0.name == id }) else {
            let known = sinks.map { "\($0.type):\($0.name)" }.joined(separator: ", ")
            throw .notFound("there is no sink \"\(id)\"; the sinks are: \(known)")
        }
        var text = "Id:\n  \(sink.type):\(sink.name)\nStatus:\n  \(sink.state.name)"
        if case .disconnected(let reason) = sink.state { text += " (\(reason))" }
        text += "\nMetrics:\n" + sink.counters.named.map { "  \(padded($0.name, 24)): \($0.value)\n" }.joined()
        if let error = sink.lastError { text += "Last error:\n  \(error)\n" }
        return Result(text: text, data: data(sink))
    }

    private func data(_ sink: SinkStatus) -> JSONValue {
        var reason: JSONValue = .null
        if case .disconnected(let text) = sink.state { reason = .string(text) }
        return .object([
            "id": .string("\(sink.type):\(sink.name)"), "type": .string(sink.type), "name": .string(sink.name),
            "status": .string(sink.state.name), "status_reason": reason,
            "metrics": .object(
                Dictionary(uniqueKeysWithValues: sink.counters.named.map { ($0.name, .integer($0.value)) })),
            "buffered_bytes": .integer(sink.bufferedBytes), "last_error": sink.lastError.map { .string($0) } ?? .null,
            "rules": .array(
                sink.rules.map { rule in
                    .object([
                        "id": .string(rule.ruleID),
                        "metrics": .object(
                            Dictionary(uniqueKeysWithValues: rule.counters.named.map { ($0.name, .integer($0.value)) })),
                    ])
                }),
        ])
    }
}
