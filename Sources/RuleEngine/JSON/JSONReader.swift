internal import Buffers
import CBytes

/// A cursor over JSON text: white space, strings, numbers and literals, and the skipping of whole values.
///
/// What it steps over it has checked; nothing is allocated. The functions named `after…` take a cursor and return the
/// one behind what they stepped over, which keeps it in a register where a loop calls them; the others move ``next``.
struct JSONReader {
    let start: UnsafePointer<UInt8>
    let end: UnsafePointer<UInt8>
    var next: UnsafePointer<UInt8>

    init(_ address: UnsafeRawPointer, count: Int) {
        start = address.assumingMemoryBound(to: UInt8.self)
        end = start + count
        next = start
    }

    @inline(never)
    func failure(at cursor: UnsafePointer<UInt8>) -> EvaluationError { .decodeJSON(offset: cursor - start) }
    var failure: EvaluationError { failure(at: next) }

    /// The byte at a cursor; zero, which begins nothing in JSON, at the end.
    @inline(__always) func byte(at cursor: UnsafePointer<UInt8>) -> UInt8 { cursor < end ? cursor.pointee : 0 }
    @inline(__always) var peek: UInt8 { byte(at: next) }

    @inline(__always)
    func afterSpace(_ cursor: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        if cursor < end, cursor.pointee > 0x20 { return cursor }
        var cursor = cursor
        while cursor < end, JSONReader.isSpace(cursor.pointee) { cursor += 1 }
        return cursor
    }

    @inline(__always)
    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09
    }

    @inline(__always)
    mutating func skipSpace() { next = afterSpace(next) }

    /// White space and then that byte.
    @inline(__always)
    mutating func expect(_ byte: UInt8) throws(EvaluationError) {
        skipSpace()
        guard peek == byte else { throw failure }
        next += 1
    }

    /// Nothing but white space may follow.
    mutating func expectEnd() throws(EvaluationError) {
        skipSpace()
        guard next == end else { throw failure }
    }

    @inline(__always)
    mutating func expectLiteral(_ text: StaticString) throws(EvaluationError) { next = try afterLiteral(next, text) }

    @inline(never)
    func afterLiteral(
        _ cursor: UnsafePointer<UInt8>, _ text: StaticString
    ) throws(EvaluationError) -> UnsafePointer<UInt8> {
        let count = text.utf8CodeUnitCount
        guard end - cursor >= count else { throw failure(at: cursor) }
        for position in 0..<count where cursor[position] != text.utf8Start[position] {
            throw failure(at: cursor + position)
        }
        return cursor + count
    }
}

// Strings.
extension JSONReader {
    /// The bytes between the quotes.
    struct ScannedString {
        let start: UnsafePointer<UInt8>
        let count: Int
        let hasEscapes: Bool

        @inline(__always) var bytes: Bytes { Bytes(start: start, count: count) }
    }

    /// Checks a string and steps behind its closing quote; the cursor is behind the opening one.
    @inline(__always)
    mutating func scanString() throws(EvaluationError) -> ScannedString {
        let first = next
        let stop = afterPlainText(first)
        if stop < end, stop.pointee == UInt8(ascii: "\"") {
            next = stop + 1
            return ScannedString(start: first, count: stop - first, hasEscapes: false)
        }
        next = stop
        return try scanRest(from: first)
    }

    @inline(__always)
    func afterString(_ first: UnsafePointer<UInt8>) throws(EvaluationError) -> UnsafePointer<UInt8> {
        let stop = afterPlainText(first)
        if stop < end, stop.pointee == UInt8(ascii: "\"") { return stop + 1 }
        return try afterRest(stop)
    }

    /// At the closing quote of a string that can be used as it stands; nil when it has escapes or is not ASCII alone.
    @inline(__always)
    func plainTextAtQuote(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        let stop = afterPlainText(first)
        return stop < end && stop.pointee == UInt8(ascii: "\"") ? stop : nil
    }

    @inline(never)
    private func afterRest(_ cursor: UnsafePointer<UInt8>) throws(EvaluationError) -> UnsafePointer<UInt8> {
        var copy = self
        copy.next = cursor
        _ = try copy.scanRest(from: cursor)
        return copy.next
    }

    /// Steps over ASCII that is no quote, backslash or control character, sixteen bytes at a time.
    @inline(__always)
    private func afterPlainText(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        var cursor = first
        while end - cursor >= 16 {
            let run = Int(sluice_plain_run(cursor))
            cursor += run
            if run < 16 { return cursor }
        }
        return afterShortPlainText(cursor)
    }

    /// The same in the last bytes of the text.
    @inline(never)
    private func afterShortPlainText(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        var cursor = first
        while cursor < end, cursor.pointee &- 0x20 < 0x60, cursor.pointee != UInt8(ascii: "\""),
            cursor.pointee != UInt8(ascii: "\\")
        {
            cursor += 1
        }
        return cursor
    }

    /// The high bit of each byte that is not plain; bits above the lowest one set may be wrong.
    @inline(__always)
    static func specialBytes(_ word: UInt64) -> UInt64 {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let quotes = word ^ (ones &* 0x22)
        let backslashes = word ^ (ones &* 0x5C)
        let matches = ((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
        let controls = (word &- (ones &* 0x20)) & ~word
        return (matches | controls | word) & (ones &* 0x80)
    }

    /// The part of a string from its first byte that is not plain ASCII.
    @inline(never)
    private mutating func scanRest(from first: UnsafePointer<UInt8>) throws(EvaluationError) -> ScannedString {
        var hasEscapes = false
        while next < end {
            let byte = next.pointee
            if byte == UInt8(ascii: "\"") {
                let count = next - first
                next += 1
                return ScannedString(start: first, count: count, hasEscapes: hasEscapes)
            }
            if byte == UInt8(ascii: "\\") {
                hasEscapes = true
                try scanEscape()
            } else if byte >= 0x80 {
                let step = utf8Step(next, end)
                guard step > 0 else { throw failure }
                next += step
            } else {
                guard byte >= 0x20 else { throw failure }
                next += 1
            }
        }
        throw failure
    }

    private mutating func scanEscape() throws(EvaluationError) {
        guard end - next >= 2 else { throw failure(at: end) }
        switch next[1] {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            next += 2
        case UInt8(ascii: "u"):
            let unit = try hexUnit()
            guard unit & 0xF800 == 0xD800 else { return }
            // A high surrogate and the low one that must follow.
            guard unit < 0xDC00, end - next >= 6, next[0] == UInt8(ascii: "\\"), next[1] == UInt8(ascii: "u") else {
                throw failure
            }
            let low = try hexUnit()
            guard low & 0xFC00 == 0xDC00 else { throw failure(at: next - 6) }
        default:
            throw failure(at: next + 1)
        }
    }

    /// The four hexadecimal digits of `\uXXXX`; steps over all six bytes.
    private mutating func hexUnit() throws(EvaluationError) -> UInt32 {
        guard end - next >= 6 else { throw failure(at: end) }
        var unit: UInt32 = 0
        for position in 2..<6 {
            guard let digit = hexDigit(next[position]) else { throw failure(at: next + position) }
            unit = unit << 4 | digit
        }
        next += 6
        return unit
    }

    /// The text of a scanned string; a copy in the arena only when it has escapes.
    @inline(__always)
    func text(_ string: ScannedString, in arena: Arena) throws(EvaluationError) -> Bytes {
        string.hasEscapes ? try unescape(string, in: arena) : string.bytes
    }

    @inline(never)
    private func unescape(_ string: ScannedString, in arena: Arena) throws(EvaluationError) -> Bytes {
        let memory = try arena.allocate(UInt8.self, count: string.count)
        guard let target = memory.baseAddress else { return Bytes(start: nil, count: 0) }
        var written = 0
        var cursor = string.start
        let stop = string.start + string.count
        while cursor < stop {
            guard cursor.pointee == UInt8(ascii: "\\") else {
                target[written] = cursor.pointee
                written += 1
                cursor += 1
                continue
            }
            let escape = cursor[1]
            guard escape == UInt8(ascii: "u") else {
                target[written] = unescaped(escape)
                written += 1
                cursor += 2
                continue
            }
            var scalar = unit(cursor)
            cursor += 6
            if scalar & 0xFC00 == 0xD800 {
                scalar = 0x1_0000 + (scalar & 0x3FF) << 10 + unit(cursor) & 0x3FF
                cursor += 6
            }
            written += storeUTF8(scalar, at: target + written)
        }
        return Bytes(start: target, count: written)
    }

    private func unescaped(_ escape: UInt8) -> UInt8 {
        switch escape {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: escape
        }
    }

    private func unit(_ cursor: UnsafePointer<UInt8>) -> UInt32 {
        (2..<6).reduce(0) { $0 << 4 | (hexDigit(cursor[$1]) ?? 0) }
    }
}

/// The value of a hexadecimal digit.
@inline(__always)
func hexDigit(_ byte: UInt8) -> UInt32? {
    switch byte {
    case 0x30...0x39: UInt32(byte &- 0x30)
    case 0x41...0x46: UInt32(byte &- 0x37)
    case 0x61...0x66: UInt32(byte &- 0x57)
    default: nil
    }
}
