import Buffers
import Foundation
import RuleEngine

/// A file of conformance vectors, one case a line; the files are not part of the repository.
struct VectorFile {
    /// What a case expects, or what it is about; the kinds are counted apart.
    enum Kind: String, CaseIterable {
        case result, error, metrics, template, action
    }

    struct Failure {
        let id: String
        /// Of a case with a statement, `group: statement`; else `group: template`.
        let subject: String
        let reason: String
    }

    /// Without the ending.
    let name: String
    private(set) var total: [Kind: Int] = [:]
    private(set) var passed: [Kind: Int] = [:]
    private(set) var failures: [Failure] = []

    /// The folder that the environment variable `RULE_VECTORS` names.
    static var folder: String? { ProcessInfo.processInfo.environment["RULE_VECTORS"] }

    /// All files of a folder, their cases run, in the order of their names.
    static func run(folder: String) throws -> [VectorFile] {
        try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasSuffix(".jsonl") }.sorted()
            .map { try VectorFile(path: folder + "/" + $0, name: String($0.dropLast(6))) }
    }

    private init(path: String, name: String) throws {
        self.name = name
        for line in try Data(contentsOf: URL(fileURLWithPath: path)).split(separator: UInt8(ascii: "\n")) {
            try add(Array(line))
        }
    }

    private mutating func add(_ line: [UInt8]) throws {
        let bench = Workbench()
        let vector = try JSON.decode(try bench.bytes(line), in: bench.arena)
        let (kind, problem) = Self.run(line, vector, bench)
        total[kind, default: 0] += 1
        if problem.isEmpty { return passed[kind, default: 0] += 1 }
        let sql = vector.at("sql").isPresent ? vector.at("sql").string : vector.at("template").string
        failures.append(
            Failure(id: vector.at("id").string, subject: "\(vector.at("group").string): \(sql)", reason: problem))
    }

    private static func run(_ line: [UInt8], _ vector: Value, _ bench: Workbench) -> (Kind, String) {
        do {
            if vector.at("template").isPresent { return (.template, try ActionVectors.template(bench, vector)) }
            if vector.at("republish").isPresent { return (.action, try ActionVectors.republish(bench, vector)) }
            if vector.at("http").isPresent { return (.action, try ActionVectors.request(bench, vector)) }
            if vector.at("http_result").isPresent { return (.action, ActionVectors.result(bench, vector)) }
            let expect = vector.at("expect")
            let kind: Kind =
                expect.at("error").isPresent ? .error : expect.at("metrics").isPresent ? .metrics : .result
            guard let statement = try RuleVector(line: line) else { return (kind, "a case of an unknown kind") }
            return (kind, RuleVectorRun(vector: statement).failure() ?? "")
        } catch {
            return (vector.at("template").isPresent ? .template : .action, "raises \(error)")
        }
    }

    /// `where: result 120/120, error 35/35`.
    var summary: String {
        let counts = Kind.allCases.compactMap { kind in
            total[kind].map { "\(kind.rawValue) \(passed[kind] ?? 0)/\($0)" }
        }
        return "\(name): \(counts.joined(separator: ", "))"
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
