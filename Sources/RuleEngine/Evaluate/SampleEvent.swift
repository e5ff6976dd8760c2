/// An event whose values were made beforehand, for measuring: reading a column costs what it does for a message at hand.
package final class SampleEvent: EventColumns {
    private let arena: Arena
    private var values: [Value]
    package let present: [Column]

    /// - Throws: when the values take more memory than a payload may.
    package init(_ columns: [(name: String, value: StoredValue)]) throws(EvaluationError) {
        arena = Arena()
        present = columns.map { Column($0.name) }.sorted { $0.id < $1.id }
        values = Array(repeating: .undefined, count: (present.last?.id ?? -1) + 1)
        for (name, value) in columns { values[Column(name).id] = try value.value(in: arena) }
    }

    package func value(of column: Column, in context: EvaluationContext) throws(EvaluationError) -> Value {
        column.id < values.count ? values[column.id] : .undefined
    }
}
