import Buffers
import RuleEngine

/// A statement from the command line, to be tried without a broker.
package struct TriedRule {
    let rule: CompiledRule
    /// What `getenv` sees; the names carry no prefix.
    private let environment: [String: String]

    /// A finding about the statement, with its picture.
    package struct Finding: Sendable {
        package let isError: Bool
        package let code: String
        package let message: String
        package let hint: String?
        package let line: Int
        package let column: Int
        /// Several lines: message, source line, caret, hint.
        package let picture: String
    }

    /// - Returns: nil in place of the rule when a finding is an error.
    package static func compile(
        _ sql: String, environment: [String: String] = [:]
    ) -> (rule: TriedRule?, findings: [Finding]) {
        let (compiled, diagnostics) = CompiledRule.compile(sql: sql, id: "try")
        let findings = diagnostics.map { diagnostic in
            let (line, column) = Diagnostic.position(of: diagnostic.span.lowerBound, in: sql)
            return Finding(
                isError: diagnostic.severity == .error, code: diagnostic.code.rawValue, message: diagnostic.message,
                hint: diagnostic.hint, line: line, column: column, picture: diagnostic.rendered(in: sql))
        }
        return (compiled.map { TriedRule(rule: $0, environment: environment) }, findings)
    }

    package enum Outcome: Sendable {
        /// JSON, one text for each row; at least one.
        case rows([String])
        case noRow(Reason, String)
        /// The class of the failure, what it is, and, where the payload is at fault, a picture of the place.
        case failed(name: String, explanation: String, picture: String?)
    }

    /// Why an event gave no row.
    package enum Reason: String, Sendable {
        case from, condition = "where", inCase = "incase", foreach
    }

    /// Evaluates the statement for one event.
    package func run(_ request: TryRequest) throws(TryRequest.Mistake) -> Outcome {
        let input = try request.resolved(for: rule)
        guard input.topic.withUnsafeBytes({ rule.listens(to: input.event, topic: $0) }) else {
            return .noRow(.from, notListening(input))
        }
        // Compiled anew so that it counts its branches: they tell why there is no row.
        let coverage = RuleCoverage()
        let watched = CompiledRule.compile(sql: rule.sql, id: rule.id, coverage: coverage).rule ?? rule
        let context = makeContext(request.nowNanoseconds)
        let rows = RowList()
        // Rows lie in the context's memory and in the rule's.
        return withExtendedLifetime((context, watched)) {
            switch watched.evaluate(event(input), in: context, rows: rows) {
            case .passed(let count): encoded(rows, count, input)
            case .noResult: noRow(coverage)
            case .failed(let error): failed(error, input)
            }
        }
    }

    private func encoded(_ rows: RowList, _ count: Int, _ input: TryRequest.Resolved) -> Outcome {
        let output = OutputBuffer()
        var texts: [String] = []
        for index in 0..<count {
            output.removeAll()
            do throws(EvaluationError) { try JSON.append(rows[index], to: output) } catch {
                return failed(error, input)
            }
            texts.append(output.description)
        }
        return .rows(texts)
    }

    /// The median time of one evaluation, its rows' JSON included; measured for 20 ms at most, with state of its own.
    package func nanoseconds(_ request: TryRequest) throws(TryRequest.Mistake) -> Int? {
        let input = try request.resolved(for: rule)
        guard input.topic.withUnsafeBytes({ rule.listens(to: input.event, topic: $0) }) else { return nil }
        let (context, rows, output) = (makeContext(request.nowNanoseconds), RowList(), OutputBuffer())
        let event = event(input)
        let start = ContinuousClock.now
        var times: [Duration] = []
        repeat {
            let before = ContinuousClock.now
            context.arena.reset()
            rows.removeAll()
            output.removeAll()
            if case .passed(let count) = rule.evaluate(event, in: context, rows: rows) {
                for index in 0..<count where (try? JSON.append(rows[index], to: output)) == nil { return nil }
            }
            times.append(ContinuousClock.now - before)
        } while times.count < 1000 && ContinuousClock.now - start < .milliseconds(20)
        let (seconds, attoseconds) = times.sorted()[times.count / 2].components
        return withExtendedLifetime(context) { Int(seconds * 1_000_000_000 + attoseconds / 1_000_000_000) }
    }

    func makeContext(_ now: Int64) -> EvaluationContext {
        let context = EvaluationContext(node: "sluice@127.0.0.1", environment: environment)
        context.nowNanoseconds = now
        return context
    }

    private func event(_ input: TryRequest.Resolved) -> DictionaryEvent {
        DictionaryEvent(input.columns.map { (name: $0.key, value: $0.value) })
    }

    // MARK: Reasons

    private func notListening(_ input: TryRequest.Resolved) -> String {
        let wanted = rule.topics.map { topic in
            switch topic {
            case .filter(let filter): "\"\(filter)\""
            case .event(let event): "the event \(event.rawValue)"
            }
        }.joined(separator: ", ")
        let given =
            input.event == .messagePublish
            ? "the topic \"\(String(decoding: input.topic, as: UTF8.self))\"" : "the event \(input.event.rawValue)"
        return "FROM takes \(wanted), not \(given)"
    }

    private func noRow(_ coverage: RuleCoverage) -> Outcome {
        let refused = coverage.points.filter { $0.refused > 0 }
        let sql = Array(rule.sql.utf8)
        func text(_ point: RuleCoverage.Point) -> String { String(decoding: sql[point.span], as: UTF8.self) }
        if let point = refused.first(where: { $0.kind == .condition }) {
            return .noRow(.condition, "WHERE is false: \(text(point))")
        }
        if let point = refused.first(where: { $0.kind == .inCase }) {
            return .noRow(.inCase, "INCASE is false for each element: \(text(point))")
        }
        return .noRow(.foreach, "FOREACH finds no element")
    }

    private func failed(_ error: EvaluationError, _ input: TryRequest.Resolved) -> Outcome {
        var picture: String?
        if case .decodeJSON(let offset) = error, case .string(let payload)? = input.columns["payload"] {
            picture = PayloadPicture.text(payload, at: offset)
        }
        return .failed(name: error.name, explanation: error.explanation, picture: picture)
    }
}

/// Shows a place in a payload, which may be any bytes.
enum PayloadPicture {
    /// Two lines: the bytes around the place, others than printable ASCII as dots, and a caret below it.
    static func text(_ payload: [UInt8], at offset: Int) -> String {
        let offset = min(max(offset, 0), payload.count)
        let start = max(0, offset - 40)
        let end = min(payload.count, offset + 30)
        let shown = payload[start..<end].map { (0x20...0x7E).contains($0) ? Character(Unicode.Scalar($0)) : "." }
        let (head, tail) = (start > 0 ? "…" : "", end < payload.count ? "…" : "")
        return "  \(head)\(String(shown))\(tail)\n  " + String(repeating: " ", count: offset - start + head.count)
            + "^\n"
    }
}
