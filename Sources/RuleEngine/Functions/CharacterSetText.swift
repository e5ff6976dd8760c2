internal import Buffers

/// A set of characters given as text: what `tokens` and `rtrim` take. Bytes that are no UTF-8 are characters, too.
struct CharacterSetText {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    private var others: Set<UInt32> = []

    init(_ characters: Bytes) {
        var position = 0
        while position < characters.count {
            let (code, length) = characters.code(at: position)
            insert(code)
            position += length
        }
    }

    mutating func insert(_ code: UInt32) {
        switch code {
        case 0..<64: low |= 1 << UInt64(code)
        case 64..<128: high |= 1 << UInt64(code - 64)
        default: others.insert(code)
        }
    }

    func contains(_ code: UInt32) -> Bool {
        switch code {
        case 0..<64: low >> UInt64(code) & 1 == 1
        case 64..<128: high >> UInt64(code - 64) & 1 == 1
        default: !others.isEmpty && others.contains(code)
        }
    }
}

extension UnsafeRawBufferPointer {
    /// The scalar at an offset within the bytes, and its length. Bytes that are no UTF-8 have codes behind all scalars.
    func code(at position: Int) -> (code: UInt32, length: Int) {
        let lead = self[position]
        guard lead >= 0x80, let base = baseAddress?.assumingMemoryBound(to: UInt8.self) else {
            return (UInt32(lead), 1)
        }
        let length = utf8Step(base + position, base + count)
        guard length > 0 else { return (0x11_0000 + UInt32(lead), 1) }
        var code = UInt32(lead) & (0x7F >> UInt32(length))
        for index in 1..<length { code = code << 6 | UInt32(self[position + index] & 0x3F) }
        return (code, length)
    }

    /// The scalar that ends at an offset greater than zero, and its length.
    func code(before end: Int) -> (code: UInt32, length: Int) {
        let last = self[end - 1]
        guard last & 0xC0 == 0x80 else { return last < 0x80 ? (UInt32(last), 1) : (0x11_0000 + UInt32(last), 1) }
        var start = end - 1
        while start > 0, end - start < 4, self[start] & 0xC0 == 0x80 { start -= 1 }
        let (code, length) = self.code(at: start)
        return length == end - start ? (code, length) : (0x11_0000 + UInt32(last), 1)
    }
}
