import ConfigSchema
import RuleEngine

/// One inline test, read.
struct RuleTestCase {
    struct Input {
        /// Nanoseconds since the test's `now`.
        var at: Int64
        var event: EventName
        var columns: [(name: String, value: StoredValue)]
    }

    var name: String
    var environment: [String: String]
    /// Nanoseconds since 1970.
    var now: Int64
    var inputs: [Input]
    var expect: RuleExpectation
}

/// What a test wants; nil means it does not say.
struct RuleExpectation {
    var node: YAMLNode
    var matched: YAMLNode?
    var output: YAMLNode?
    var outputContains: YAMLNode?
    var error: YAMLNode?
    var requests: YAMLNode?
    var published: YAMLNode?
    var lines: YAMLNode?
    var passes: YAMLNode?
}

/// `tests` entries of a rule. [rule file §7]
enum RuleTestFields {
    static let name = Field("name", .nonEmptyString, doc: "Default: the number.")
    static let now = Field(
        "now", .timestamp, default: 1_767_225_600_000_000_000, doc: "Freezes the clock; default 2026-01-01T00:00:00Z.")
    static let env = Field(
        "env", .map(.string), default: [], doc: "What `${env:…}` finds; the process's environment is not seen.")
    static let input = Field("input", .any, doc: "The event's columns.")
    static let inputs = Field("inputs", .any, doc: "A sequence of events; `at` moves the clock.")
    static let expect = Field("expect", .any, .required, doc: "What must come of it.")
    static let all = FieldSet("tests", [name, now, env, input, inputs, expect])

    private static let any: [any ConfigField] = [
        "matched", "output", "output_contains", "error", "requests", "published", "lines", "passes",
    ].map { Field($0, .any, doc: "") }
    private static let expectFields = FieldSet("expect", any)

    /// - Parameter defaults: `test_defaults`: `env` for all tests, the rest under every input.
    static func read(_ node: YAMLNode, number: Int, defaults: YAMLNode?, _ context: inout ReadContext) -> RuleTestCase?
    {
        guard let values = all.read(node, &context) else { return nil }
        let (inputDefaults, environmentDefaults) = defaults.map { $0.removing("env") } ?? (nil, nil)
        var environment: [String: String] = [:]
        for entry in environmentDefaults?.entries ?? [] { environment[entry.name] = entry.value.text }
        for entry in values[env] { environment[entry.name] = entry.value }
        let nodes: [YAMLNode]
        switch (values[input], values[inputs]) {
        case (let one?, nil): nodes = [one]
        case (nil, let many?): nodes = many.items ?? [many]
        default:
            context.report(node.problem(.badTest, "a test needs either \"input\" or \"inputs\""))
            return nil
        }
        let read = nodes.map { node in
            RuleTestInput.read(node.merged(over: inputDefaults), now: values[now], &context)
        }
        let events = read.compactMap { $0 }
        guard events.count == read.count, let expect = expectation(values[expect], &context) else { return nil }
        return RuleTestCase(
            name: values[name] ?? "\(number)", environment: environment, now: values[now], inputs: events,
            expect: expect)
    }

    private static func expectation(_ node: YAMLNode, _ context: inout ReadContext) -> RuleExpectation? {
        guard expectFields.read(node, &context) != nil else { return nil }
        guard node.entries?.isEmpty == false else {
            context.report(node.problem(.badTest, "a test that expects nothing can never fail"))
            return nil
        }
        return RuleExpectation(
            node: node, matched: node["matched"], output: node["output"], outputContains: node["output_contains"],
            error: node["error"], requests: node["requests"], published: node["published"], lines: node["lines"],
            passes: node["passes"])
    }
}

extension FieldType where Value == Int64 {
    /// Nanoseconds since 1970 of `2026-01-01T00:00:00Z`.
    static var timestamp: FieldType {
        .scalar("a time such as 2026-01-01T00:00:00Z", show: { _ in "2026-01-01T00:00:00Z" }) { text, _ in
            Timestamp.nanoseconds(text)
        }
    }
}

/// Times of RFC 3339.
package enum Timestamp {
    /// Nil for anything else; seconds may have a fraction.
    package static func nanoseconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int64? {
            guard range.upperBound <= bytes.count, bytes[range].allSatisfy({ (0x30...0x39).contains($0) }) else {
                return nil
            }
            return bytes[range].reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }
        guard bytes.count >= 20, bytes[4] == UInt8(ascii: "-"), bytes[7] == UInt8(ascii: "-"),
            bytes[13] == UInt8(ascii: ":"),
            bytes[16] == UInt8(ascii: ":"), [0x54, 0x74, 0x20].contains(bytes[10]), let year = number(0..<4),
            let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16),
            let second = number(17..<19), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second < 61
        else { return nil }
        var index = 19
        var fraction: Int64 = 0
        if bytes[index] == UInt8(ascii: ".") {
            index += 1
            var scale: Int64 = 100_000_000
            while index < bytes.count, (0x30...0x39).contains(bytes[index]) {
                fraction += Int64(bytes[index] - 0x30) * scale
                scale /= 10
                index += 1
            }
        }
        guard let offset = offset(bytes[index...]) else { return nil }
        let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset
        return seconds * 1_000_000_000 + fraction
    }

    private static func offset(_ bytes: ArraySlice<UInt8>) -> Int64? {
        if bytes.count == 1, bytes.first == UInt8(ascii: "Z") || bytes.first == UInt8(ascii: "z") { return 0 }
        let digits = bytes.dropFirst().filter { $0 != UInt8(ascii: ":") }
        guard let sign = bytes.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), digits.count == 4,
            digits.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        let parts = digits.map { Int64($0 - 0x30) }
        return (sign == UInt8(ascii: "-") ? -1 : 1)
            * ((parts[0] * 10 + parts[1]) * 3600 + (parts[2] * 10 + parts[3]) * 60)
    }

    /// Days since 1970-01-01 in the proleptic Gregorian calendar, by counting from March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }
}
