internal import Buffers
internal import Glibc

/// What a time is counted in.
enum TimeUnit: String, Sendable {
    case second, millisecond, microsecond, nanosecond

    /// How many of them a second has.
    var perSecond: Int {
        switch self {
        case .second: 1
        case .millisecond: 1000
        case .microsecond: 1_000_000
        case .nanosecond: 1_000_000_000
        }
    }

    var nanoseconds: Int { 1_000_000_000 / perSecond }

    var fractionDigits: Int {
        switch self {
        case .second: 0
        case .millisecond: 3
        case .microsecond: 6
        case .nanosecond: 9
        }
    }
}

/// A time since 1970 in UTC without leap seconds.
struct Moment {
    /// Rounded down.
    var seconds: Int
    /// 0 to 999,999,999.
    var nanosecond: Int

    init(seconds: Int, nanosecond: Int) {
        self.seconds = seconds
        self.nanosecond = nanosecond
    }

    init(_ count: Int, _ unit: TimeUnit) {
        seconds = Civil.floorDivide(count, by: unit.perSecond)
        // Wrapping: the product may lie below the least integer, the difference is less than a second.
        nanosecond = (count &- seconds &* unit.perSecond) * unit.nanoseconds
    }

    /// Rounded down; nil when it is beyond 64 bits.
    func count(in unit: TimeUnit) -> Int? {
        let (product, overflow) = seconds.multipliedReportingOverflow(by: unit.perSecond)
        let (sum, overflow2) = product.addingReportingOverflow(nanosecond / unit.nanoseconds)
        return overflow || overflow2 ? nil : sum
    }
}

/// A date and a time of day in the proleptic Gregorian calendar.
struct Civil: Equatable {
    var year: Int
    var month: Int
    var day: Int
    var hour: Int
    var minute: Int
    var second: Int

    /// Years 0 to 9999: what four digits hold. [RFC 3339 §1]
    static let range = -62_167_219_200...253_402_300_799

    static func floorDivide(_ value: Int, by divisor: Int) -> Int {
        let quotient = value / divisor
        return value % divisor < 0 ? quotient - 1 : quotient
    }

    /// - Parameter seconds: since 1970 on the clock that is shown.
    /// - Returns: nil before the year 0, and so far ahead that counting days might overflow.
    init?(seconds: Int) {
        guard seconds >= Civil.range.lowerBound, seconds < 1 << 61 else { return nil }
        let days = Civil.floorDivide(seconds, by: 86400)
        let ofDay = seconds - days * 86400
        // Years that begin in March, in eras of 400 years, so that the leap day is the last of its year.
        let sinceEpoch = days + 719_468
        let era = Civil.floorDivide(sinceEpoch, by: 146_097)
        let dayOfEra = sinceEpoch - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        hour = ofDay / 3600
        minute = ofDay / 60 % 60
        second = ofDay % 60
    }

    init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// Whether the calendar has that day.
    var hasValidDay: Bool {
        guard 0...9999 ~= year, 1...12 ~= month, day >= 1 else { return false }
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        switch month {
        case 2: return day <= (isLeap ? 29 : 28)
        case 4, 6, 9, 11: return day <= 30
        default: return day <= 31
        }
    }

    /// Since 1970 on the same clock. The day has been checked; a time of day beyond 24 hours counts on.
    var seconds: Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = Civil.floorDivide(marchYear, by: 400)
        let yearOfEra = marchYear - era * 400
        let marchMonth = month > 2 ? month - 3 : month + 9
        let dayOfYear = (153 * marchMonth + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        return days * 86400 + hour * 3600 + minute * 60 + second
    }
}

/// How far a clock is ahead of UTC, in seconds.
enum TimeZoneOffset {
    /// The offset that `+hh:mm`, `-hh:mm:ss`, `+hhmm`, `Z`, `z`, `local` or the name of a time zone stands for; an
    /// integer is one already, undefined is 0.
    ///
    /// - Parameter moment: in seconds since 1970; what `local` and names depend on.
    static func seconds(
        _ value: Value, at moment: Int, of function: String, _ zones: TimeZones
    ) throws(EvaluationError) -> Int {
        switch try clock(value, function, zones) {
        case .fixed(let offset): return offset
        case .local: return local(at: moment)
        case .zone(let zone): return zone.offset(at: moment)
        }
    }

    /// The offset at a local time.
    ///
    /// A time that a clock shows twice is the first of both; one that it skips is what it would have been without the
    /// change.
    /// - Parameter local: the seconds from 1970 to the time that the clock shows.
    static func seconds(
        _ value: Value, atLocal local: Int, of function: String, _ zones: TimeZones
    ) throws(EvaluationError) -> Int {
        let offset: (Int) -> Int
        switch try clock(value, function, zones) {
        case .fixed(let seconds): return seconds
        case .local: offset = { self.local(at: $0) }
        case .zone(let zone): offset = { zone.offset(at: $0) }
        }
        let before = offset(local &- 86400)
        let after = offset(local &+ 86400)
        if before == after || offset(local &- before) == before { return before }
        return offset(local &- after) == after ? after : before
    }

    private enum Clock {
        case fixed(Int)
        case local
        case zone(TimeZoneFile)
    }

    private static func clock(
        _ value: Value, _ function: String, _ zones: TimeZones
    ) throws(EvaluationError) -> Clock {
        switch value.kind {
        case .undefined: return .fixed(0)
        case .integer where value.integer.magnitude < 1 << 40: return .fixed(value.integer)
        case .string, .atom:
            if compareBytes(value.bytes, Value.string("local").bytes) == 0 { return .local }
            if let offset = parse(value.bytes) { return .fixed(offset) }
            if let zone = zones.zone(named: String(decoding: value.bytes, as: UTF8.self)) { return .zone(zone) }
        default: break
        }
        throw .badArgument(
            function: function,
            reason: "an offset is as '+08:00', '-0330', 'Z', 'local', a number of seconds, or a time zone's name as "
                + "'Europe/Berlin'")
    }

    /// Of the process's time zone.
    static func local(at moment: Int) -> Int {
        var time = time_t(moment)
        var parts = tm()
        return localtime_r(&time, &parts) == nil ? 0 : parts.tm_gmtoff
    }

    /// `Z`, `z`, `+hh:mm`, `+hh:mm:ss` or `+hhmm`, up to 23:59:59 either way; between colons one digit is enough.
    static func parse(_ text: Bytes) -> Int? {
        guard let first = text.first else { return nil }
        if text.count == 1 { return first | 0x20 == UInt8(ascii: "z") ? 0 : nil }
        guard first == UInt8(ascii: "+") || first == UInt8(ascii: "-") else { return nil }
        let digits = text.part(1..<text.count)
        var parts: [Int?]
        if digits.count == 4, !digits.contains(UInt8(ascii: ":")) {
            parts = [DateDigits.number(digits, at: 0, width: 2), DateDigits.number(digits, at: 2, width: 2)]
        } else {
            parts = digits.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).map { part in
                part.count > 2 || part.isEmpty
                    ? nil : DateDigits.number(Bytes(rebasing: part), at: 0, width: part.count)
            }
        }
        if parts.count == 2 { parts.append(0) }
        guard parts.count == 3, let hours = parts[0], let minutes = parts[1], let seconds = parts[2], hours < 24,
            minutes < 60, seconds < 60
        else { return nil }
        let offset = hours * 3600 + minutes * 60 + seconds
        return first == UInt8(ascii: "-") ? -offset : offset
    }
}

enum DateDigits {
    /// The number that exactly so many digits spell; nil when there are fewer.
    static func number(_ text: Bytes, at position: Int, width: Int) -> Int? {
        guard position + width <= text.count else { return nil }
        var value = 0
        for byte in text[position..<position + width] {
            guard byte &- 0x30 <= 9 else { return nil }
            value = value * 10 + Int(byte - 0x30)
        }
        return value
    }

    /// As ``number(_:at:width:)``; the first digit may be a sign.
    static func signedNumber(_ text: Bytes, at position: Int, width: Int) -> Int? {
        guard position < text.count, width > 1, text[position] == 0x2B || text[position] == 0x2D else {
            return number(text, at: position, width: width)
        }
        return number(text, at: position + 1, width: width - 1).map { text[position] == 0x2D ? -$0 : $0 }
    }

    /// Appends with leading zeros.
    ///
    /// - Parameter number: not negative and of no more digits than the width.
    static func append(_ number: Int, width: Int, to output: OutputBuffer) {
        var power = 1
        for _ in 1..<width { power *= 10 }
        while power > 0 {
            output.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / power % 10))
            power /= 10
        }
    }
}
