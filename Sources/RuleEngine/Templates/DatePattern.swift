package import Buffers

/// A date and time pattern, compiled once: `%Y %m %d %H %M %S`, `%j` (day of the year), `%L` (milliseconds), `%s` (seconds since 1970),
/// `%z` (`+hhmm`) and `%%`; all else stands for itself.
package struct DatePattern: Sendable {
    private enum Part: Sendable {
        case literal(UInt8)
        case field(UInt8)
    }

    private let parts: [Part]
    /// Whether the text changes with the time.
    package let isConstant: Bool

    package init(_ pattern: String) {
        var parts: [Part] = []
        var iterator = Array(pattern.utf8)[...]
        while let byte = iterator.popFirst() {
            guard byte == UInt8(ascii: "%"), let field = iterator.first else {
                parts.append(.literal(byte))
                continue
            }
            switch field {
            case UInt8(ascii: "%"): parts.append(.literal(field))
            case UInt8(ascii: "Y"), UInt8(ascii: "m"), UInt8(ascii: "d"), UInt8(ascii: "H"), UInt8(ascii: "M"),
                UInt8(ascii: "S"), UInt8(ascii: "j"), UInt8(ascii: "L"), UInt8(ascii: "s"), UInt8(ascii: "z"):
                parts.append(.field(field))
            default:
                parts.append(.literal(byte))
                continue
            }
            iterator.removeFirst()
        }
        self.parts = parts
        isConstant = parts.allSatisfy { if case .literal = $0 { true } else { false } }
    }

    /// Appends the text for a moment.
    ///
    /// - Parameters:
    ///   - milliseconds: since 1970 in UTC.
    ///   - offset: of the local time in seconds, positive to the east.
    package func append(milliseconds: Int64, offset: Int = 0, to output: OutputBuffer) {
        let time = CivilTime(milliseconds: milliseconds, offset: offset)
        for part in parts {
            switch part {
            case .literal(let byte): output.append(byte)
            case .field(let field): append(field, time, milliseconds, offset, to: output)
            }
        }
    }

    private func append(_ field: UInt8, _ time: CivilTime, _ milliseconds: Int64, _ offset: Int, to output: OutputBuffer) {
        switch field {
        case UInt8(ascii: "Y"): append(time.year, width: 4, to: output)
        case UInt8(ascii: "m"): append(time.month, width: 2, to: output)
        case UInt8(ascii: "d"): append(time.day, width: 2, to: output)
        case UInt8(ascii: "H"): append(time.secondOfDay / 3600, width: 2, to: output)
        case UInt8(ascii: "M"): append(time.secondOfDay / 60 % 60, width: 2, to: output)
        case UInt8(ascii: "S"): append(time.secondOfDay % 60, width: 2, to: output)
        case UInt8(ascii: "j"): append(time.dayOfYear, width: 3, to: output)
        case UInt8(ascii: "L"): append(time.millisecond, width: 3, to: output)
        case UInt8(ascii: "s"): output.append(decimal: Int(milliseconds) / 1000 - (milliseconds % 1000 < 0 ? 1 : 0))
        default:
            output.append(offset < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
            append(abs(offset) / 3600, width: 2, to: output)
            append(abs(offset) / 60 % 60, width: 2, to: output)
        }
    }

    private func append(_ number: Int, width: Int, to output: OutputBuffer) {
        var bound = 1
        for _ in 1..<width { bound *= 10 }
        while bound > 1, number < bound {
            output.append(UInt8(ascii: "0"))
            bound /= 10
        }
        output.append(decimal: max(0, number))
    }
}

/// A moment in the Gregorian calendar.
private struct CivilTime {
    let year: Int
    let month: Int
    let day: Int
    /// 1 to 366.
    let dayOfYear: Int
    let secondOfDay: Int
    let millisecond: Int

    init(milliseconds: Int64, offset: Int) {
        let shifted = Int(milliseconds) + offset * 1000
        millisecond = ((shifted % 1000) + 1000) % 1000
        let seconds = (shifted - millisecond) / 1000
        secondOfDay = ((seconds % 86400) + 86400) % 86400
        let days = (seconds - secondOfDay) / 86400
        // Years that begin in March, in eras of 400 years, so that the leap day is the last of its year.
        let sinceEpoch = days + 719_468
        let dayOfEra = ((sinceEpoch % 146_097) + 146_097) % 146_097
        let era = (sinceEpoch - dayOfEra) / 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfMarchYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfMarchYear + 2) / 153
        day = dayOfMarchYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        dayOfYear = month > 2 ? dayOfMarchYear + 60 + (isLeap ? 1 : 0) : dayOfMarchYear - 305
    }
}
