import Buffers
import Logging
import MQTTCodec
import RuleEngine
import Topics

/// What a rule's republishes failed of since it was last said.
struct RepublishFailures {
    /// Milliseconds between two lines.
    static let interval: Int64 = 60_000

    var nextReport: Int64 = 0
    private(set) var count = 0
    private(set) var reason = ""

    mutating func note(_ reason: () -> String) {
        // The first one's: the next ones mostly have the same.
        if count == 0 { self.reason = reason() }
        count += 1
    }
}

/// Rows that become messages. [EMQX rule-sql: republish]
extension RuleStage {
    /// - Returns: whether the action succeeded; a message that this very rule published is left alone, which is a success
    ///   as in EMQX.
    func republish(
        _ action: RepublishAction, _ runner: RuleRunner, row: Value, event: any EventColumns, message: MessageView?
    ) -> Bool {
        let hops = (message?.traits.hops ?? 0) &+ 1
        guard hops <= runner.rule.maxHops else {
            fail(
                .badArgument(function: "republish", reason: "the message has passed \(hops - 1) rules"),
                toRepublish: runner)
            return false
        }
        do throws(EvaluationError) {
            var origin = RepublishEvent()
            origin.flags = try event.value(of: .flags, in: context)
            origin.publishProperties = try event.value(of: .pubProps, in: context)
            if hops > 1 { origin.republishedBy = message?.publisher?.clientID }
            guard let made = try action.message(row: row, event: origin, context: prepareTemplates(runner.rule)) else {
                noteFailure(of: runner, "the message came from this rule")
                return true
            }
            // As for a client's topics: a text from a payload may be anything. [MQTT-3.3.2-2]
            guard UTF8Text.isValid(made.topic) else {
                throw .badArgument(function: "republish", reason: "the rendered topic is not UTF-8")
            }
            guard TopicSyntax.levels(made.topic) <= shard.settings.maxTopicLevels else {
                throw .badArgument(function: "republish", reason: "the rendered topic has too many levels")
            }
            shard.republished.append(shard.makeMessage(made, runner: runner, hops: hops))
            return true
        } catch {
            fail(error, toRepublish: runner)
            return false
        }
    }

    private func fail(_ error: EvaluationError, toRepublish runner: RuleRunner) {
        runner.counters.note(error, in: .republish, nanoseconds: context.nowNanoseconds)
        noteFailure(of: runner, error.explanation)
    }

    /// Counted with the rule; said once a minute, since each message may fail.
    private func noteFailure(of runner: RuleRunner, _ reason: @autoclosure () -> String) {
        failures[runner.rule.id, default: RepublishFailures()].note(reason)
    }

    /// In the timer's tick: a line for each rule whose republishes have failed since its last one.
    func reportFailures(now: Int64) {
        guard !failures.isEmpty else { return }
        for (id, failed) in failures where now >= failed.nextReport {
            guard failed.count > 0 else {
                failures[id] = nil
                continue
            }
            logger.warning(
                "Republishes did not take place.",
                metadata: ["rule.id": "\(id)", "rule.republishes": "\(failed.count)", "error": "\(failed.reason)"])
            failures[id] = RepublishFailures(nextReport: now + RepublishFailures.interval)
        }
    }
}
