import Foundation
import RuleEngine
import Testing

/// What the functions come to at the edges: types, indexes, empty and non-ASCII text, numbers of any size.
@Suite struct `Reference cases of functions` {
    struct Case: Sendable, CustomTestStringConvertible {
        let expression: String
        /// `raises` or the value.
        let result: String
        var testDescription: String { expression }
    }

    /// The lines of `Tests/Cases/functions.txt`: `expression  =>  result`, with two spaces on either side.
    static let cases: [Case] = {
        var folder = URL(fileURLWithPath: #filePath)
        for _ in 0..<3 { folder.deleteLastPathComponent() }
        let file = folder.appendingPathComponent("Cases/functions.txt")
        guard let text = try? String(contentsOf: file, encoding: .utf8) else { return [] }
        return text.components(separatedBy: "\n").compactMap { line in
            let parts = line.components(separatedBy: "  =>  ")
            guard parts.count == 2, !line.hasPrefix("#") else { return nil }
            return Case(expression: parts[0], result: parts[1])
        }
    }()

    @Test func `each expression comes to its result`() throws {
        #expect(Self.cases.count > 900)
        let context = EvaluationContext(node: "n1")
        let rows = RowList()
        for one in Self.cases {
            let (rule, diagnostics) = CompiledRule.compile(sql: "SELECT \(one.expression) as r FROM \"t\"", id: "r")
            guard let rule else {
                Issue.record("\(one.expression): \(diagnostics.map(\.message))")
                continue
            }
            context.arena.reset()
            rows.removeAll()
            var result = "raises"
            if case .passed = rule.evaluate(DictionaryEvent([]), in: context, rows: rows) {
                result = Self.shown(StoredValue(rows[0].member(Value.string("r").bytes)))
            }
            #expect(result == one.result, "\(one.expression)")
        }
    }

    @Test func `every function that needs no event or chance has cases`() {
        let called = Set(
            Self.cases.compactMap { $0.expression.split(separator: "(").first.map(String.init) })
        let exempt: Set<FunctionEntry.Group> = [.message, .state, .jq, .compression]
        for entry in FunctionTable.all where !exempt.contains(entry.group) && entry.isPure {
            let name = ["div", "mod"].contains(entry.name) ? " \(entry.name) " : entry.name
            let isThere = called.contains(name) || Self.cases.contains { $0.expression.contains(name) }
            #expect(isThere, "\(entry.name)")
        }
    }

    private static func shown(_ value: StoredValue) -> String {
        switch value {
        case .undefined: return "undefined"
        case .null: return "null"
        case .boolean(let flag): return flag ? "true" : "false"
        case .integer(let number): return "\(number)"
        case .bigInteger(let negative, let magnitude): return (negative ? "-" : "") + decimal(magnitude)
        case .float(let bits): return "\(Double(bitPattern: bits))"
        case .string(let bytes), .atom(let bytes): return text(bytes)
        case .bitString(let bytes, let count):
            let last = (bytes.last ?? 0) >> UInt8(8 - count % 8)
            return "bits:<<" + (bytes.dropLast().map { "\($0)" } + ["\(last):\(count % 8)"]).joined(separator: ",")
                + ">>"
        case .array(let elements): return "[" + elements.map(shown).joined(separator: ",") + "]"
        case .object(let members):
            return "{" + members.map { text($0.key) + ":" + shown($0.value) }.joined(separator: ",") + "}"
        }
    }

    private static func text(_ bytes: [UInt8]) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return "x'" + bytes.map { String(format: "%02x", $0) }.joined() + "'"
        }
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\n": "\\n"
            case "\r": "\\r"
            case "\t": "\\t"
            case "\\": "\\\\"
            case _ where scalar.value < 32: "\\x" + String(format: "%02x", scalar.value)
            default: String(scalar)
            }
        }
        return "'" + escaped.joined() + "'"
    }

    /// By long division, so that the engine's own notation is not what it is compared with.
    private static func decimal(_ magnitude: [UInt]) -> String {
        var words = magnitude
        var digits = ""
        while words.contains(where: { $0 != 0 }) {
            var rest: UInt = 0
            for index in words.indices.reversed() {
                (words[index], rest) = UInt(10).dividingFullWidth((rest, words[index]))
            }
            digits = "\(rest)" + digits
        }
        return digits
    }
}
