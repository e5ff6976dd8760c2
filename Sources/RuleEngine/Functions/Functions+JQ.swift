internal import Buffers

// jq over JSON. [EMQX rule-sql: jq]
extension FunctionTable {
    static let jq: [FunctionEntry] = [
        FunctionEntry(
            "jq", .jq, [.init("program", .string), .init("json", .any), .init("timeout", .integer, optional: true)],
            returns: .array, pure: false,
            doc: """
                All results of a jq program over JSON text or a value, as an array. Errors raise, as does a run of \
                more than `timeout` milliseconds (default 10,000). Needs Debian's package libjq1. Differs from EMQX: \
                programs see no environment, no modules and no NaN, and text has to be strict JSON.
                """,
            examples: [
                .init("jq('.a + 1, .b[]', '{\"a\":1,\"b\":[3]}')", "[2, 3]"),
                .init("jq('.a |', '{}')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let program = try arguments.text(0, of: "jq")
                var milliseconds = 10_000
                if arguments.count > 2 {
                    guard arguments[2].kind == .integer, 1...86_400_000 ~= arguments[2].integer else {
                        throw .badArgument(function: "jq", reason: "the timeout is from 1 ms to a day")
                    }
                    milliseconds = arguments[2].integer
                }
                let input = try json(arguments[1], in: context.arena)
                return try context.jqPrograms.run(program, over: input, milliseconds: milliseconds, in: context.arena)
            })
    ]

    /// Text that is JSON as it is, other values as JSON text.
    private static func json(_ value: Value, in arena: Arena) throws(EvaluationError) -> Bytes {
        if value.isText {
            do throws(EvaluationError) {
                // libjq itself would take NaN, and end the process when such a number becomes an index.
                try JSON.check(value.bytes)
            } catch .decodeJSON(let offset) {
                throw .badArgument(function: "jq", reason: "the text is not JSON, at byte \(offset)")
            }
            return value.bytes
        }
        arena.scratch.removeAll()
        try JSON.append(value, to: arena.scratch)
        return try arena.string(copying: arena.scratch.bytes).bytes
    }
}
