internal import Buffers

// Regular expressions of PCRE over bytes, or over UTF-8 when the pattern begins with `(*UTF8)`. [EMQX rule-sql: regex]
extension FunctionTable {
    static let regex: [FunctionEntry] = [
        FunctionEntry(
            "regex_match", .string, [.init("s", .string), .init("pattern", .string)], returns: .boolean,
            doc: "Whether the pattern matches anywhere in the text.",
            examples: [.init("regex_match('abc1', '[0-9]$')", "true"), .init("regex_match('a', '[')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let subject = try arguments.flatBytes(0, of: "regex_match", in: context.arena)
                let source = try arguments.flatBytes(1, of: "regex_match", in: context.arena)
                let pattern = try context.regex.pattern(source, function: "regex_match")
                return .boolean(try context.regex.match(pattern, subject, function: "regex_match") != nil)
            }),
        FunctionEntry(
            "regex_replace", .string, [.init("s", .string), .init("pattern", .string), .init("replacement", .string)],
            returns: .string,
            doc: """
                The text with all matches replaced; in the replacement `&` is the whole match, `\\1`, `\\g1` and \
                `\\g{1}` are groups, and a backslash makes any other character itself.
                """,
            examples: [
                .init("regex_replace('kmmpmq', 'm+', '[&]')", "'k[mm]p[m]q'"),
                .init("regex_replace('ab', '(a)(b)', '\\2\\1')", "'ba'"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let subject = try arguments.flatBytes(0, of: "regex_replace", in: context.arena)
                let source = try arguments.flatBytes(1, of: "regex_replace", in: context.arena)
                let text = try arguments.text(2, of: "regex_replace")
                let pattern = try context.regex.pattern(source, function: "regex_replace")
                let replacement: RegexReplacement
                do throws(EvaluationError) {
                    replacement = try RegexReplacement(text)
                } catch {
                    // A replacement that is not valid matters where something is replaced.
                    if try context.regex.match(pattern, subject, function: "regex_replace") != nil { throw error }
                    return .string(subject)
                }
                return try replacement.replaceAll(pattern, in: subject, context)
            }),
        FunctionEntry(
            "regex_extract", .string, [.init("s", .string), .init("pattern", .string)], returns: .array,
            doc: "The groups of the first match up to the last one that took part; an empty array without a match.",
            examples: [
                .init("regex_extract('Room 4711', '(\\d+)')", "['4711']"),
                .init("regex_extract('xyz', '(q)?(x)')", "['', 'x']"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let subject = try arguments.flatBytes(0, of: "regex_extract", in: context.arena)
                let source = try arguments.flatBytes(1, of: "regex_extract", in: context.arena)
                let pattern = try context.regex.pattern(source, function: "regex_extract")
                guard let count = try context.regex.match(pattern, subject, function: "regex_extract"), count > 1 else {
                    return .emptyArray
                }
                let groups = try context.arena.allocate(Value.self, count: count - 1)
                for number in 1..<count {
                    groups[number - 1] = .string(subject.part(context.regex.group(number, in: subject) ?? 0..<0))
                }
                return .array(UnsafeBufferPointer(groups))
            }),
    ]
}
