internal import BigInt
internal import Buffers

// Moments as numbers and text. The clock is the context's; sub-second digits and calendars are counted here.
// [EMQX rule-sql: date]
extension FunctionTable {
    static let date: [FunctionEntry] = clock + rfc3339 + patterns + zones

    private static let unit = FunctionEntry.Parameter("unit", .string, optional: true)

    private static let clock: [FunctionEntry] = [
        FunctionEntry(
            "now_timestamp", .date, [unit], returns: .integer, pure: false,
            doc: "The time since 1970 in that unit: second (default), millisecond, microsecond or nanosecond.",
            examples: [.init("now_timestamp('second') > 0", "true"), .init("now_timestamp('minute')", nil)],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(0, of: "now_timestamp")
                return .integer(Civil.floorDivide(Int(context.nowNanoseconds), by: unit.nanoseconds))
            }),
        FunctionEntry(
            "now_rfc3339", .date, [unit], returns: .string, pure: false,
            doc: "The local time as RFC 3339 text with as many digits as the unit has.",
            examples: [
                .init("rfc3339_to_unix_ts(now_rfc3339()) = now_timestamp()", "true"),
                .init("now_rfc3339('minute')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(0, of: "now_rfc3339")
                let now = Civil.floorDivide(Int(context.nowNanoseconds), by: unit.nanoseconds)
                return try RFC3339.text(now, unit, of: "now_rfc3339", in: context.arena)
            }),
        FunctionEntry(
            "mongo_date", .date, [.init("ts", .integer, optional: true), unit], returns: .object, pure: false,
            doc: """
                A moment in MongoDB JSON: `{"$date": milliseconds}`, by default now; `ts` is in milliseconds \
                by default. Differs from EMQX: a value that every sink can write.
                """,
            examples: [
                .init("json_encode(mongo_date(5))", "'{\"$date\":5}'"),
                .init("json_encode(mongo_date(5, 'second'))", "'{\"$date\":5000}'"),
            ],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(1, of: "mongo_date", default: .millisecond)
                let moment =
                    arguments.isEmpty
                    ? Moment(Int(context.nowNanoseconds), .nanosecond)
                    : Moment(try arguments.smallInteger(0, of: "mongo_date"), unit)
                guard let milliseconds = moment.count(in: .millisecond) else { throw .overflow("mongo_date") }
                let key = Value.string("$date").bytes
                return try context.arena.object([Member(key: key, value: .integer(milliseconds))])
            }),
    ]

    private static let rfc3339: [FunctionEntry] = [
        FunctionEntry(
            "unix_ts_to_rfc3339", .date, [.init("ts", .integer), unit], returns: .string, pure: false,
            doc: "A time since 1970 as RFC 3339 text in local time, with as many digits as the unit has.",
            examples: [
                .init("rfc3339_to_unix_ts(unix_ts_to_rfc3339(1700000000123, 'millisecond'))", "1700000000"),
                .init("unix_ts_to_rfc3339('0')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(1, of: "unix_ts_to_rfc3339")
                let count = try arguments.smallInteger(0, of: "unix_ts_to_rfc3339")
                return try RFC3339.text(count, unit, of: "unix_ts_to_rfc3339", in: context.arena)
            }),
        FunctionEntry(
            "rfc3339_to_unix_ts", .date, [.init("s", .string), unit], returns: .integer,
            doc: "The time since 1970 of RFC 3339 text, cut to the unit (default second).",
            examples: [
                .init("rfc3339_to_unix_ts('2023-11-15T06:13:20.5+08:00', 'millisecond')", "1700000000500"),
                .init("rfc3339_to_unix_ts('2023-02-30T00:00:00Z')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(1, of: "rfc3339_to_unix_ts")
                let text = try arguments.text(0, of: "rfc3339_to_unix_ts")
                guard let moment = RFC3339.moment(text) else {
                    throw .badArgument(
                        function: "rfc3339_to_unix_ts",
                        reason: "takes a date and time as 2023-11-14T22:13:20Z, with Z or an offset")
                }
                return try moment.value(in: unit, context.arena)
            }),
    ]

    private static let patterns: [FunctionEntry] = [
        FunctionEntry(
            "format_date", .date,
            [
                .init("unit", .string), .init("offset", .any), .init("format", .string),
                .init("ts", .integer, optional: true),
            ], returns: .string, pure: false,
            doc: """
                A time since 1970 (default: now) with `%Y %m %d %H %M %S`, `%N %3N %6N` (parts of the second) and \
                `%z %:z %::z` (the offset) replaced; other text stays. The offset is as in `timezone_to_offset_seconds`.
                """,
            examples: [
                .init(
                    "format_date('second', '+08:00', '%Y-%m-%d %H:%M:%S%:z', 1700000000)",
                    "'2023-11-15 06:13:20+08:00'"),
                .init("format_date('second', 'Europe/Berlin', '%H:%M %:z', 1700000000)", "'23:13 +01:00'"),
                .init("format_date('hour', 'Z', '%Y', 0)", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let unit = try arguments.unit(0, of: "format_date")
                let format = try arguments.text(2, of: "format_date")
                let moment =
                    arguments.count < 4
                    ? Moment(Int(context.nowNanoseconds), .nanosecond)
                    : Moment(try arguments.smallInteger(3, of: "format_date"), unit)
                let offset = try TimeZoneOffset.seconds(
                    arguments[1], at: moment.seconds, of: "format_date", context.timeZones)
                let scratch = context.arena.scratch
                scratch.removeAll()
                guard DateFormat.append(moment, offset: offset, format, to: scratch) else {
                    throw .overflow("format_date")
                }
                return try context.arena.string(copying: scratch.bytes)
            }),
        FunctionEntry(
            "date_to_unix_ts", .date,
            [
                .init("unit", .string), .init("offset", .any, optional: true), .init("format", .string),
                .init("s", .string),
            ],
            returns: .integer, pure: false,
            doc: """
                The time since 1970 of text in the format of `format_date`. Other characters of the format skip one of \
                the text each; year to second are required, what follows the format is ignored. Of a local time that \
                there is twice, the first counts.
                """,
            examples: [
                .init("date_to_unix_ts('second', '%Y-%m-%d %H:%M:%S', '2023-11-14 22:13:20')", "1700000000"),
                .init("date_to_unix_ts('second', '%H:%M:%S', '22:13:20')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                let name = "date_to_unix_ts"
                let unit = try arguments.unit(0, of: name)
                let format = try arguments.text(arguments.count - 2, of: name)
                let text = try arguments.text(arguments.count - 1, of: name)
                let parsed = try DateFormat.parse(text, format)
                var offset = 0
                if arguments.count == 4 {
                    offset = try TimeZoneOffset.seconds(
                        arguments[1], atLocal: parsed.seconds, of: name, context.timeZones)
                }
                let moment = Moment(seconds: parsed.seconds - offset, nanosecond: parsed.nanosecond)
                return try moment.value(in: unit, context.arena)
            }),
    ]

    private static let zones: [FunctionEntry] = [zone("timezone_to_offset_seconds"), zone("timezone_to_second")]

    private static func zone(_ name: String) -> FunctionEntry {
        FunctionEntry(
            name, .date, [.init("offset", .any)], returns: .integer, pure: false,
            doc: """
                The seconds of an offset: `+hh:mm`, `-hh:mm:ss`, `+hhmm`, `Z`, `local`, or the IANA name of a time \
                zone (as it is now); integers stay. Differs from EMQX: names raise there.
                """,
            examples: [
                .init("\(name)('+08:00')", "28800"), .init("\(name)('Asia/Tokyo')", "32400"),
                .init("\(name)('+24:00')", nil),
            ],
            body: { arguments, context throws(EvaluationError) in
                // An integer of any size stays as it is.
                if arguments[0].isInteger { return arguments[0] }
                let now = Moment(Int(context.nowNanoseconds), .nanosecond)
                return .integer(
                    try TimeZoneOffset.seconds(arguments[0], at: now.seconds, of: name, context.timeZones))
            })
    }
}

extension Arguments {
    /// The unit that an argument names; the default where there are fewer arguments.
    fileprivate func unit(
        _ index: Int, of function: String, default fallback: TimeUnit = .second
    ) throws(EvaluationError) -> TimeUnit {
        guard index < count else { return fallback }
        guard self[index].isText, let unit = TimeUnit(rawValue: String(decoding: self[index].bytes, as: UTF8.self))
        else {
            throw .badArgument(
                function: function, reason: "a unit is 'second', 'millisecond', 'microsecond' or 'nanosecond'")
        }
        return unit
    }
}

extension Moment {
    /// The count of units since 1970, of any size, rounded down.
    fileprivate func value(in unit: TimeUnit, _ arena: Arena) throws(EvaluationError) -> Value {
        if let count = count(in: unit) { return .integer(count) }
        return try arena.integer(BigInt(seconds) * BigInt(unit.perSecond) + BigInt(nanosecond / unit.nanoseconds))
    }
}

extension EvaluationError {
    fileprivate static func overflow(_ function: String) -> EvaluationError {
        .badArgument(function: function, reason: "the time is beyond what the unit or the calendar holds")
    }
}
