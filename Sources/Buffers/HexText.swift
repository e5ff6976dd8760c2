/// Hexadecimal digits of a whole word at once.
public enum HexText {
    /// Stores the sixteen upper-case digits of a word.
    @inlinable @inline(__always)
    public static func store(_ word: UInt64, at target: UnsafeMutableRawPointer) {
        target.storeBytes(of: digits(UInt32(truncatingIfNeeded: word >> 32)).bigEndian, as: UInt64.self)
        target.storeBytes(of: digits(UInt32(truncatingIfNeeded: word)).bigEndian, toByteOffset: 8, as: UInt64.self)
    }

    /// Eight digits, the first one in the highest byte: each nibble in a byte of its own, then made a letter where it is
    /// above nine.
    @inlinable @inline(__always)
    static func digits(_ half: UInt32) -> UInt64 {
        var word = UInt64(half)
        word = (word | word << 16) & 0x0000_FFFF_0000_FFFF
        word = (word | word << 8) & 0x00FF_00FF_00FF_00FF
        word = (word | word << 4) & 0x0F0F_0F0F_0F0F_0F0F
        let letters = ((word &+ 0x0606_0606_0606_0606) >> 4) & 0x0101_0101_0101_0101
        return word &+ 0x3030_3030_3030_3030 &+ letters &* 7
    }
}
