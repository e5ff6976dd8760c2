internal import Buffers
import CBytes

/// What an element of an array looks like, so that the next one need only be compared with it.
///
/// Readings come as arrays of objects that differ in their values alone. The text of one that has been checked is cut at
/// its values: where the text between the values is the same, and each value is one of its kind, an element is as valid
/// as the first.
struct JSONRowPattern {
    /// A string or a number, and the text that comes before it.
    struct Hole: BitwiseCopyable {
        let literal: UnsafePointer<UInt8>
        let count: Int
        /// The text before it ends with the opening quote, the text behind it begins with the closing one.
        let isString: Bool
        /// Free for the owner: where the value belongs.
        var position = 0
    }

    /// Elements with more values have no pattern.
    static let room = 16
    /// Patterns that are tried in one container; then its elements are too different.
    static let tries = 8

    let holes: UnsafeMutableBufferPointer<Hole>
    private(set) var count = 0
    /// The text behind the last value.
    private(set) var tail: UnsafePointer<UInt8>
    private(set) var tailCount = 0

    /// - Parameters:
    ///   - first, stop: an element that has been checked.
    ///   - holes: room for ``room``.
    init?(_ first: UnsafePointer<UInt8>, _ stop: UnsafePointer<UInt8>, holes: UnsafeMutableBufferPointer<Hole>) {
        self.holes = holes
        tail = first
        var cursor = first
        while cursor < stop {
            let byte = cursor.pointee
            if byte == UInt8(ascii: "\"") {
                let quote = Self.closingQuote(cursor + 1)
                if Self.isKey(quote + 1, stop) {
                    cursor = quote + 1
                    continue
                }
                guard add(upTo: cursor + 1, isString: true) else { return nil }
                tail = quote
                cursor = quote + 1
            } else if byte &- 0x30 <= 9 || byte == UInt8(ascii: "-") {
                guard add(upTo: cursor, isString: false) else { return nil }
                while cursor < stop, Self.isNumeric(cursor.pointee) { cursor += 1 }
                tail = cursor
            } else {
                cursor += 1
            }
        }
        tailCount = stop - tail
        guard count > 0 else { return nil }
    }

    private mutating func add(upTo end: UnsafePointer<UInt8>, isString: Bool) -> Bool {
        guard count < Self.room else { return false }
        holes[count] = Hole(literal: tail, count: end - tail, isString: isString)
        count += 1
        return true
    }

    private static func closingQuote(_ first: UnsafePointer<UInt8>) -> UnsafePointer<UInt8> {
        var cursor = first
        while cursor.pointee != UInt8(ascii: "\"") { cursor += cursor.pointee == UInt8(ascii: "\\") ? 2 : 1 }
        return cursor
    }

    private static func isKey(_ behind: UnsafePointer<UInt8>, _ stop: UnsafePointer<UInt8>) -> Bool {
        var cursor = behind
        while cursor < stop, cursor.pointee <= 0x20 { cursor += 1 }
        return cursor < stop && cursor.pointee == UInt8(ascii: ":")
    }

    private static func isNumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."), UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    /// Behind the literal text before a hole; nil when it is another.
    @inline(__always)
    func afterLiteral(
        of hole: Hole, _ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) -> UnsafePointer<UInt8>? {
        guard end - cursor >= max(16, hole.count), sluice_same_bytes(hole.literal, cursor, hole.count) != 0 else {
            return nil
        }
        return cursor + hole.count
    }

    /// Behind the text after the last value, where more follows.
    @inline(__always)
    func afterTail(_ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        guard end - cursor > max(15, tailCount), sluice_same_bytes(tail, cursor, tailCount) != 0 else { return nil }
        return cursor + tailCount
    }
}

extension JSONReader {
    /// Whether a pattern pays: what is left of the text holds some more elements like the one that spans those bytes.
    @inline(__always)
    func isWorthPattern(_ first: UnsafePointer<UInt8>, _ next: UnsafePointer<UInt8>) -> Bool {
        end - next >= 8 * (next - first)
    }

    /// Steps over elements like the first one.
    ///
    /// - Parameters:
    ///   - first: the beginning of an element that has been checked; a comma follows it.
    ///   - next: the beginning of the element behind that comma.
    /// - Returns: at the array's closing bracket, or at the beginning of the first element that is not alike.
    @inline(never)
    func quicklyAfterRows(_ first: UnsafePointer<UInt8>, _ comma: UnsafePointer<UInt8>, _ next: UnsafePointer<UInt8>)
        -> UnsafePointer<UInt8>
    {
        withUnsafeTemporaryAllocation(of: JSONRowPattern.Hole.self, capacity: JSONRowPattern.room) { holes in
            guard let pattern = JSONRowPattern(first, comma, holes: holes) else { return next }
            var element = next
            while let after = quicklyAfterRow(element, pattern) {
                let behind = quicklyAfterSpace(after)
                guard behind.pointee == UInt8(ascii: ",") else {
                    return behind.pointee == UInt8(ascii: "]") ? behind : element
                }
                element = quicklyAfterSpace(behind + 1)
            }
            return element
        }
    }

    @inline(__always)
    private func quicklyAfterRow(
        _ first: UnsafePointer<UInt8>, _ pattern: JSONRowPattern
    ) -> UnsafePointer<UInt8>? {
        let end = end
        var cursor = first
        for index in 0..<pattern.count {
            let hole = pattern.holes[index]
            guard let value = pattern.afterLiteral(of: hole, cursor, end),
                let after = hole.isString ? quicklyAtQuote(value, end) : quicklyAfterSignedNumber(value, end)
            else { return nil }
            cursor = after
        }
        return pattern.afterTail(cursor, end)
    }

    /// At a string's closing quote; the cursor is behind the opening one.
    @inline(__always)
    func quicklyAtQuote(_ first: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<UInt8>? {
        guard let after = quicklyAfterString(first, end) else { return nil }
        return after - 1
    }
}
