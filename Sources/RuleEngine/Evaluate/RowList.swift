/// The rows that a rule selected: objects in the context's arena, valid until its next reset.
package final class RowList {
    private var storage: UnsafeMutablePointer<Value>
    private var capacity: Int
    package private(set) var count = 0

    package init(capacity: Int = 16) {
        self.capacity = max(1, capacity)
        storage = .allocate(capacity: self.capacity)
    }

    deinit { storage.deallocate() }

    package subscript(index: Int) -> Value {
        precondition(index >= 0 && index < count, "a row's number is below the count")
        return storage[index]
    }

    package func removeAll() { count = 0 }

    func append(_ row: Value) {
        if count == capacity { grow() }
        storage[count] = row
        count += 1
    }

    func truncate(to count: Int) { self.count = count }

    private func grow() {
        let larger = UnsafeMutablePointer<Value>.allocate(capacity: capacity * 2)
        larger.moveInitialize(from: storage, count: count)
        storage.deallocate()
        storage = larger
        capacity *= 2
    }
}

/// How the evaluation of a rule for one event ended.
package enum Outcome: Equatable {
    /// So many rows were appended, at least one.
    case passed(Int)
    /// WHERE was false, or FOREACH kept no element.
    case noResult
    /// Something raised; no row was appended.
    case failed(EvaluationError)
}
