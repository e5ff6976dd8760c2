internal import Buffers

/// Bytes written with other characters: what templates put values through.
enum ByteEncodings {
    /// Base 64 with padding. [RFC 4648 §4]
    static func appendBase64(_ bytes: Bytes, to output: OutputBuffer) {
        output.reserve((bytes.count + 2) / 3 * 4)
        var position = 0
        while position < bytes.count {
            let left = bytes.count - position
            let second = left > 1 ? bytes[position + 1] : 0
            let third = left > 2 ? bytes[position + 2] : 0
            output.append(base64Digit(bytes[position] >> 2))
            output.append(base64Digit((bytes[position] & 3) << 4 | second >> 4))
            output.append(left > 1 ? base64Digit((second & 15) << 2 | third >> 6) : UInt8(ascii: "="))
            output.append(left > 2 ? base64Digit(third & 63) : UInt8(ascii: "="))
            position += 3
        }
    }

    private static func base64Digit(_ six: UInt8) -> UInt8 {
        switch six {
        case 0..<26: UInt8(ascii: "A") + six
        case 26..<52: UInt8(ascii: "a") + (six - 26)
        case 52..<62: UInt8(ascii: "0") + (six - 52)
        case 62: UInt8(ascii: "+")
        default: UInt8(ascii: "/")
        }
    }

    /// Two lower-case hexadecimal digits for each byte.
    static func appendHex(_ bytes: Bytes, to output: OutputBuffer) {
        for byte in bytes {
            output.append(lowerHexDigit(byte >> 4))
            output.append(lowerHexDigit(byte & 15))
        }
    }

    private static func lowerHexDigit(_ nibble: UInt8) -> UInt8 { nibble < 10 ? 0x30 + nibble : 0x57 + nibble }

    /// `%XX` for each byte but those that `keeps` names.
    static func appendPercentEncoded(_ bytes: Bytes, to output: OutputBuffer, keeping keeps: (UInt8) -> Bool) {
        for byte in bytes {
            if keeps(byte) {
                output.append(byte)
            } else {
                output.append(UInt8(ascii: "%"))
                output.append(upperHexDigit(byte >> 4))
                output.append(upperHexDigit(byte & 15))
            }
        }
    }

    /// Letters, digits, `-`, `.`, `_`, `~`. [RFC 3986 §2.3]
    static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        case UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"): true
        default: false
        }
    }
}
