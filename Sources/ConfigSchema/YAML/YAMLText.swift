/// Checks of the bytes that libyaml would report less clearly.
enum YAMLText {
    /// The first byte that is not UTF-8 or not allowed in YAML. [YAML 1.2.2 §5.1]
    static func encodingProblem(_ source: SourceFile) -> ConfigProblem? {
        let bytes = source.bytes
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x80 {
                if byte >= 0x20 && byte != 0x7F || byte == 0x0A || byte == 0x0D || byte == 0x09 {
                    index += 1
                    continue
                }
                return problem(
                    source, index, "the control character 0x\(hex(byte)) is not allowed", "write it as an escape")
            }
            guard let scalar = scalar(bytes, index) else {
                let looksLike16 = index == 0 && (bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]))
                return problem(
                    source, index, "the byte 0x\(hex(byte)) is not UTF-8",
                    looksLike16 ? "the file is UTF-16: save it as UTF-8" : "save the file as UTF-8")
            }
            index += scalar.length
            if scalar.value < 0xA0 && scalar.value != 0x85 || scalar.value == 0xFFFE || scalar.value == 0xFFFF {
                return problem(source, index - scalar.length, "this character is not allowed", "write it as an escape")
            }
        }
        return nil
    }

    /// The offset behind `&anchor` and `!tag` (in any order) and the white space around them.
    static func skipProperties(_ bytes: [UInt8], from start: Int, to end: Int) -> Int {
        var index = start
        while index < end {
            switch bytes[index] {
            case 0x20, 0x09, 0x0A, 0x0D: index += 1
            case UInt8(ascii: "&"), UInt8(ascii: "!"):
                while index < end, ![0x20, 0x09, 0x0A, 0x0D].contains(bytes[index]) { index += 1 }
            default: return index
            }
        }
        return start
    }

    /// Decodes one scalar beyond ASCII; nil for overlong forms, surrogates, values beyond Unicode, cut sequences.
    private static func scalar(_ bytes: [UInt8], _ index: Int) -> (value: UInt32, length: Int)? {
        let first = UInt32(bytes[index])
        let length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2
        guard (0xC2...0xF4).contains(first), index + length <= bytes.count else { return nil }
        var value = first & (length == 4 ? 0x07 : length == 3 ? 0x0F : 0x1F)
        for byte in bytes[index + 1..<index + length] {
            guard byte & 0xC0 == 0x80 else { return nil }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        let least: UInt32 = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80
        guard value >= least, value <= 0x10FFFF, !(0xD800...0xDFFF).contains(value) else { return nil }
        return (value, length)
    }

    private static func problem(_ source: SourceFile, _ offset: Int, _ message: String, _ hint: String) -> ConfigProblem
    {
        ConfigProblem(.encoding, message, hint: hint, in: source, at: source.position(ofByte: offset))
    }

    private static func hex(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
}
