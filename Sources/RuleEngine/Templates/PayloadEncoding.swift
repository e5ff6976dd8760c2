package import Buffers

/// How the payload's bytes enter JSON. Differs from EMQX, which has the way of `utf8` alone.
package enum PayloadEncoding: String, Sendable, CaseIterable {
    /// Text where it is UTF-8, base64 where it is not.
    case auto
    /// Text; what is not UTF-8 becomes U+FFFD.
    case utf8
    case base64
    case hex

    /// The payload as it enters JSON.
    ///
    /// - Returns: the value and the encoding's name, or nil when the value stays as it is.
    fileprivate func encoded(
        _ payload: Value, in arena: Arena
    ) throws(EvaluationError) -> (value: Value, name: StaticString)? {
        guard payload.kind == .string else { return nil }
        let output = arena.scratch
        output.removeAll()
        switch self {
        case .utf8: return nil
        case .auto:
            guard !Self.isUTF8(payload.bytes) else { return nil }
            ByteEncodings.appendBase64(payload.bytes, to: output)
        case .base64: ByteEncodings.appendBase64(payload.bytes, to: output)
        case .hex: ByteEncodings.appendHex(payload.bytes, to: output)
        }
        return (try arena.string(copying: output.bytes), self == .hex ? "hex" : "base64")
    }

    private static func isUTF8(_ bytes: Bytes) -> Bool {
        guard let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return true }
        let end = start + bytes.count
        var cursor = start
        while cursor < end {
            if end - cursor >= 8,
                UnsafeRawPointer(cursor).loadUnaligned(as: UInt64.self) & 0x8080_8080_8080_8080 == 0
            {
                cursor += 8
                continue
            }
            if cursor.pointee < 0x80 {
                cursor += 1
                continue
            }
            let step = utf8Step(cursor, end)
            guard step > 0 else { return false }
            cursor += step
        }
        return true
    }
}

extension TemplateContext {
    /// Appends the whole row as JSON. A payload that is encoded has its encoding's name beside it, in the member
    /// `payload_encoding`.
    package func appendRow(_ row: Value, to output: OutputBuffer) throws(EvaluationError) {
        try JSON.append(try encoded(row: row), to: output, undefinedAs: undefinedAs)
    }

    /// The row with its member `payload` as it enters JSON.
    @inline(__always)
    func encoded(row: Value) throws(EvaluationError) -> Value {
        payloadEncoding == .utf8 ? row : try encodedSlowly(row: row)
    }

    @inline(never)
    private func encodedSlowly(row: Value) throws(EvaluationError) -> Value {
        let key = Value.string("payload").bytes
        guard row.kind == .object, let change = try payloadEncoding.encoded(row.member(key), in: arena) else {
            return row
        }
        var members = row.members.map { member in
            compareBytes(member.key, key) == 0 ? Member(key: member.key, value: change.value) : member
        }
        members.append(Member(key: Value.string("payload_encoding").bytes, value: .string(change.name)))
        return try arena.object(members)
    }

    /// A payload alone, as it enters JSON.
    func encoded(payload: Value) throws(EvaluationError) -> Value {
        payloadEncoding == .utf8 ? payload : try payloadEncoding.encoded(payload, in: arena)?.value ?? payload
    }
}
