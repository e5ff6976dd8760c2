internal import Buffers

// Text of a format, as Erlang's io_lib:format reads it. [EMQX rule-sql: sprintf]
extension FunctionTable {
    static let format: [FunctionEntry] = [
        FunctionEntry(
            "sprintf", .string, [.init("format", .string), .init("args", .any, rest: true)], returns: .string,
            doc: """
                The format with its directives replaced by the arguments: `~s` text, `~p` any value, `~b` `~.16b` \
                an integer, `~.2f` `~e` `~g` a float, `~c` a character, `~n` a new line, `~~` a tilde; `~5b` and \
                `~-5b` set the width. The number of arguments must match.
                """,
            examples: [.init("sprintf('~s: ~.1f', 'a', 2.25)", "'a: 2.3'"), .init("sprintf('~s')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let format = try arguments.text(0, of: "sprintf")
                return try formatted("sprintf", format, Arguments(rebasing: arguments[1...]), context.arena)
            }),
        FunctionEntry(
            "sprintf_s", .string, [.init("format", .string), .init("args", .array)], returns: .string,
            doc: "As `sprintf`, with the arguments in an array.",
            examples: [.init("sprintf_s('~5..0b', [42])", "'00042'"), .init("sprintf_s('~s', [1])", nil)],
            body: { arguments, context throws(EvaluationError) in
                let format = try arguments.text(0, of: "sprintf_s")
                return try formatted("sprintf_s", format, try arguments.array(1, of: "sprintf_s"), context.arena)
            }),
    ]

    private static func formatted(
        _ name: String, _ format: Bytes, _ arguments: Arguments, _ arena: Arena
    ) throws(EvaluationError) -> Value {
        arena.scratch.removeAll()
        var formatter = Formatter(
            function: name, format: format, arguments: arguments, limit: arena.limit, output: arena.scratch)
        try formatter.run()
        return try arena.string(copying: arena.scratch.bytes)
    }
}
