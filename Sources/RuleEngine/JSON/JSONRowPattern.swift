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
        /// Free for the owner: where the value belongs; negative for nowhere.
        var position = 0
        /// Where the value is in the last element that was gone through value by value.
        var start: UnsafePointer<UInt8>?
        var end: UnsafePointer<UInt8>?
    }

    /// Elements with more values have no pattern.
    static let room = 16
    /// Patterns that are tried in one container; then its elements are too different.
    static let tries = 8

    /// What ``sluice_is_wide`` says.
    private static let isWide = sluice_is_wide()

    let holes: UnsafeMutableBufferPointer<Hole>
    /// Layouts of elements like the first one.
    let layouts: UnsafeMutablePointer<sluice_row_layouts>
    private(set) var count = 0
    /// One bit for each value that is a string.
    private var strings: UInt32 = 0
    /// The text behind the last value.
    private(set) var tail: UnsafePointer<UInt8>
    private(set) var tailCount = 0

    /// - Parameters:
    ///   - first, stop: an element that has been checked.
    ///   - holes: room for ``room``.
    ///   - layouts: memory for as long as the pattern is used.
    init?(
        _ first: UnsafePointer<UInt8>, _ stop: UnsafePointer<UInt8>, holes: UnsafeMutableBufferPointer<Hole>,
        layouts: UnsafeMutablePointer<sluice_row_layouts>
    ) {
        self.holes = holes
        self.layouts = layouts
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
        sluice_forget_layouts(layouts, Self.isWide)
    }

    private mutating func add(upTo end: UnsafePointer<UInt8>, isString: Bool) -> Bool {
        guard count < Self.room else { return false }
        holes[count] = Hole(literal: tail, count: end - tail, isString: isString)
        if isString { strings |= 1 << UInt32(count) }
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

    /// The layout of the element at a cursor; nil when it has none of those known.
    @inline(__always)
    func layout(of element: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> UnsafePointer<sluice_row_layout>? {
        end - element >= Int(SLUICE_ROW_LENGTH) ? sluice_layout_of(layouts, element) : nil
    }

    /// Keeps the layout of an element that is like the first one.
    @inline(never)
    private func learn(
        _ element: UnsafePointer<UInt8>, until after: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>
    ) {
        guard end - element >= Int(SLUICE_ROW_LENGTH) else { return }
        withUnsafeTemporaryAllocation(of: UnsafePointer<UInt8>?.self, capacity: Self.room * 2) { ends in
            for index in 0..<count {
                ends[index * 2] = holes[index].start
                ends[index * 2 + 1] = holes[index].end
            }
            sluice_learn_layout(layouts, element, after - element, ends.baseAddress, UInt32(count), strings)
        }
    }

    /// Behind the element at a cursor, value by value; nil when it is not like the first one. The holes then say where the
    /// values are, and its layout is known from here on.
    @inline(__always)
    func afterElement(_ first: UnsafePointer<UInt8>, _ reader: JSONReader) -> UnsafePointer<UInt8>? {
        let end = reader.end
        var cursor = first
        for index in 0..<count {
            let hole = holes[index]
            guard let value = afterLiteral(of: hole, cursor, end),
                let after = hole.isString ? reader.plainTextAtQuote(value) : reader.quicklyAfterSignedNumber(value, end)
            else { return nil }
            holes[index].start = value
            holes[index].end = after
            cursor = after
        }
        guard let after = afterTail(cursor, end) else { return nil }
        learn(first, until: after, end)
        return after
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
    /// - Returns: at the array's closing bracket, or at the beginning of the first element that is not alike; nil when
    ///   there is none behind a comma.
    @inline(never)
    func quicklyAfterRows(_ first: UnsafePointer<UInt8>, _ comma: UnsafePointer<UInt8>, _ next: UnsafePointer<UInt8>)
        -> UnsafePointer<UInt8>?
    {
        withUnsafeTemporaryAllocation(of: JSONRowPattern.Hole.self, capacity: JSONRowPattern.room) { holes in
            withUnsafeTemporaryAllocation(of: sluice_row_layouts.self, capacity: 1) { layouts in
                guard let memory = layouts.baseAddress,
                    let pattern = JSONRowPattern(first, comma, holes: holes, layouts: memory)
                else { return next.pointee == UInt8(ascii: "]") ? nil : next }
                return quicklyAfterRows(next, pattern)
            }
        }
    }

    @inline(__always)
    private func quicklyAfterRows(_ next: UnsafePointer<UInt8>, _ pattern: JSONRowPattern) -> UnsafePointer<UInt8>? {
        let end = end
        var element = next
        while true {
            var isEnd: Int32 = 0
            element = sluice_after_rows(pattern.layouts, element, end, &isEnd)
            if isEnd != 0 { return element }
            guard let after = pattern.afterElement(element, self) else { break }
            let behind = quicklyAfterSpace(after)
            if behind.pointee == UInt8(ascii: "]") { return behind }
            guard behind.pointee == UInt8(ascii: ",") else { break }
            element = quicklyAfterSpace(behind + 1)
        }
        return element.pointee == UInt8(ascii: "]") ? nil : element
    }
}
