internal import Buffers

/// Values as Erlang prints terms, on one line: `<<"text">>`, `[1,2]`, `#{<<"key">> => 1.5}`.
struct TermText {
    /// Printable text in quotes, else as numbers.
    let isPretty: Bool
    /// Text beyond ASCII counts as printable.
    let isUnicode: Bool
    let output: OutputBuffer

    func append(_ value: Value) throws(EvaluationError) { try append(value, depth: 0) }

    private func append(_ value: Value, depth: Int) throws(EvaluationError) {
        guard depth < 256 else { throw .depthLimit }
        switch value.kind {
        case .undefined, .null, .boolean, .integer, .bigInteger: try value.appendText(to: output)
        case .float: appendFloat(value.float)
        case .string, .atom: appendBinary(value.bytes)
        case .bitString: appendBits(value)
        case .array: try appendList(value, depth)
        case .object:
            output.append("#{")
            for (index, member) in value.members.enumerated() {
                if index > 0 { output.append(",") }
                appendBinary(member.key)
                output.append(" => ")
                try append(member.value, depth: depth + 1)
            }
            output.append("}")
        }
    }

    /// The shortest form, with a point also before an exponent: `1.0e22`.
    private func appendFloat(_ value: Double) {
        let start = output.count
        FloatText.appendShortest(value, to: output)
        let text = Array(output.bytes[start...])
        guard let mark = text.firstIndex(of: UInt8(ascii: "e")) else { return }
        output.truncate(to: start)
        output.append(Array(text[..<mark]))
        if !text[..<mark].contains(UInt8(ascii: ".")) { output.append(".0") }
        output.append("e")
        output.append(text[(mark + 1)...].filter { $0 != UInt8(ascii: "+") })
    }

    private func appendBinary(_ bytes: Bytes) {
        output.append("<<")
        defer { output.append(">>") }
        guard bytes.count > 0 else { return }
        guard isPretty, isPrintable(bytes) else { return appendNumbers(bytes) }
        appendQuoted(bytes)
        if !bytes.isASCII { output.append("/utf8") }
    }

    private func isPrintable(_ bytes: Bytes) -> Bool {
        let isText = bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F || (0x08...0x0D).contains($0) || $0 == 0x1B }
        guard isText else { return false }
        return bytes.isASCII || isUnicode && String(validating: bytes, as: UTF8.self) != nil
    }

    private func appendQuoted(_ bytes: Bytes) {
        output.append("\"")
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""): output.append("\\\"")
            case UInt8(ascii: "\\"): output.append("\\\\")
            case 0x08: output.append("\\b")
            case 0x09: output.append("\\t")
            case 0x0A: output.append("\\n")
            case 0x0B: output.append("\\v")
            case 0x0C: output.append("\\f")
            case 0x0D: output.append("\\r")
            case 0x1B: output.append("\\e")
            default: output.append(byte)
            }
        }
        output.append("\"")
    }

    private func appendNumbers(_ bytes: Bytes) {
        for (index, byte) in bytes.enumerated() {
            if index > 0 { output.append(",") }
            output.append(decimal: Int(byte))
        }
    }

    /// The last byte with the number of its bits.
    private func appendBits(_ value: Value) {
        let bits = Int(value.count) % 8
        output.append("<<")
        let bytes = value.bytes
        for (index, byte) in bytes.enumerated() {
            if index > 0 { output.append(",") }
            let isLast = index == bytes.count - 1
            output.append(decimal: Int(isLast ? byte >> UInt8(8 - bits) : byte))
            if isLast {
                output.append(":")
                output.append(decimal: bits)
            }
        }
        output.append(">>")
    }

    private func appendList(_ value: Value, _ depth: Int) throws(EvaluationError) {
        let elements = value.elements
        let isText = elements.allSatisfy {
            $0.kind == .integer && ((32...126).contains($0.integer) || (8...13).contains($0.integer))
        }
        if isPretty, elements.count > 0, isText {
            let text = elements.map { UInt8(truncatingIfNeeded: $0.integer) }
            return text.withUnsafeBytes { appendQuoted($0) }
        }
        output.append("[")
        for (index, element) in elements.enumerated() {
            if index > 0 { output.append(",") }
            try append(element, depth: depth + 1)
        }
        output.append("]")
    }
}
