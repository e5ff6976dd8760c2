/// One step over UTF-8 text whose next byte is not ASCII.
///
/// - Parameter cursor: points to a byte of 0x80 or more, before `end`.
/// - Returns: the length of a well-formed sequence, 2 to 4; or, when it is ill-formed, the negative number of bytes
///   that one U+FFFD stands for (the maximal part of a well-formed sequence). [Unicode §3.9, table 3-7]
@inline(__always)
func utf8Step(_ cursor: UnsafePointer<UInt8>, _ end: UnsafePointer<UInt8>) -> Int {
    let lead = cursor[0]
    guard lead >= 0xC2, lead <= 0xF4 else { return -1 }
    let available = end - cursor
    var lowest: UInt8 = 0x80
    var highest: UInt8 = 0xBF
    let length: Int
    if lead < 0xE0 {
        length = 2
    } else if lead < 0xF0 {
        length = 3
        if lead == 0xE0 { lowest = 0xA0 }
        if lead == 0xED { highest = 0x9F }
    } else {
        length = 4
        if lead == 0xF0 { lowest = 0x90 }
        if lead == 0xF4 { highest = 0x8F }
    }
    guard available > 1, cursor[1] >= lowest, cursor[1] <= highest else { return -1 }
    var position = 2
    while position < length {
        guard position < available, cursor[position] & 0xC0 == 0x80 else { return -position }
        position += 1
    }
    return length
}

/// Stores a scalar as UTF-8.
///
/// - Parameter target: has room for 4 bytes.
/// - Returns: the number of bytes stored.
@inline(__always)
func storeUTF8(_ scalar: UInt32, at target: UnsafeMutablePointer<UInt8>) -> Int {
    if scalar < 0x80 {
        target[0] = UInt8(truncatingIfNeeded: scalar)
        return 1
    }
    if scalar < 0x800 {
        target[0] = 0xC0 | UInt8(truncatingIfNeeded: scalar >> 6)
        target[1] = 0x80 | UInt8(truncatingIfNeeded: scalar & 0x3F)
        return 2
    }
    if scalar < 0x1_0000 {
        target[0] = 0xE0 | UInt8(truncatingIfNeeded: scalar >> 12)
        target[1] = 0x80 | UInt8(truncatingIfNeeded: (scalar >> 6) & 0x3F)
        target[2] = 0x80 | UInt8(truncatingIfNeeded: scalar & 0x3F)
        return 3
    }
    target[0] = 0xF0 | UInt8(truncatingIfNeeded: scalar >> 18)
    target[1] = 0x80 | UInt8(truncatingIfNeeded: (scalar >> 12) & 0x3F)
    target[2] = 0x80 | UInt8(truncatingIfNeeded: (scalar >> 6) & 0x3F)
    target[3] = 0x80 | UInt8(truncatingIfNeeded: scalar & 0x3F)
    return 4
}
