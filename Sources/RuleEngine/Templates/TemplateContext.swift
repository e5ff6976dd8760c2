internal import Buffers

/// What a rendering may use besides the row.
///
/// Confined to its owner's thread; the owner sets the fields before it renders.
package final class TemplateContext {
    /// Where values live that are made on the way, until its next reset.
    package let arena: Arena
    /// The event's time, milliseconds since 1970 in UTC, for `${date:…}`.
    package var eventMilliseconds: Int64
    /// Seconds to the east of UTC that `${date:…}` shows.
    package var utcOffset: Int
    /// `${meta.rule_id}`
    package var ruleID: String
    /// `${meta.attempt}`: 1 for the first.
    package var attempt: Int
    /// `${meta.delivery_id}`
    package var deliveryID: String
    /// How undefined members of the whole row are written.
    package var undefinedAs: JSON.UndefinedEncoding
    /// How the payload enters JSON.
    package var payloadEncoding = PayloadEncoding.utf8
    /// For text on its way to the arena; used by one rendering at a time.
    let scratch = OutputBuffer()

    package init(
        arena: Arena, eventMilliseconds: Int64 = 0, utcOffset: Int = 0, ruleID: String = "", attempt: Int = 1,
        deliveryID: String = "", undefinedAs: JSON.UndefinedEncoding = .text
    ) {
        self.arena = arena
        self.eventMilliseconds = eventMilliseconds
        self.utcOffset = utcOffset
        self.ruleID = ruleID
        self.attempt = attempt
        self.deliveryID = deliveryID
        self.undefinedAs = undefinedAs
    }
}

/// What a placeholder without a value becomes.
package enum MissingPolicy: String, Sendable, CaseIterable {
    /// The text `undefined`, as in EMQX.
    case compat
    /// The rendering raises.
    case strict
    /// Nothing.
    case empty
    /// The text `null`.
    case null
}

/// What values go through on their way into the text.
package enum TemplateEscaping: Sendable {
    /// Nothing: bodies and payloads.
    case none
    /// The inside of a JSON string; literal text too.
    case jsonString
    /// Percent-encoding of all but unreserved characters, so that a value is one part of a URL. [RFC 3986 §2.1]
    case percent
    /// Only what would break a request line is percent-encoded: controls, space, DEL and non-ASCII; literal text too.
    case requestTarget
    /// CR, LF and NUL become spaces, in literal text too: no value can end a header field. [RFC 9110 §5.5]
    case header
    /// One component of a file path: percent-encoded, and a leading dot as well.
    case fileName
}

extension TemplateEscaping {
    var coversLiterals: Bool { self == .header || self == .requestTarget || self == .jsonString }

    /// Rewrites what was appended after `mark`.
    func apply(to output: OutputBuffer, from mark: Int, in arena: Arena) throws(EvaluationError) {
        guard self != .none else { return }
        let tail = Bytes(rebasing: output.bytes[mark...])
        guard needsWork(tail) else { return }
        let copy = try arena.string(copying: tail).bytes
        output.truncate(to: mark)
        switch self {
        case .none: output.append(copy)
        case .jsonString: JSON.appendEscaped(copy, to: output)
        case .percent:
            ByteEncodings.appendPercentEncoded(copy, to: output, keeping: ByteEncodings.isUnreserved)
        case .requestTarget:
            ByteEncodings.appendPercentEncoded(copy, to: output) { $0 > 0x20 && $0 < 0x7F }
        case .header:
            for byte in copy { output.append(TemplateEscaping.endsField(byte) ? UInt8(ascii: " ") : byte) }
        case .fileName:
            if copy.first == UInt8(ascii: ".") { output.append("%2E") }
            let rest = Bytes(rebasing: copy[(copy.first == UInt8(ascii: ".") ? 1 : 0)...])
            ByteEncodings.appendPercentEncoded(rest, to: output, keeping: ByteEncodings.isUnreserved)
        }
    }

    private func needsWork(_ text: Bytes) -> Bool {
        switch self {
        case .none: false
        case .jsonString: text.contains { $0 < 0x20 || $0 >= 0x80 || $0 == 0x22 || $0 == 0x5C }
        case .percent: !text.allSatisfy(ByteEncodings.isUnreserved)
        case .requestTarget: text.contains { $0 <= 0x20 || $0 >= 0x7F }
        case .header: text.contains(where: TemplateEscaping.endsField)
        case .fileName: text.first == UInt8(ascii: ".") || !text.allSatisfy(ByteEncodings.isUnreserved)
        }
    }

    private static func endsField(_ byte: UInt8) -> Bool { byte == 0x0D || byte == 0x0A || byte == 0 }
}
