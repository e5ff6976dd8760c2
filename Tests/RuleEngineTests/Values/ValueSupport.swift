import Buffers
import RuleEngine

/// What tests of values share: an arena that lives as long as the test, and text in place of bytes.
final class Workbench {
    let arena = Arena()
    let output = OutputBuffer()

    /// The bytes of a text, in the arena.
    func bytes(_ text: String) throws -> Bytes { try arena.string(text).bytes }
    func bytes(_ bytes: [UInt8]) throws -> Bytes {
        let copy = try arena.bytes(count: bytes.count)
        copy.copyBytes(from: bytes)
        return Bytes(copy)
    }

    /// The value of a JSON text.
    func json(_ text: String) throws -> Value { try JSON.decode(try bytes(text), in: arena) }

    func encoded(_ value: Value, undefinedAs: JSON.UndefinedEncoding = .text) throws -> String {
        output.removeAll()
        try JSON.append(value, to: output, undefinedAs: undefinedAs)
        return output.description
    }

    func text(_ value: Value, charlists: Charlists = .latin1) throws -> String {
        output.removeAll()
        try value.appendText(to: output, charlists: charlists)
        let appended = output.description
        // Both ways to text agree.
        let made = try value.text(in: arena, charlists: charlists)
        guard appended == String(decoding: made.bytes, as: UTF8.self) else { return "two texts" }
        return appended
    }

    /// A value in the notation of JSON and besides `undefined`, `atom:x`.
    func value(_ text: String) throws -> Value {
        if text == "undefined" { return .undefined }
        if text.hasPrefix("atom:") { return .atom(try bytes(String(text.dropFirst(5)))) }
        return try json(text)
    }
}

/// The error that a piece of work ends with; nil when it ends well.
func failure(_ body: () throws -> Void) -> EvaluationError? {
    do {
        try body()
        return nil
    } catch {
        return error as? EvaluationError
    }
}
