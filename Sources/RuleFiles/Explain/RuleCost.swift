import Buffers
package import RuleEngine

/// What evaluating a rule for one event costs, measured in this process.
package struct RuleCost: Sendable, Encodable {
    /// Nanoseconds for one evaluation: the median of ``rounds``.
    package let nanoseconds: Double
    /// With the rows written as JSON.
    package let nanosecondsWithJSON: Double
    /// Of the fastest and the slowest round.
    package let fastest: Double
    package let slowest: Double
    package let rounds: Int
    package let evaluationsPerRound: Int
    /// How the evaluation ends: `passed`, `no_result`, or the error.
    package let outcome: String
    package let rows: Int
    /// Of the rows as JSON.
    package let rowBytes: Int
    package let payloadBytes: Int
    /// Memory that one evaluation takes from its arena.
    package let arenaBytes: Int
    /// Where the event came from.
    package let sample: String
    /// Whether FROM takes the event; it is measured all the same.
    package let isListenedTo: Bool
    /// Nothing can be said about speed from such a build.
    package let isDebugBuild: Bool
}

extension RuleCost {
    private static let rounds = 5
    private static let roundLength = Duration.milliseconds(20)

    /// Takes about a quarter of a second; the clock stands still for the rule.
    ///
    /// - Throws: what the sample's values or the rows' JSON raise.
    package static func measure(
        _ rule: CompiledRule, _ sample: RuleSample, undefinedAs: JSON.UndefinedEncoding = .text
    ) throws(EvaluationError) -> RuleCost {
        let event = try SampleEvent(sample.columns)
        let context = EvaluationContext(node: "sluice@127.0.0.1", random: RandomSource(seed: 1))
        context.nowNanoseconds = sample.now
        let bench = Bench(rule: rule, event: event, context: context, undefinedAs: undefinedAs)
        let outcome = bench.evaluate()
        let arenaBytes = context.arena.used
        let rowBytes = try bench.writeRows()
        let count = bench.calibrate(roundLength)
        let plain = (0..<rounds).map { _ in bench.round(count, writes: false) }.sorted()
        let written = (0..<rounds).map { _ in bench.round(count, writes: true) }.sorted()
        return RuleCost(
            nanoseconds: plain[rounds / 2], nanosecondsWithJSON: written[rounds / 2], fastest: plain[0],
            slowest: plain[rounds - 1], rounds: rounds, evaluationsPerRound: count, outcome: Self.name(outcome),
            rows: bench.rows.count, rowBytes: rowBytes, payloadBytes: sample.payloadBytes, arenaBytes: arenaBytes,
            sample: sample.origin, isListenedTo: sample.isListenedTo(by: rule), isDebugBuild: Self.isDebug)
    }

    private static func name(_ outcome: Outcome) -> String {
        switch outcome {
        case .passed: "passed"
        case .noResult: "no_result"
        case .failed(let error): "failed: \(error.explanation)"
        }
    }

    private static var isDebug: Bool {
        #if DEBUG
        true
        #else
        false
        #endif
    }

    /// For people; lines that are indented by two, each with a line break.
    package var text: String {
        let rowsText = "\(rows) \(rows == 1 ? "row" : "rows") of \(rowBytes) bytes as JSON"
        var text = "  cost on \(sample):\n"
        if !isListenedTo { text += "    note: FROM does not take this event; it is evaluated all the same\n" }
        text +=
            "    \(Self.nanoseconds(nanoseconds)) per evaluation (\(Self.nanoseconds(fastest)) to \(Self.nanoseconds(slowest)))"
        if rows > 0 { text += ", \(Self.nanoseconds(nanosecondsWithJSON)) with the rows as JSON" }
        text +=
            "\n    outcome: \(outcome); \(rowsText); payload \(payloadBytes) bytes; \(arenaBytes) bytes of scratch memory\n"
        text +=
            "    measured: median of \(rounds) rounds of \(evaluationsPerRound) evaluations, one thread, columns at hand\n"
        if isDebugBuild { text += "    note: a debug build; a release build is many times faster\n" }
        return text
    }

    private static func nanoseconds(_ value: Double) -> String {
        value < 10_000 ? "\(Int(value.rounded())) ns" : "\(Int((value / 1000).rounded())) µs"
    }
}

/// One rule evaluated again and again for one event.
private struct Bench {
    let rule: CompiledRule
    let event: SampleEvent
    let context: EvaluationContext
    let undefinedAs: JSON.UndefinedEncoding
    let rows = RowList()
    private let output = OutputBuffer()

    init(rule: CompiledRule, event: SampleEvent, context: EvaluationContext, undefinedAs: JSON.UndefinedEncoding) {
        self.rule = rule
        self.event = event
        self.context = context
        self.undefinedAs = undefinedAs
    }

    func evaluate() -> Outcome {
        context.arena.reset()
        rows.removeAll()
        return rule.evaluate(event, in: context, rows: rows)
    }

    /// - Returns: the bytes of the last evaluation's rows.
    func writeRows() throws(EvaluationError) -> Int {
        output.truncate(to: 0)
        for index in 0..<rows.count { try JSON.append(rows[index], to: output, undefinedAs: undefinedAs) }
        return output.bytes.count
    }

    /// - Returns: how many evaluations take about so long.
    func calibrate(_ length: Duration) -> Int {
        var count = 16
        while count < 4_000_000 {
            let taken = round(count, writes: false) * Double(count)
            if taken > 2_000_000 { return max(1, Int(Double(count) * (length / .nanoseconds(1)) / taken)) }
            count *= 4
        }
        return count
    }

    /// - Returns: nanoseconds of one evaluation.
    func round(_ count: Int, writes: Bool) -> Double {
        let start = ContinuousClock.now
        for _ in 0..<count {
            _ = evaluate()
            // What cannot be written was found before the measurement.
            if writes { _ = try? writeRows() }
        }
        return (ContinuousClock.now - start) / .nanoseconds(1) / Double(count)
    }
}
