// Arrays, counted from 1. Text is no array here, not even JSON text. [EMQX rule-sql: array]
extension FunctionTable {
    static let array: [FunctionEntry] = [
        FunctionEntry(
            "nth", .array, [.init("n", .integer), .init("array", .array)], returns: .any,
            doc: "The n-th element, counted from 1; raises when there is none.",
            examples: [.init("nth(2, [3, 1, 2])", "1"), .init("nth(0, [3, 1, 2])", nil)],
            body: { arguments, _ throws(EvaluationError) in
                let number = try arguments.integer(0, of: "nth")
                let elements = try arguments.array(1, of: "nth")
                guard number >= 1, number <= elements.count else { throw outOfRange("nth", elements.count) }
                return elements[number - 1]
            }),
        FunctionEntry(
            "first", .array, [.init("array", .array)], returns: .any,
            doc: "The first element; raises when the array is empty.",
            examples: [.init("first([3, 1, 2])", "3"), .init("first([])", nil)],
            body: { arguments, _ throws(EvaluationError) in
                guard let element = try arguments.array(0, of: "first").first else { throw outOfRange("first", 0) }
                return element
            }),
        FunctionEntry(
            "last", .array, [.init("array", .array)], returns: .any,
            doc: "The last element; raises when the array is empty.",
            examples: [.init("last([3, 1, 2])", "2"), .init("last([])", nil)],
            body: { arguments, _ throws(EvaluationError) in
                guard let element = try arguments.array(0, of: "last").last else { throw outOfRange("last", 0) }
                return element
            }),
        FunctionEntry(
            "length", .array, [.init("array", .array)], returns: .integer, doc: "The number of elements.",
            examples: [.init("length([3, 1, 2])", "3"), .init("length('abc')", nil)],
            body: { arguments, _ throws(EvaluationError) in
                .integer(try arguments.array(0, of: "length").count)
            }),
        sublist,
        FunctionEntry(
            "contains", .array, [.init("x", .any), .init("array", .array)], returns: .boolean,
            doc: "Whether an element has the type and the value of `x`.",
            examples: [.init("contains('a', ['a', 'b'])", "true"), .init("contains(1.0, [1])", "false")],
            body: { arguments, context throws(EvaluationError) in
                let elements = try arguments.array(1, of: "contains")
                let wanted = arguments[0]
                return .boolean(elements.contains { Operators.exactlyEqual($0, wanted) })
            }),
    ]

    private static let sublist = FunctionEntry(
        "sublist", .array,
        [.init("start_or_length", .integer), .init("length_or_array", .any), .init("array", .array, optional: true)],
        returns: .array,
        doc: "`sublist(length, array)` is the front of an array, `sublist(start, length, array)` a part that starts at "
            + "`start`, counted from 1; both are cut at the array's end.",
        examples: [
            .init("sublist(2, [3, 1, 2])", "[3, 1]"), .init("sublist(2, 9, [3, 1, 2])", "[1, 2]"),
            .init("sublist(5, 1, [3, 1, 2])", "[]"), .init("sublist(-1, [3, 1, 2])", nil),
        ],
        body: { arguments, _ throws(EvaluationError) in
            let hasStart = arguments.count == 3
            let start = hasStart ? try arguments.integer(0, of: "sublist") : 1
            let length = try arguments.integer(hasStart ? 1 : 0, of: "sublist")
            let elements = try arguments.array(hasStart ? 2 : 1, of: "sublist")
            guard start >= 1, length >= 0 else {
                throw .badArgument(function: "sublist", reason: "takes a start of 1 or more and no negative length")
            }
            guard start <= elements.count else { return .emptyArray }
            let end = start - 1 + min(length, elements.count - (start - 1))
            return .array(UnsafeBufferPointer(rebasing: elements[(start - 1)..<end]))
        })

    private static func outOfRange(_ function: String, _ count: Int) -> EvaluationError {
        .badArgument(function: function, reason: "the array of \(count) elements has no such element")
    }
}
