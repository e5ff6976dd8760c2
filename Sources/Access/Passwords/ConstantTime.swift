/// Comparisons whose time tells nothing about where two texts differ.
enum ConstantTime {
    /// Whether the bytes are the same; takes as long for the first difference as for the last. Lengths are no secret.
    static func equal(_ a: [UInt8], _ b: [UInt8]) -> Bool {
        guard a.count == b.count else { return false }
        var difference: UInt8 = 0
        for index in a.indices { difference |= a[index] ^ b[index] }
        return difference == 0
    }
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

/// Hexadecimal and Base64, both ways. RFC 4648.
enum Encoding {
    static func hex(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Nil for anything but pairs of hexadecimal digits.
    static func unhex(_ text: String) -> [UInt8]? {
        let digits = text.utf8.map { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digits[index], let low = digits[index + 1] else { return nil }
            bytes.append(UInt8(high << 4 | low))
        }
        return bytes
    }

    static let standardAlphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func base64(_ bytes: [UInt8]) -> String {
        var text: [UInt8] = []
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word = 0
            for (position, byte) in group.enumerated() { word |= Int(byte) << (16 - 8 * position) }
            for position in 0...group.count { text.append(standardAlphabet[word >> (18 - 6 * position) & 63]) }
            text += [UInt8](repeating: UInt8(ascii: "="), count: 3 - group.count)
        }
        return String(decoding: text, as: UTF8.self)
    }

    private static let values: [Int8] = {
        var values = [Int8](repeating: -1, count: 256)
        for (value, letter) in standardAlphabet.enumerated() { values[Int(letter)] = Int8(value) }
        return values
    }()

    /// With or without padding; nil for any other letter, and for bits behind the last byte that are not zero.
    static func unbase64(_ text: some StringProtocol) -> [UInt8]? { decode(Array(text.utf8), urlSafe: false) }

    /// The alphabet with `-` and `_`, without padding. [RFC 7515 §2]
    static func unbase64URL(_ text: some StringProtocol) -> [UInt8]? { decode(Array(text.utf8), urlSafe: true) }

    private static func decode(_ text: [UInt8], urlSafe: Bool) -> [UInt8]? {
        var text = text
        if !urlSafe, text.count % 4 == 0 {
            for _ in 0..<2 where text.last == UInt8(ascii: "=") { text.removeLast() }
        }
        var result: [UInt8] = []
        var word = 0
        var bits = 0
        for letter in text {
            var letter = letter
            if urlSafe {
                if letter == UInt8(ascii: "+") || letter == UInt8(ascii: "/") { return nil }
                if letter == UInt8(ascii: "-") { letter = UInt8(ascii: "+") }
                if letter == UInt8(ascii: "_") { letter = UInt8(ascii: "/") }
            }
            let value = values[Int(letter)]
            guard value >= 0 else { return nil }
            word = (word << 6 | Int(value)) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: word >> bits))
            }
        }
        guard bits < 6, word & (1 << bits - 1) == 0 else { return nil }
        return result
    }
}
