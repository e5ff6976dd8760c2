/// A place in a text the user wrote; both numbers start at 1, the column counts Unicode scalars.
package struct SourcePosition: Sendable, Hashable, Comparable, CustomStringConvertible {
    package var line: Int
    package var column: Int

    package init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    package var description: String { "\(line):\(column)" }

    package static func < (a: SourcePosition, b: SourcePosition) -> Bool {
        (a.line, a.column) < (b.line, b.column)
    }
}

/// A text the user wrote, with the tables that turn offsets into lines and columns. Immutable; shared by all nodes and
/// problems that point into it.
package final class SourceFile: Sendable {
    /// What messages call it: a path, or the name of an environment variable.
    package let name: String
    /// The text without a byte order mark.
    package let bytes: [UInt8]
    /// True when the text is the value of an environment variable rather than a file.
    package let isVariable: Bool

    /// Byte offset of the first byte of each line.
    private let lineStarts: [Int]
    /// Unicode scalars in front of each line.
    private let scalarsBefore: [Int]

    package init(name: String, bytes: [UInt8], isVariable: Bool = false) {
        self.name = name
        self.isVariable = isVariable
        let text = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes[3...]) : bytes
        self.bytes = text
        var starts = [0]
        var scalars = [0]
        var count = 0
        for (offset, byte) in text.enumerated() {
            if byte & 0xC0 != 0x80 { count += 1 }
            let endsLine = byte == 0x0A || (byte == 0x0D && (offset + 1 == text.count || text[offset + 1] != 0x0A))
            if endsLine {
                starts.append(offset + 1)
                scalars.append(count)
            }
        }
        lineStarts = starts
        scalarsBefore = scalars
    }

    package convenience init(name: String, text: String, isVariable: Bool = false) {
        self.init(name: name, bytes: Array(text.utf8), isVariable: isVariable)
    }

    package var lineCount: Int { lineStarts.count }

    /// Where a byte stands; an offset beyond the end means the end.
    package func position(ofByte offset: Int) -> SourcePosition {
        let end = min(max(offset, 0), bytes.count)
        let line = Self.lastIndex(in: lineStarts, notAbove: end)
        var column = 1
        for byte in bytes[lineStarts[line]..<end] where byte & 0xC0 != 0x80 { column += 1 }
        return SourcePosition(line: line + 1, column: column)
    }

    /// Where the Unicode scalar number `index` (from 0) stands; libyaml's marks count so.
    package func position(ofScalar index: Int) -> SourcePosition {
        let line = Self.lastIndex(in: scalarsBefore, notAbove: max(index, 0))
        return SourcePosition(line: line + 1, column: max(index, 0) - scalarsBefore[line] + 1)
    }

    /// The byte offset of a place; a column beyond its line's end means the line's end.
    package func byteOffset(of position: SourcePosition) -> Int {
        guard position.line >= 1 else { return 0 }
        guard position.line <= lineStarts.count else { return bytes.count }
        var offset = lineStarts[position.line - 1]
        let end = lineEnd(position.line)
        var column = 1
        while offset < end, column < position.column {
            offset += 1
            while offset < end, bytes[offset] & 0xC0 == 0x80 { offset += 1 }
            column += 1
        }
        return offset
    }

    /// The line `number` (from 1) without its line break; bytes that are not UTF-8 become U+FFFD.
    package func text(ofLine number: Int) -> String {
        guard number >= 1, number <= lineStarts.count else { return "" }
        return String(decoding: bytes[lineStarts[number - 1]..<lineEnd(number)], as: UTF8.self)
    }

    /// The byte offset of the end of the line `number` (from 1), in front of its line break.
    package func lineEnd(_ number: Int) -> Int {
        var end = number < lineStarts.count ? lineStarts[number] : bytes.count
        let start = lineStarts[number - 1]
        while end > start, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D { end -= 1 }
        return end
    }

    private static func lastIndex(in table: [Int], notAbove value: Int) -> Int {
        var low = 0
        var high = table.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if table[middle] <= value { low = middle } else { high = middle }
        }
        return low
    }
}
