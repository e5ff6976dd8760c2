import Buffers
import Glibc
import RuleEngine

/// A file of conformance vectors, one case a line, in the folder that the environment variable `RULE_VECTORS` names.
///
/// The files are not part of the repository; without the variable their tests say so and pass.
struct VectorFile {
    let lines: [[UInt8]]

    /// - Returns: nil when the variable is not set or the file is not there.
    init?(_ name: String) {
        guard let folder = getenv("RULE_VECTORS"), let file = fopen(String(cString: folder) + "/" + name, "r") else {
            print("RULE_VECTORS does not lead to \(name): its cases are skipped.")
            return nil
        }
        defer { fclose(file) }
        var content: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65536)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { content += chunk[..<count] }
        lines = content.split(separator: UInt8(ascii: "\n")).map(Array.init)
    }

    /// Runs all cases of the kinds that `body` knows and prints how many passed.
    ///
    /// - Parameter body: nil for a case of another kind, else what is wrong with it, empty when nothing is.
    /// - Returns: the failures.
    func run(_ name: String, _ body: (Workbench, Value) throws -> String?) throws -> [String] {
        var failures: [String] = []
        var total = 0
        for line in lines {
            let bench = Workbench()
            let vector = try JSON.decode(try bench.bytes(line), in: bench.arena)
            let problem: String?
            do { problem = try body(bench, vector) } catch { problem = "raises \(error)" }
            guard let problem else { continue }
            total += 1
            if !problem.isEmpty { failures.append("\(vector.at("id").string): \(problem)") }
        }
        print("\(name): \(total - failures.count)/\(total) vectors pass.")
        return failures
    }
}

extension Value {
    func at(_ key: String) -> Value {
        let bytes = Array(key.utf8)
        return bytes.withUnsafeBytes { member($0) }
    }

    var string: String { String(decoding: bytes, as: UTF8.self) }
    var isPresent: Bool { !isUndefined }
}

extension Workbench {
    /// What a vector's notation stands for: `$undefined` and `$base64` become what JSON cannot hold.
    func material(_ value: Value) throws -> Value {
        switch value.kind {
        case .array: return try arena.array(try value.elements.map(material))
        case .object:
            if value.at("$undefined").isPresent { return .undefined }
            if value.at("$base64").isPresent { return .string(try bytes(base64(value.at("$base64").string))) }
            return try arena.object(try value.members.map { Member(key: $0.key, value: try material($0.value)) })
        default: return value
        }
    }

    /// Whether bytes are what a vector expects: text, `$base64`, or `$json`, of which only the value counts.
    func matches(_ actual: Bytes, _ expected: Value) throws -> Bool {
        if expected.kind == .object, expected.at("$json").isPresent {
            return Operators.exactlyEqual(try JSON.decode(actual, in: arena), expected.at("$json"))
        }
        return compareBytes(actual, try material(expected).bytes) == 0
    }

    private func base64(_ text: String) -> [UInt8] {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var result: [UInt8] = []
        var buffer = 0
        var bits = 0
        for byte in text.utf8 {
            guard let digit = alphabet.firstIndex(of: byte) else { break }
            buffer = (buffer << 6 | digit) & 0xFFFF
            bits += 6
            if bits >= 8 {
                bits -= 8
                result.append(UInt8(truncatingIfNeeded: buffer >> bits))
            }
        }
        return result
    }
}
