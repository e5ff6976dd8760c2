internal import Buffers

// Text; the first argument is a string, or a boolean taken as its text. [EMQX rule-sql: strings]
extension FunctionTable {
    static let string: [FunctionEntry] = shapes + measures + parts + changes + lists

    private static func entry(
        _ name: String, _ parameters: [FunctionEntry.Parameter], returns: FunctionEntry.Kind = .string,
        _ doc: String, _ examples: [FunctionEntry.Example], _ body: @escaping FunctionEntry.Body
    ) -> FunctionEntry {
        FunctionEntry(name, .string, parameters, returns: returns, doc: doc, examples: examples, body: body)
    }

    private static let text = FunctionEntry.Parameter("s", .string)
    private static let side = FunctionEntry.Parameter("side", .string, optional: true)

    private static let shapes: [FunctionEntry] = [
        entry(
            "lower", [text], "The text in lower case, by the rules of Unicode.", [.init("lower('ABC')", "'abc'")],
            TextShape.lower),
        entry(
            "upper", [text], "The text in upper case, by the rules of Unicode.", [.init("upper('aß')", "'ASS'")],
            TextShape.upper),
        entry(
            "trim", [text], "The text without white space at both ends.", [.init("trim(' a b ')", "'a b'")],
            TextShape.trim),
        entry(
            "ltrim", [text], "The text without white space at its start.", [.init("ltrim(' a ')", "'a '")],
            TextShape.trimStart),
        entry(
            "rtrim", [text, .init("chars", .string, optional: true)],
            "The text without white space, or any of these characters, at its end.",
            [.init("rtrim(' a ')", "' a'"), .init("rtrim('abc,,', ',')", "'abc'")], TextShape.trimEnd),
        entry(
            "reverse", [text],
            "The text with its characters in reverse order. Differs from EMQX: any text, not Latin-1 alone.",
            [.init("reverse('abc')", "'cba'"), .init("reverse('你好')", "'好你'")], TextShape.reverse),
        entry(
            "pad", [text, .init("length", .integer), side, .init("char", .string, optional: true)],
            """
            The text filled up to a length in characters, `trailing` (default), `leading` or `both`, with spaces or a \
            text that counts as one character.
            """,
            [.init("pad('5', 3, 'leading', '0')", "'005'"), .init("pad('abc', 2)", "'abc'")], TextShape.pad),
    ]

    private static let measures: [FunctionEntry] = [
        entry(
            "strlen", [text], returns: .integer,
            "The number of characters as people count them; raises for ill-formed UTF-8.",
            [.init("strlen('你好')", "2"), .init("strlen(1)", nil)], TextPart.length),
        entry(
            "ascii", [text], returns: .integer, "The first byte; raises for empty text.",
            [.init("ascii('a')", "97"), .init("ascii('')", nil)], TextPart.firstByte),
    ]

    private static let parts: [FunctionEntry] = [
        entry(
            "substr", [text, .init("start", .integer), .init("length", .integer, optional: true)],
            "The characters from `start`, which counts from 0; at most `length` of them.",
            [.init("substr('abcdef', 2, 3)", "'cde'"), .init("substr('abc', -1)", nil)], TextPart.substring),
        entry(
            "rm_prefix", [text, .init("prefix", .string)],
            "The text without the prefix, if it begins with it; other values come back as they are.",
            [.init("rm_prefix('foo/bar', 'foo/')", "'bar'"), .init("rm_prefix('foo', 'bar')", "'foo'")],
            TextPart.removePrefix),
        entry(
            "find", [text, .init("pattern", .string), side],
            "The rest of the text from the first (`leading`, default) or last (`trailing`) occurrence, or empty text.",
            [.init("find('a/b/c', '/')", "'/b/c'"), .init("find('a/b/c', '/', 'trailing')", "'/c'")], TextPart.find),
        entry(
            "split", [text, .init("separator", .string), .init("option", .string, optional: true)], returns: .array,
            """
            The parts between separators without the empty ones; `notrim` keeps these; `leading` and `trailing` split \
            once at the first and last separator, `leading_notrim` and `trailing_notrim` keep empty parts.
            """,
            [.init("split('a//b', '/')", "['a', 'b']"), .init("split('a/b/c', '/', 'trailing')", "['a/b', 'c']")],
            TextPart.split),
        entry(
            "tokens",
            [text, .init("separators", .string), .init("option", .string, optional: true)], returns: .array,
            "The non-empty parts between any of these characters; `nocrlf` adds CR and LF to them.",
            [.init("tokens('a-b_c', '-_')", "['a', 'b', 'c']"), .init("tokens('a', ',', 'x')", nil)], TextPart.tokens),
    ]

    private static let changes: [FunctionEntry] = [
        entry(
            "replace",
            [text, .init("pattern", .string), .init("replacement", .string), .init("where", .string, optional: true)],
            "The text with occurrences replaced: `all` (default), the `leading` or the `trailing` one.",
            [.init("replace('a.b.c', '.', '-')", "'a-b-c'"), .init("replace('a.b.c', '.', '', 'trailing')", "'a.bc'")],
            TextChange.replace),
        entry(
            "unescape", [text],
            #"The text with `\n` `\t` `\r` `\b` `\f` `\v` `\a` `\'` `\"` `\?` `\\` and `\xHEX` resolved."#,
            [.init("unescape('\\x41\\x4e')", "'AN'"), .init("unescape('\\Q')", nil)], TextChange.unescape),
    ]

    private static let lists: [FunctionEntry] = [
        entry(
            "concat", [.init("a", .any), .init("b", .any, optional: true)],
            "The text of two values, or of all elements of one array, joined.",
            [.init("concat('a', 1)", "'a1'"), .init("concat([1, '-', 2])", "'1-2'")], TextList.concat),
        entry(
            "join_to_string", [.init("separator", .any), .init("array", .array, optional: true)],
            "The text of the elements with a separator between them; `, ` if only the array is given.",
            [.init("join_to_string('-', [1, 'a'])", "'1-a'"), .init("join_to_string([1, 2])", "'1, 2'")],
            TextList.join),
        entry(
            "join_to_sql_values_string", [.init("array", .array)],
            "The elements as SQL literals with commas between them; quotes within text are escaped by backslashes.",
            [.init("join_to_sql_values_string([1, 2.5])", "'1, 2.5'"), .init("join_to_sql_values_string(1)", nil)],
            TextList.sqlValues),
        entry(
            "map_to_redis_hset_args", [.init("x", .any)], returns: .array,
            "The name of the function, then keys and scalar values of an object by turns: arguments for HSET.",
            [.init("map_to_redis_hset_args('{\"a\":1}')", "['map_to_redis_hset_args', 'a', '1']")],
            TextList.hashArguments),
    ]
}
