/// Writes the fields of commands, answers and snapshots: little-endian numbers, lengths in front of what varies.
package struct MetaWriter: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    package mutating func byte(_ value: UInt8) { bytes.append(value) }

    package mutating func flag(_ value: Bool) { bytes.append(value ? 1 : 0) }

    package mutating func number32(_ value: UInt32) {
        for shift in stride(from: 0, to: 32, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt32(shift))) }
    }

    package mutating func number(_ value: UInt64) {
        for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(shift))) }
    }

    /// Of a length that the reader knows.
    package mutating func raw(_ value: [UInt8]) { bytes += value }

    package mutating func data(_ value: [UInt8]) {
        number32(UInt32(truncatingIfNeeded: value.count))
        bytes += value
    }

    package mutating func text(_ value: String) {
        number32(UInt32(truncatingIfNeeded: value.utf8.count))
        bytes += value.utf8
    }

    package mutating func list<Element>(_ values: [Element], _ body: (inout MetaWriter, Element) -> Void) {
        number32(UInt32(truncatingIfNeeded: values.count))
        for value in values { body(&self, value) }
    }
}

/// Why bytes are no command, answer or snapshot.
package struct MetaFormatError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Reads what ``MetaWriter`` wrote. Bytes may come from anywhere: nothing is believed, nothing is allocated for more than
/// what is there.
package struct MetaReader: ~Copyable {
    private let bytes: [UInt8]
    private var offset = 0

    package init(_ bytes: [UInt8]) { self.bytes = bytes }

    package var remaining: Int { bytes.count - offset }

    package mutating func raw(_ count: Int) throws(MetaFormatError) -> [UInt8] {
        guard count >= 0, count <= remaining else { throw MetaFormatError("\(count) bytes are missing") }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    package mutating func byte() throws(MetaFormatError) -> UInt8 {
        guard remaining >= 1 else { throw MetaFormatError("a byte is missing") }
        defer { offset += 1 }
        return bytes[offset]
    }

    package mutating func flag() throws(MetaFormatError) -> Bool {
        switch try byte() {
        case 0: false
        case 1: true
        case let other: throw MetaFormatError("\(other) is neither yes nor no")
        }
    }

    package mutating func number32() throws(MetaFormatError) -> UInt32 {
        guard remaining >= 4 else { throw MetaFormatError("a number is missing") }
        defer { offset += 4 }
        return (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
    }

    package mutating func number() throws(MetaFormatError) -> UInt64 {
        guard remaining >= 8 else { throw MetaFormatError("a number is missing") }
        defer { offset += 8 }
        return (0..<8).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }

    package mutating func data(limit: Int) throws(MetaFormatError) -> [UInt8] {
        let count = Int(try number32())
        guard count <= limit else { throw MetaFormatError("\(count) bytes where at most \(limit) may be") }
        return try raw(count)
    }

    package mutating func text(limit: Int = 4096) throws(MetaFormatError) -> String {
        let data = try data(limit: limit)
        guard let text = String(validating: data, as: UTF8.self) else { throw MetaFormatError("a text is no UTF-8") }
        return text
    }

    package mutating func list<Element>(
        limit: Int, _ body: (inout MetaReader) throws(MetaFormatError) -> Element
    ) throws(MetaFormatError) -> [Element] {
        let count = Int(try number32())
        // Each element has at least one byte.
        guard count <= limit, count <= remaining else { throw MetaFormatError("\(count) elements are too many") }
        var values: [Element] = []
        for _ in 0..<count { values.append(try body(&self)) }
        return values
    }

    package func end() throws(MetaFormatError) {
        guard remaining == 0 else { throw MetaFormatError("\(remaining) bytes too many") }
    }
}

/// FNV-1a over 64 bits, for hashes that are compared between nodes.
package func metaHash(_ bytes: some Sequence<UInt8>, _ seed: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
    var hash = seed
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return hash
}

/// 16 hexadecimal digits.
package func metaHex(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
