import RuleEngine
import Testing

@Suite struct `Tables that outlive an evaluation` {
    @Test func `the sum of keys and values is bounded, and what is forgotten makes room`() throws {
        var table = StoredDictionary(byteLimit: 1000)
        #expect(try table.put(.text("a"), .text(String(repeating: "x", count: 600))) == nil)
        #expect(
            failure { _ = try table.put(.text("b"), .text(String(repeating: "y", count: 600))) }?.name == "store_full")
        #expect(table[.text("b")] == nil)
        // A value in the place of another one counts once.
        #expect(try table.put(.text("a"), .text(String(repeating: "z", count: 800))) != nil)
        #expect(
            failure { _ = try table.put(.text("a"), .text(String(repeating: "z", count: 1000))) }?.name == "store_full")
        #expect(table[.text("a")] == .text(String(repeating: "z", count: 800)))
        _ = table.remove(.text("a"))
        #expect(table.byteCount == 0)
        #expect(try table.put(.text("b"), .text(String(repeating: "y", count: 600))) == nil)
    }

    @Test func `nested values count with all they hold`() {
        let deep = StoredValue.array([.object([StoredMember(key: Array("key".utf8), value: .text("value"))])])
        #expect(deep.byteCount >= StoredValue.array([]).byteCount + 8)
    }

    @Test func `a rule that finds kv_store full fails with a reason, and the store goes on`() throws {
        let store = KeyValueStore(byteLimit: 2000)
        let context = EvaluationContext(node: "n1", store: store)
        let rows = RowList()
        func outcome(_ sql: String) throws -> Outcome {
            let rule = try #require(CompiledRule.compile(sql: sql, id: "r").rule)
            context.arena.reset()
            rows.removeAll()
            return rule.evaluate(RuleBench.event(payload: nil), in: context, rows: rows)
        }
        _ = try outcome("SELECT kv_store_put('a', pad('', 1500)) as r FROM \"t/#\"")
        guard case .failed(let error) = try outcome("SELECT kv_store_put('b', pad('', 1500)) as r FROM \"t/#\"") else {
            Issue.record("the second value does not fit")
            return
        }
        #expect(error.name == "store_full" && error.explanation.contains("MiB"))
        #expect(store.get(.text("a")) != nil)
        #expect(store.get(.text("b")) == nil)
    }
}
