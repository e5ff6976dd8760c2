internal import Buffers

/// Dates as `2023-11-14T22:13:20.123+08:00`. [RFC 3339 §5.6]
enum RFC3339 {
    /// In local time.
    static func text(
        _ count: Int, _ unit: TimeUnit, of function: String, in arena: Arena
    ) throws(EvaluationError) -> Value {
        let moment = Moment(count, unit)
        let offset = Civil.range.contains(moment.seconds) ? TimeZoneOffset.local(at: moment.seconds) : 0
        guard Civil.range.contains(moment.seconds), Civil.range.contains(moment.seconds + offset),
            let civil = Civil(seconds: moment.seconds + offset)
        else {
            throw .badArgument(function: function, reason: "the time is outside of the years 0 to 9999")
        }
        let output = arena.scratch
        output.removeAll()
        append(civil, separator: UInt8(ascii: "T"), to: output)
        if unit != .second {
            output.append(UInt8(ascii: "."))
            DateDigits.append(
                moment.nanosecond / (1_000_000_000 / unit.perSecond), width: unit.fractionDigits, to: output)
        }
        DateFormat.append(offset: offset, colons: 1, to: output)
        return try arena.string(copying: output.bytes)
    }

    private static func append(_ civil: Civil, separator: UInt8, to output: OutputBuffer) {
        DateDigits.append(civil.year, width: 4, to: output)
        output.append(UInt8(ascii: "-"))
        DateDigits.append(civil.month, width: 2, to: output)
        output.append(UInt8(ascii: "-"))
        DateDigits.append(civil.day, width: 2, to: output)
        output.append(separator)
        DateDigits.append(civil.hour, width: 2, to: output)
        output.append(UInt8(ascii: ":"))
        DateDigits.append(civil.minute, width: 2, to: output)
        output.append(UInt8(ascii: ":"))
        DateDigits.append(civil.second, width: 2, to: output)
    }

    /// - Returns: nil for anything else; digits of the second beyond the ninth are dropped. Two digits of hours, minutes
    ///   and seconds count on, whatever they are: a leap second is the one that follows.
    static func moment(_ text: Bytes) -> Moment? {
        guard text.count >= 20, let civil = dateAndTime(text), civil.hasValidDay else { return nil }
        var position = 19
        var nanosecond = 0
        if text[position] == UInt8(ascii: ".") {
            position += 1
            let start = position
            var power = 100_000_000
            while position < text.count, text[position] &- 0x30 <= 9 {
                nanosecond += Int(text[position] - 0x30) * power
                power /= 10
                position += 1
            }
            guard position > start else { return nil }
        }
        guard let offset = offset(Bytes(rebasing: text[position...])) else { return nil }
        return Moment(seconds: civil.seconds - offset, nanosecond: nanosecond)
    }

    /// `Z`, `+hh:mm` or `+hh`.
    private static func offset(_ zone: Bytes) -> Int? {
        if zone.count == 1 { return TimeZoneOffset.parse(zone) }
        guard zone.count == 3 || zone.count == 6 && zone[3] == UInt8(ascii: ":"),
            zone[0] == UInt8(ascii: "+") || zone[0] == UInt8(ascii: "-"),
            let hours = DateDigits.number(zone, at: 1, width: 2),
            let minutes = zone.count == 3 ? 0 : DateDigits.number(zone, at: 4, width: 2)
        else { return nil }
        let offset = hours * 3600 + minutes * 60
        return zone[0] == UInt8(ascii: "-") ? -offset : offset
    }

    private static func dateAndTime(_ text: Bytes) -> Civil? {
        guard let year = DateDigits.number(text, at: 0, width: 4), text[4] == UInt8(ascii: "-"),
            let month = DateDigits.number(text, at: 5, width: 2), text[7] == UInt8(ascii: "-"),
            let day = DateDigits.number(text, at: 8, width: 2),
            text[10] | 0x20 == UInt8(ascii: "t") || text[10] == UInt8(ascii: " "),
            let hour = DateDigits.number(text, at: 11, width: 2), text[13] == UInt8(ascii: ":"),
            let minute = DateDigits.number(text, at: 14, width: 2), text[16] == UInt8(ascii: ":"),
            let second = DateDigits.number(text, at: 17, width: 2)
        else { return nil }
        return Civil(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
    }
}

/// Formats of `format_date` and `date_to_unix_ts`. [EMQX rule-sql: format_date]
enum DateFormat {
    private enum Part {
        case literal(UInt8)
        case year, month, day, hour, minute, second
        case fraction(digits: Int)
        case offset(colons: Int)
    }

    /// Cuts the next part off the front of a format; anything that is no field stands for itself.
    private static func next(_ format: inout Slice<Bytes>) -> Part? {
        guard let first = format.popFirst() else { return nil }
        guard first == UInt8(ascii: "%") else { return .literal(first) }
        let (part, length): (Part?, Int) = field(format)
        guard let part else { return .literal(first) }
        format = format.dropFirst(length)
        return part
    }

    private static func field(_ format: Slice<Bytes>) -> (Part?, Int) {
        switch format.first {
        case UInt8(ascii: "Y"): (.year, 1)
        case UInt8(ascii: "m"): (.month, 1)
        case UInt8(ascii: "d"): (.day, 1)
        case UInt8(ascii: "H"): (.hour, 1)
        case UInt8(ascii: "M"): (.minute, 1)
        case UInt8(ascii: "S"): (.second, 1)
        case UInt8(ascii: "N"): (.fraction(digits: 9), 1)
        case UInt8(ascii: "z"): (.offset(colons: 0), 1)
        default:
            if format.starts(with: "3N".utf8) {
                (.fraction(digits: 3), 2)
            } else if format.starts(with: "6N".utf8) {
                (.fraction(digits: 6), 2)
            } else if format.starts(with: ":z".utf8) {
                (.offset(colons: 1), 2)
            } else if format.starts(with: "::z".utf8) {
                (.offset(colons: 2), 3)
            } else {
                (nil, 0)
            }
        }
    }

    /// - Returns: false when the calendar or an offset's two digits do not reach that far; nothing is appended then.
    static func append(_ moment: Moment, offset: Int, _ format: Bytes, to output: OutputBuffer) -> Bool {
        let (shown, overflow) = moment.seconds.addingReportingOverflow(offset)
        guard !overflow, offset.magnitude < 360_000, let civil = Civil(seconds: shown) else { return false }
        var rest = format[...]
        while let part = next(&rest) {
            switch part {
            case .literal(let byte): output.append(byte)
            case .year where civil.year > 9999: output.append(decimal: civil.year)
            case .year: DateDigits.append(civil.year, width: 4, to: output)
            case .month: DateDigits.append(civil.month, width: 2, to: output)
            case .day: DateDigits.append(civil.day, width: 2, to: output)
            case .hour: DateDigits.append(civil.hour, width: 2, to: output)
            case .minute: DateDigits.append(civil.minute, width: 2, to: output)
            case .second: DateDigits.append(civil.second, width: 2, to: output)
            case .fraction(let digits):
                var divisor = 1
                for _ in digits..<9 { divisor *= 10 }
                DateDigits.append(moment.nanosecond / divisor, width: digits, to: output)
            case .offset(let colons): append(offset: offset, colons: colons, to: output)
            }
        }
        return true
    }

    /// `+hhmm`, `+hh:mm` or `+hh:mm:ss` for 0, 1 and 2 colons.
    static func append(offset: Int, colons: Int, to output: OutputBuffer) {
        let magnitude = abs(offset)
        output.append(offset < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
        DateDigits.append(magnitude / 3600, width: 2, to: output)
        if colons > 0 { output.append(UInt8(ascii: ":")) }
        DateDigits.append(magnitude / 60 % 60, width: 2, to: output)
        guard colons == 2 else { return }
        output.append(UInt8(ascii: ":"))
        DateDigits.append(magnitude % 60, width: 2, to: output)
    }

    /// The moment that text in that format stands for; an offset in the text is subtracted. What follows the format is
    /// ignored, and so is which characters the text has where the format has others than fields.
    static func parse(_ text: Bytes, _ format: Bytes) throws(EvaluationError) -> Moment {
        var parsed = Fields()
        var position = 0
        var rest = format[...]
        while let part = next(&rest) {
            switch part {
            case .literal: position += 1
            case .year: parsed.year = try number(text, &position, 4, "year")
            case .month: parsed.month = try number(text, &position, 2, "month")
            case .day: parsed.day = try number(text, &position, 2, "day")
            case .hour: parsed.hour = try number(text, &position, 2, "hour")
            case .minute: parsed.minute = try number(text, &position, 2, "minute")
            case .second: parsed.second = try number(text, &position, 2, "second")
            // What follows the seconds may be missing from the end.
            case .fraction where position >= text.count, .offset where position >= text.count: position += 1
            case .fraction(let digits):
                parsed.nanosecond = try number(text, &position, digits, "part of a second")
                for _ in digits..<9 { parsed.nanosecond *= 10 }
            case .offset(let colons):
                let end = position + 5 + [0, 1, 4][colons]
                guard end <= text.count, let offset = TimeZoneOffset.parse(Bytes(rebasing: text[position..<end])) else {
                    throw failure("the text has no offset at byte \(position)")
                }
                parsed.offset = offset
                position = end
            }
        }
        return try parsed.moment()
    }

    private static func number(
        _ text: Bytes, _ position: inout Int, _ width: Int, _ field: StaticString
    ) throws(EvaluationError) -> Int {
        guard let value = DateDigits.signedNumber(text, at: position, width: width) else {
            throw failure("the text has no \(field) of \(width) digits at byte \(position)")
        }
        position += width
        return value
    }

    private static func failure(_ reason: String) -> EvaluationError {
        .badArgument(function: "date_to_unix_ts", reason: reason)
    }

    private struct Fields {
        var year, month, day, hour, minute, second: Int?
        var nanosecond = 0
        var offset = 0

        func moment() throws(EvaluationError) -> Moment {
            guard let year, let month, let day, let hour, let minute, let second else {
                throw failure("the format has to have year, month, day, hour, minute and second")
            }
            let civil = Civil(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
            guard civil.hasValidDay else { throw failure("there is no such day") }
            return Moment(seconds: civil.seconds - offset, nanosecond: nanosecond)
        }
    }
}
