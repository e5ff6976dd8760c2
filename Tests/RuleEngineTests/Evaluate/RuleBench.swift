import Buffers
import RuleEngine

/// Evaluates a statement for one event, for tests: rows come back as JSON with `undefined` as text.
final class RuleBench {
    let context = EvaluationContext(node: "n1")
    let rows = RowList()

    enum Result: Equatable, CustomStringConvertible {
        case rows([String])
        case noResult
        case failed(String)
        case rejected([Diagnostic.Code])

        var description: String {
            switch self {
            case .rows(let rows): rows.joined(separator: " ")
            case .noResult: "no result"
            case .failed(let name): "failed: \(name)"
            case .rejected(let codes): "rejected: \(codes)"
            }
        }
    }

    func run(_ sql: String, payload: String? = nil, _ columns: [(String, StoredValue)] = []) throws -> Result {
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "r1")
        guard let rule else { return .rejected(diagnostics.filter { $0.severity == .error }.map(\.code)) }
        return try run(rule, RuleBench.event(payload: payload, columns))
    }

    func run(_ rule: CompiledRule, _ event: any EventColumns) throws -> Result {
        context.arena.reset()
        rows.removeAll()
        let outcome = rule.evaluate(event, in: context, rows: rows)
        return try result(outcome)
    }

    func result(_ outcome: Outcome) throws -> Result {
        switch outcome {
        case .noResult: return .noResult
        case .failed(let error): return .failed(error.name)
        case .passed(let count):
            return .rows(
                try (0..<count).map { index in
                    let output = OutputBuffer()
                    try JSON.append(rows[index], to: output)
                    return output.description
                })
        }
    }

    static func event(payload: String?, _ columns: [(String, StoredValue)] = []) -> DictionaryEvent {
        var all: [(name: String, value: StoredValue)] = [
            ("topic", .text("t/1")), ("qos", .integer(1)), ("clientid", .text("c1")),
        ]
        if let payload { all.append(("payload", .text(payload))) }
        return DictionaryEvent(
            all.filter { one in !columns.contains { $0.0 == one.name } } + columns.map { ($0.0, $0.1) })
    }
}

extension StoredValue {
    static func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }
}
