internal import Buffers
internal import Topics

// The event's columns as functions. [EMQX rule-sql: message accessors]
//
// Differs from EMQX: they give the columns in fields as well, not in WHERE alone.
extension FunctionTable {
    static let message: [FunctionEntry] =
        [
            column("msgid", "id", .string, "The message's identifier."),
            column("qos", "qos", .integer, "The message's quality of service."),
            column("clientid", "from", .string, "The column `from`, which no event has: undefined."),
            column("username", "username", .string, "The client's user name."),
            column("peerhost", "peerhost", .string, "The client's address."),
            column("clientip", "peerhost", .string, "The client's address."),
        ] + structured + subscriptions

    private static let structured: [FunctionEntry] = [
        FunctionEntry(
            "topic", .message, [.init("n", .integer, optional: true)], returns: .string, pure: false,
            doc: "The message's topic, or its n-th level, counted from 1; raises when there is no such level.",
            examples: [.init("topic()", "topic"), .init("topic(1)", "'t'"), .init("topic(9)", nil)],
            body: { arguments, context throws(EvaluationError) in
                let topic = try value(of: .topic, context)
                guard !arguments.isEmpty, topic.isText else { return topic }
                return .string(try level(try arguments.integer(0, of: "topic"), of: topic.bytes))
            }),
        FunctionEntry(
            "flags", .message, [], returns: .object, pure: false,
            doc: "The message's flags; an object without members when the event has none.",
            examples: [.init("flags()", "flags")],
            body: { _, context throws(EvaluationError) in
                let flags = try value(of: .flags, context)
                return flags.isUndefined ? .emptyObject : flags
            }),
        FunctionEntry(
            "flag", .message, [.init("name", .string)], returns: .boolean, pure: false,
            doc: "One of the message's flags; undefined when it is not there.",
            examples: [.init("flag('retain')", "flags.retain"), .init("flag('nosuch')", "null()")],
            body: { arguments, context throws(EvaluationError) in
                // A name that is no text names no flag.
                guard arguments[0].isText else { return .undefined }
                return try value(of: .flags, context).member(arguments[0].bytes)
            }),
        FunctionEntry(
            "payload", .message, [.init("path", .string, optional: true)], returns: .any, pure: false,
            doc: "The payload, or what the path of keys with dots between leads to in a payload that is an object "
                + "already; text is not decoded.",
            examples: [.init("payload()", "payload"), .init("payload('a.b')", "null()")],
            body: { arguments, context throws(EvaluationError) in
                var value = try value(of: .payload, context)
                if arguments.isEmpty { return value }
                guard arguments[0].isText else { return .undefined }
                let path = arguments[0].bytes
                var start = 0
                while start <= path.count { value = value.member(nextKey(of: path, &start)) }
                return value
            }),
    ]

    private static let subscriptions: [FunctionEntry] = [
        search("contains_topic", "equals `topic`", ("'t/a'", "'t/b'")) { compareBytes($0, $1) == 0 },
        search("contains_topic_match", "matches the filter `topic`", ("'t/#'", "'x/#'")) {
            TopicSyntax.matches(filter: $1, topic: $0)
        },
    ]
}

extension FunctionTable {
    private static func column(
        _ name: String, _ columnName: String, _ kind: FunctionEntry.Kind, _ doc: String
    ) -> FunctionEntry {
        let column = Column(columnName)
        return FunctionEntry(
            name, .message, [], returns: kind, pure: false, doc: doc,
            examples: [.init("\(name)()", columnName == "from" ? "null()" : columnName)],
            body: { _, context throws(EvaluationError) in try value(of: column, context) })
    }

    private static func value(of column: Column, _ context: EvaluationContext) throws(EvaluationError) -> Value {
        guard let event = context.event else { return .undefined }
        return try event.value(of: column, in: context)
    }

    private static func level(_ number: Int, of topic: Bytes) throws(EvaluationError) -> Bytes {
        var start = 0
        var level = 1
        while level < number, start <= topic.count {
            while start < topic.count, topic[start] != UInt8(ascii: "/") { start += 1 }
            start += 1
            level += 1
        }
        guard number >= 1, start <= topic.count else {
            throw .badArgument(function: "topic", reason: "the topic has no level \(number)")
        }
        var end = start
        while end < topic.count, topic[end] != UInt8(ascii: "/") { end += 1 }
        return Bytes(rebasing: topic[start..<end])
    }

    /// - Parameters:
    ///   - examples: what is found in, and what is missing from, a list with the topic `t/a`.
    ///   - fits: whether a topic of the list, the first, is what is looked for.
    private static func search(
        _ name: String, _ what: String, _ examples: (String, String), _ fits: @escaping @Sendable (Bytes, Bytes) -> Bool
    ) -> FunctionEntry {
        let list = "[map_put('topic', 't/a', map_put('qos', 1, map_new()))]"
        return FunctionEntry(
            name, .message,
            [.init("filters", .array), .init("topic", .string), .init("qos", .integer, optional: true)],
            returns: .boolean,
            doc: "Whether an element of a list of `{topic, qos}` \(what) and, if given, has that `qos`. "
                + "Differs from EMQX: there it never holds when `qos` is given.",
            examples: [
                .init("\(name)(\(list), \(examples.0))", "true"), .init("\(name)(\(list), \(examples.1))", "false"),
                .init("\(name)(\(list), \(examples.0), 2)", "false"),
            ],
            body: { arguments, _ throws(EvaluationError) in
                let elements = try arguments.array(0, of: name)
                // What is no text is no topic that a list could have.
                guard arguments[1].isText else { return .false }
                let wanted = arguments[1].bytes
                for element in elements {
                    let topic = element.member(Value.string("topic").bytes)
                    guard topic.isText, fits(topic.bytes, wanted) else { continue }
                    guard arguments.count > 2 else { return .true }
                    if Operators.exactlyEqual(element.member(Value.string("qos").bytes), arguments[2]) { return .true }
                }
                return .false
            })
    }
}
