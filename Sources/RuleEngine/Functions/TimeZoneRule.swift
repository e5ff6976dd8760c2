/// The yearly rule of a time zone, as in `CET-1CEST,M3.5.0,M10.5.0/3`. [POSIX TZ, RFC 8536 §3.3]
struct TimeZoneRule {
    private enum Day {
        /// The n-th (5: last) weekday (0: Sunday) of a month.
        case weekday(month: Int, week: Int, day: Int)
        /// 1 to 365; February 29 does not count.
        case julian(Int)
        /// From 0; February 29 counts.
        case ordinal(Int)
    }

    private struct Change {
        var day: Day
        /// In seconds of local time from the day's midnight; may be negative or beyond a day.
        var time: Int
    }

    /// In seconds ahead of UTC.
    private var standard = 0
    private var summer = 0
    private var changes: (toSummer: Change, toStandard: Change)?

    /// - Returns: nil for text that is no rule.
    init?(_ text: String) {
        var reader = Reader(Array(text.utf8))
        guard reader.name(), let west = reader.clock() else { return nil }
        standard = -west
        guard !reader.isAtEnd else { return }
        guard reader.name() else { return nil }
        if reader.peek == UInt8(ascii: ",") {
            summer = standard + 3600
        } else {
            guard let west = reader.clock() else { return nil }
            summer = -west
        }
        guard let start = reader.change(), let end = reader.change(), reader.isAtEnd else { return nil }
        changes = (start, end)
    }

    /// - Parameter moment: in seconds since 1970.
    func offset(at moment: Int) -> Int {
        // Outside of the calendar's range there is no year to look at.
        guard let changes, let year = Civil(seconds: moment &+ standard)?.year else { return standard }
        let start = Self.moment(of: changes.toSummer, in: year) - standard
        let end = Self.moment(of: changes.toStandard, in: year) - summer
        let isSummer = start < end ? moment >= start && moment < end : moment >= start || moment < end
        return isSummer ? summer : standard
    }

    /// In seconds since 1970 on the local clock.
    private static func moment(of change: Change, in year: Int) -> Int {
        let day: Int
        switch change.day {
        case .ordinal(let number): day = days(year, 1, 1) + number
        case .julian(let number): day = days(year, 1, 1) + number - 1 + (isLeap(year) && number >= 60 ? 1 : 0)
        case .weekday(let month, let week, let weekday):
            let first = days(year, month, 1)
            // 1970-01-01 was a Thursday.
            let firstWeekday = first + 4 - 7 * Civil.floorDivide(first + 4, by: 7)
            let inMonth = (weekday - firstWeekday + 7) % 7 + (week - 1) * 7
            let length = (month == 12 ? days(year + 1, 1, 1) : days(year, month + 1, 1)) - first
            day = first + (inMonth < length ? inMonth : inMonth - 7)
        }
        return day * 86400 + change.time
    }

    private static func days(_ year: Int, _ month: Int, _ day: Int) -> Int {
        Civil.floorDivide(
            Civil(year: year, month: month, day: day, hour: 0, minute: 0, second: 0).seconds, by: 86400)
    }

    private static func isLeap(_ year: Int) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private struct Reader {
        private let bytes: [UInt8]
        private var position = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { position >= bytes.count }
        var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

        mutating func take(_ byte: UInt8) -> Bool {
            guard peek == byte else { return false }
            position += 1
            return true
        }

        /// The name of a clock, letters or anything in angle brackets; it is not kept.
        mutating func name() -> Bool {
            let start = position
            if take(UInt8(ascii: "<")) {
                while !isAtEnd, peek != UInt8(ascii: ">") { position += 1 }
                return take(UInt8(ascii: ">"))
            }
            while let byte = peek, 0x61...0x7A ~= byte | 0x20 { position += 1 }
            return position > start
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func clock() -> Int? {
            let isNegative = take(UInt8(ascii: "-"))
            if !isNegative { _ = take(UInt8(ascii: "+")) }
            guard var seconds = number().map({ $0 * 3600 }) else { return nil }
            for unit in [60, 1] where take(UInt8(ascii: ":")) {
                guard let count = number() else { return nil }
                seconds += count * unit
            }
            return isNegative ? -seconds : seconds
        }

        /// `,M3.5.0/2`, `,J60` or `,59`.
        mutating func change() -> Change? {
            guard take(UInt8(ascii: ",")) else { return nil }
            let day: Day
            if take(UInt8(ascii: "M")) {
                guard let month = number(), 1...12 ~= month, take(UInt8(ascii: ".")), let week = number(),
                    1...5 ~= week, take(UInt8(ascii: ".")), let weekday = number(), 0...6 ~= weekday
                else { return nil }
                day = .weekday(month: month, week: week, day: weekday)
            } else {
                let isJulian = take(UInt8(ascii: "J"))
                guard let count = number(), count <= 365 else { return nil }
                day = isJulian ? .julian(count) : .ordinal(count)
            }
            guard take(UInt8(ascii: "/")) else { return Change(day: day, time: 7200) }
            return clock().map { Change(day: day, time: $0) }
        }

        private mutating func number() -> Int? {
            var value: Int?
            while let byte = peek, 0x30...0x39 ~= byte, (value ?? 0) < 100_000 {
                value = (value ?? 0) * 10 + Int(byte - 0x30)
                position += 1
            }
            return value
        }
    }
}
