/// An event made of stored values: for tests of rules, for trying one out, for replaying what was archived.
package final class DictionaryEvent: EventColumns {
    private let values: [Column: StoredValue]
    package let present: [Column]

    package init(_ columns: [(name: String, value: StoredValue)]) {
        var values: [Column: StoredValue] = [:]
        for (name, value) in columns { values[Column(name)] = value }
        self.values = values
        present = values.keys.sorted { $0.id < $1.id }
    }

    /// A copy of the column's value, in the context's arena.
    package func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        guard let stored = values[column] else { return .undefined }
        return try stored.value(in: context.arena)
    }
}
