import Foundation

/// Passwords and user names in the one form in which both sides hash them. [RFC 4013]
enum SASLPrep {
    /// - Returns: nil for bytes that are not UTF-8 and for characters that can't be typed: controls, private use,
    ///   unassigned ones, and directions that are mixed.
    static func prepared(_ bytes: [UInt8]) -> [UInt8]? {
        if bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) { return bytes }
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var mapped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars where !isMappedToNothing(scalar) {
            mapped.append(scalar.properties.generalCategory == .spaceSeparator ? " " : scalar)
        }
        let normal = String(mapped).precomposedStringWithCompatibilityMapping
        guard normal.unicodeScalars.allSatisfy({ !isProhibited($0) }), hasOneDirection(normal.unicodeScalars) else {
            return nil
        }
        return normal.bytes
    }

    /// [RFC 3454 B.1]
    private static func isMappedToNothing(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0xAD, 0x34F, 0x1806, 0x180B...0x180D, 0x200B...0x200D, 0x2060, 0xFE00...0xFE0F, 0xFEFF: true
        default: false
        }
    }

    /// [RFC 4013 §2.3]
    private static func isProhibited(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .privateUse, .surrogate, .unassigned, .lineSeparator, .paragraphSeparator, .format: true
        case .spaceSeparator: scalar != " "
        default: (0xFFF9...0xFFFD).contains(scalar.value) || (0x2FF0...0x2FFB).contains(scalar.value)
        }
    }

    /// Text that is written from right to left begins and ends so and has no letters of the other direction.
    /// [RFC 3454 §6]
    private static func hasOneDirection(_ scalars: String.UnicodeScalarView) -> Bool {
        guard scalars.contains(where: isRightToLeft), let first = scalars.first, let last = scalars.last else {
            return true
        }
        return isRightToLeft(first) && isRightToLeft(last)
            && !scalars.contains { $0.properties.isAlphabetic && !isRightToLeft($0) }
    }

    private static func isRightToLeft(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x5BE, 0x5C0, 0x5C3, 0x5D0...0x5F4, 0x61B...0x64A, 0x66D...0x66F, 0x671...0x6D5, 0x6DD, 0x6E5...0x6E6,
            0x6FA...0x7B1, 0x200F, 0xFB1D, 0xFB1F...0xFDFC, 0xFE70...0xFEFC:
            true
        default: false
        }
    }
}
