import RuleEngine
import Testing

/// The examples that the reference page shows are true.
@Suite struct `Function examples` {
    static let entries = FunctionTable.all
    /// The event that the examples of the message accessors read.
    static var event: DictionaryEvent {
        DictionaryEvent([
            ("id", .text("0005F8F84FFFAFB9F44200000D810002")), ("qos", .integer(1)), ("topic", .text("t/1")),
            ("username", .text("u1")), ("peerhost", .text("127.0.0.1")), ("payload", .text(#"{"a":{"b":1},"n":null}"#)),
            ("flags", .object([StoredMember(key: Array("retain".utf8), value: .boolean(true))])),
        ])
    }

    @Test(arguments: entries.map(\.name)) func `an example gives its result`(name: String) throws {
        let entry = try #require(FunctionTable.entry(named: name))
        for example in entry.examples {
            let value = try Self.evaluate(example.expression)
            if let result = example.result {
                let wanted = try #require(try Self.evaluate(result), "the result \(result) raises")
                #expect(value == wanted, "\(example.expression) is \(result)")
            } else {
                #expect(value == nil, "\(example.expression) raises")
            }
        }
    }

    @Test func `each function has a name of its own, a sentence and an example`() {
        #expect(Set(Self.entries.map(\.name)).count == Self.entries.count)
        for entry in Self.entries {
            #expect(entry.doc.hasSuffix(".") || entry.doc.hasSuffix("]"), "\(entry.name): \(entry.doc)")
            #expect(!entry.examples.isEmpty, "\(entry.name) has no example")
        }
    }

    /// - Returns: nil when the evaluation raises.
    private static func evaluate(_ expression: String) throws -> StoredValue? {
        let (rule, diagnostics) = CompiledRule.compile(sql: "SELECT \(expression) as r FROM \"t/#\"", id: "r1")
        let compiled = try #require(rule, "\(expression): \(diagnostics.map(\.message))")
        let context = EvaluationContext(node: "n1", random: RandomSource(seed: 1))
        context.nowNanoseconds = 1_700_000_000_123_456_789
        let rows = RowList()
        guard case .passed = compiled.evaluate(event, in: context, rows: rows) else { return nil }
        return StoredValue(rows[0].member(Value.string("r").bytes))
    }
}
