public import Buffers

/// What a UTF-8 encoded string of the protocol may hold.
public enum UTF8Text {
    /// Well-formed, no surrogates, no U+0000. [MQTT-1.5.4-1] [MQTT-1.5.4-2]
    @inlinable
    public static func isValid(_ bytes: Bytes) -> Bool {
        guard let base = bytes.baseAddress else { return true }
        var position = 0
        let count = bytes.count
        // Eight at a time while there is neither a zero byte nor one beyond ASCII.
        while position + 8 <= count {
            let word = base.loadUnaligned(fromByteOffset: position, as: UInt64.self)
            let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
            if word & 0x8080_8080_8080_8080 != 0 || zeros != 0 { break }
            position += 8
        }
        while position < count {
            let byte = base.load(fromByteOffset: position, as: UInt8.self)
            if byte >= 0x80 { return isValidSlowly(Bytes(rebasing: bytes[position...])) }
            if byte == 0 { return false }
            position += 1
        }
        return true
    }

    @inline(never)
    @usableFromInline package static func isValidSlowly(_ bytes: Bytes) -> Bool {
        var position = 0
        func continues(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            position + offset < bytes.count && range.contains(bytes[position + offset])
        }
        while position < bytes.count {
            let length: Int
            switch bytes[position] {
            case 0x01...0x7F: length = 1
            case 0xC2...0xDF where continues(1): length = 2
            case 0xE0 where continues(1, 0xA0...0xBF) && continues(2): length = 3
            case 0xED where continues(1, 0x80...0x9F) && continues(2): length = 3
            case 0xE1...0xEF where bytes[position] != 0xED && continues(1) && continues(2): length = 3
            case 0xF0 where continues(1, 0x90...0xBF) && continues(2) && continues(3): length = 4
            case 0xF1...0xF3 where continues(1) && continues(2) && continues(3): length = 4
            case 0xF4 where continues(1, 0x80...0x8F) && continues(2) && continues(3): length = 4
            default: return false
            }
            position += length
        }
        return true
    }
}
