import Buffers
import Foundation
import RuleEngine

/// One case of a vector file.
struct RuleVector {
    let id: String
    let sql: String?
    /// False where the statement is not UTF-8.
    let isText: Bool
    let context: [(name: String, value: StoredValue)]
    let expect: [String: StoredValue]

    /// - Returns: nil for cases of other kinds (templates, actions).
    init?(line: [UInt8]) throws {
        let arena = Arena()
        let value = try line.withUnsafeBytes { try JSON.decode($0, in: arena) }
        let fields = StoredValue(value).dictionary
        guard let sql = fields["sql"], let context = fields["context"], let expect = fields["expect"] else {
            return nil
        }
        id = fields["id"]?.text ?? ""
        if case .string(let bytes) = sql.unwrapped {
            let text = String(decoding: bytes, as: UTF8.self)
            isText = Array(text.utf8) == bytes
            self.sql = text
        } else {
            return nil
        }
        let names = ["event", "reason"]
        self.context = context.dictionary.map { name, value in
            // The broker's own vocabulary is no text for IN and is_str.
            if names.contains(name), case .string(let bytes) = value { return (name, .atom(bytes)) }
            return (name, value.unwrapped)
        }
        self.expect = expect.dictionary
    }
}

/// What a case came to.
struct RuleVectorRun {
    let vector: RuleVector

    /// - Returns: nil if the case passes, otherwise what is wrong.
    func failure() -> String? {
        guard vector.isText, let sql = vector.sql else { return vector.expect["error"] == nil ? "not UTF-8" : nil }
        let (rule, diagnostics) = CompiledRule.compile(sql: sql, id: "rule1")
        guard let rule else {
            let found = diagnostics.map(\.message).joined(separator: "; ")
            if vector.expect["error"] != nil { return nil }
            return vector.expect["metrics"] != nil ? metricsFailure(nil, 0) : "rejected: \(found)"
        }
        let context = EvaluationContext(node: "n1@host")
        context.nowNanoseconds = 1_700_000_000_000_000_000
        guard isMatched(rule) else { return expectation(.noResult, []) }
        let rows = RowList()
        let outcome = rule.evaluate(DictionaryEvent(vector.context), in: context, rows: rows)
        return expectation(outcome, (0..<rows.count).map { StoredValue(rows[$0]) })
    }

    private func isMatched(_ rule: CompiledRule) -> Bool {
        let columns = Dictionary(uniqueKeysWithValues: vector.context.map { ($0.name, $0.value) })
        let event = columns["event"]?.text ?? EventName.messagePublish.rawValue
        return rule.topics.contains { topic in
            switch topic {
            case .event(let name): name.rawValue == event
            case .filter(let filter):
                event == EventName.messagePublish.rawValue
                    && RuleTopic.matches(filter: filter, topic: columns["topic"]?.text ?? "")
            }
        }
    }

    private func expectation(_ outcome: Outcome, _ rows: [StoredValue]) -> String? {
        let expect = vector.expect
        let shown = "\(outcome) \(rows.map(\.shown))"
        if let error = expect["error"] {
            if case .failed = outcome, error.text == "eval" { return nil }
            return "expected an error (\(error.text ?? "")), got \(shown)"
        }
        if expect["metrics"] != nil { return metricsFailure(outcome, rows.count) }
        if expect["no_match"] != nil { return outcome == .noResult ? nil : "expected no match, got \(shown)" }
        if let match = expect["match"] { return matchFailure(match.dictionary, rows, shown) }
        guard case .array(let wanted)? = expect["result"] else { return "unknown expectation" }
        if wanted.isEmpty, outcome == .noResult { return nil }
        guard wanted.count == rows.count else { return "expected \(wanted.map(\.shown)), got \(shown)" }
        for (want, row) in zip(wanted, rows) where !RowComparison.matches(row, want) {
            return "expected \(want.shown), got \(row.shown)"
        }
        return nil
    }

    private func matchFailure(_ patterns: [String: StoredValue], _ rows: [StoredValue], _ shown: String) -> String? {
        guard rows.count == 1 else { return "expected one row, got \(shown)" }
        let row = rows[0].dictionary
        for (name, pattern) in patterns {
            guard let value = row[name] else { return "no column \(name)" }
            let text = value.text ?? value.shown
            guard text.range(of: pattern.text ?? "", options: .regularExpression) != nil else {
                return "\(name): \(text) does not match \(pattern.text ?? "")"
            }
        }
        return nil
    }

    private func metricsFailure(_ outcome: Outcome?, _ rowCount: Int) -> String? {
        var counters = ["matched": 1]
        switch outcome {
        case .passed:
            counters["passed"] = 1
            counters["actions.total"] = rowCount
            counters["actions.success"] = rowCount
        case .noResult:
            counters["failed"] = 1
            counters["failed.no_result"] = 1
        case .failed, nil:
            counters["failed"] = 1
            counters["failed.exception"] = 1
        }
        var wanted: [String: Int] = [:]
        for (name, value) in vector.expect["metrics"]?.dictionary ?? [:] {
            if case .integer(let count) = value { wanted[name] = count }
        }
        return wanted == counters ? nil : "expected \(wanted), got \(counters)"
    }
}

extension StoredValue {
    var dictionary: [String: StoredValue] {
        guard case .object(let members) = self else { return [:] }
        return Dictionary(
            members.map { (String(decoding: $0.key, as: UTF8.self), $0.value) }, uniquingKeysWith: { $1 })
    }

    var text: String? {
        switch self {
        case .string(let bytes), .atom(let bytes): String(decoding: bytes, as: UTF8.self)
        default: nil
        }
    }

    /// The value that the vectors' notation for what JSON cannot hold stands for.
    var unwrapped: StoredValue {
        switch self {
        case .array(let elements): return .array(elements.map(\.unwrapped))
        case .object(let members):
            let fields = dictionary
            if fields["$undefined"] != nil { return .undefined }
            if let encoded = fields["$base64"]?.text, let data = Data(base64Encoded: encoded) {
                if case .integer(let bits)? = fields["$bits"] { return .bitString(Array(data), count: bits) }
                return .string(Array(data))
            }
            return .object(members.map { StoredMember(key: $0.key, value: $0.value.unwrapped) })
        default: return self
        }
    }

    var shown: String {
        let arena = Arena()
        let output = OutputBuffer()
        do {
            try JSON.append(try value(in: arena), to: output)
            return output.description
        } catch {
            return "\(error)"
        }
    }
}

/// Rows against what is expected, by the rules of the vectors' README.
enum RowComparison {
    static func matches(_ row: StoredValue, _ want: StoredValue) -> Bool {
        var actual = row.dictionary
        let expected = want.dictionary
        if expected["metadata"] == nil { actual["metadata"] = nil }
        for (name, value) in expected where name != "$anon" {
            guard let found = actual.removeValue(forKey: name), same(found, value) else { return false }
        }
        guard let anonymous = expected["$anon"] else { return actual.isEmpty }
        return actual.count == 1 && actual.values.allSatisfy { same($0, anonymous) }
    }

    private static func same(_ actual: StoredValue, _ want: StoredValue) -> Bool {
        if let json = want.dictionary["$json"], want.dictionary.count == 1 { return sameJSON(actual, json) }
        switch (actual, want.unwrapped) {
        case (.float(let a), .float(let b)):
            let (x, y) = (Double(bitPattern: a), Double(bitPattern: b))
            return x == y || abs(x - y) <= max(1e-12, 1e-9 * max(abs(x), abs(y)))
        case (.atom(let a), .string(let b)): return a == b
        case (.array(let a), .array):
            guard case .array(let raw) = want else { return false }
            return a.count == raw.count && zip(a, raw).allSatisfy { same($0, $1) }
        case (.object, .object):
            let (a, b) = (actual.dictionary, want.dictionary)
            return a.count == b.count && b.allSatisfy { name, value in a[name].map { same($0, value) } ?? false }
        case (let a, let b): return a == b
        }
    }

    private static func sameJSON(_ actual: StoredValue, _ want: StoredValue) -> Bool {
        guard case .string(let bytes) = actual else { return false }
        let arena = Arena()
        guard let value = try? bytes.withUnsafeBytes({ StoredValue(try JSON.decode($0, in: arena)) }) else {
            return false
        }
        return same(value, want)
    }
}
