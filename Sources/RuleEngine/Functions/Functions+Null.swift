internal import Buffers

// What is absent, and of which type a value is. [EMQX rule-sql: null]
extension FunctionTable {
    static let null: [FunctionEntry] = absence + choices + types + [isEmpty]

    private static let absence: [FunctionEntry] = [
        FunctionEntry(
            "null", .null, [], returns: .undefined, doc: "The undefined value, which is not JSON's null.",
            examples: [.init("is_null(null())", "true")], body: { _, _ in .undefined }),
        test("is_null", "Whether `x` is undefined; JSON's null is not.", ("is_null(nosuch)", "is_null(payload.n)")) {
            $0.isUndefined
        },
        test("is_not_null", "Whether `x` is anything but undefined.", ("is_not_null('')", "is_not_null(nosuch)")) {
            !$0.isUndefined
        },
        test(
            "is_null_var", "Whether `x` is undefined or JSON's null.", ("is_null_var(nosuch)", "is_null_var('')")
        ) { $0.isUndefined || $0.kind == .null },
        test(
            "is_not_null_var", "Whether `x` is neither undefined nor JSON's null.",
            ("is_not_null_var(0)", "is_not_null_var(nosuch)")
        ) { !$0.isUndefined && $0.kind != .null },
    ]

    private static let choices: [FunctionEntry] = [
        choice(
            "coalesce", "The first argument, or the first element of an array, that is not undefined.",
            [.init("coalesce(nosuch, 2)", "2"), .init("coalesce([nosuch, '', 3])", "''"), .init("coalesce('a')", nil)]
        ) { !$0.isUndefined },
        choice(
            "coalesce_ne",
            "The first argument, or the first element of an array, that is neither undefined nor empty text; "
                + "an empty array counts as empty text.",
            [.init("coalesce_ne('', 'x')", "'x'"), .init("coalesce_ne([nosuch, '', 3])", "3")]
        ) { !$0.isUndefined && !(($0.isText || $0.kind == .array) && $0.count == 0) },
    ]

    private static let types: [FunctionEntry] = [
        test("is_str", "Whether `x` is a string.", ("is_str('a')", "is_str(1)")) { $0.kind == .string },
        test("is_bool", "Whether `x` is a boolean.", ("is_bool(false)", "is_bool('true')")) { $0.kind == .boolean },
        test("is_int", "Whether `x` is an integer.", ("is_int(1)", "is_int(1.0)")) { $0.isInteger },
        test("is_float", "Whether `x` is a float.", ("is_float(1.0)", "is_float(1)")) { $0.kind == .float },
        test("is_num", "Whether `x` is an integer or a float.", ("is_num(1.5)", "is_num('1')")) { $0.isNumber },
        test("is_map", "Whether `x` is an object.", ("is_map(map_new())", "is_map('{}')")) { $0.kind == .object },
        test("is_array", "Whether `x` is an array.", ("is_array([1])", "is_array('[1]')")) { $0.kind == .array },
    ]

    private static let isEmpty = FunctionEntry(
        "is_empty", .null, [.init("x", .any)], returns: .boolean,
        doc: "Whether an array, an object or text has nothing in it; text that is not empty must be a JSON object.",
        examples: [.init("is_empty('{}')", "true"), .init("is_empty([1])", "false"), .init("is_empty('a')", nil)],
        body: { arguments, context throws(EvaluationError) in
            let value = arguments[0]
            if value.kind == .array || value.isText && value.count == 0 { return .boolean(value.count == 0) }
            return .boolean(try arguments.object(0, of: "is_empty", in: context.arena).count == 0)
        })
}

extension FunctionTable {
    /// - Parameter examples: a call that is true and one that is false.
    private static func test(
        _ name: String, _ doc: String, _ examples: (String, String), _ holds: @escaping @Sendable (Value) -> Bool
    ) -> FunctionEntry {
        FunctionEntry(
            name, .null, [.init("x", .any)], returns: .boolean, doc: doc,
            examples: [.init(examples.0, "true"), .init(examples.1, "false")],
            body: { arguments, _ in .boolean(holds(arguments[0])) })
    }

    /// The first of two arguments or of an array's elements that is wanted.
    private static func choice(
        _ name: String, _ doc: String, _ examples: [FunctionEntry.Example],
        _ isWanted: @escaping @Sendable (Value) -> Bool
    ) -> FunctionEntry {
        FunctionEntry(
            name, .null, [.init("a", .any), .init("b", .any, optional: true)], returns: .any, doc: doc,
            examples: examples,
            body: { arguments, _ throws(EvaluationError) in
                let candidates = arguments.count == 1 ? try arguments.array(0, of: name) : arguments
                return candidates.first(where: isWanted) ?? .undefined
            })
    }
}
