import Buffers
import ConfigSchema
import RuleEngine

/// Holds what a test saw against what it expects.
struct RuleTestCheck {
    let expect: RuleExpectation
    let seen: RuleTrialResult
    private var found: [ConfigProblem] = []

    init(expect: RuleExpectation, seen: RuleTrialResult) {
        self.expect = expect
        self.seen = seen
    }

    func failures() -> [ConfigProblem] {
        var check = self
        check.run()
        return check.found
    }

    private mutating func run() {
        checkError()
        if let node = expect.matched { checkMatched(node) }
        if let node = expect.passes { checkPasses(node) }
        if let node = expect.output { checkOutput(node, ValueMatcher(allowsMore: false)) }
        if let node = expect.outputContains { checkOutput(node, ValueMatcher(allowsMore: true)) }
        if let node = expect.requests { check(node, "request", seen.requests.map(Self.value)) }
        if let node = expect.published { check(node, "message", seen.messages.map(Self.value)) }
        if let node = expect.lines { check(node, "line", seen.lines.map(Self.value)) }
    }

    private mutating func fail(_ node: YAMLNode, _ text: String) { found.append(node.problem(.failedTest, text)) }

    private mutating func checkError() {
        if let node = expect.error {
            let names = seen.errors.map(\.name)
            if !names.contains(node.text ?? "") {
                fail(
                    node,
                    names.isEmpty
                        ? "nothing raised, expected \(node.kindInWords)"
                        : "it raised \(names.joined(separator: ", ")), expected \(node.kindInWords)")
            }
        } else if let error = seen.errors.first {
            fail(expect.node, "it raised \(error.name): \(error.explanation)")
        }
    }

    private mutating func checkMatched(_ node: YAMLNode) {
        guard case .bool(let wanted) = node.scalar else {
            return fail(node, "matched is true or false, not \(node.kindInWords)")
        }
        let matched = seen.passes.contains(true)
        if matched != wanted { fail(node, matched ? "it matched: \(rows)" : "it did not match") }
    }

    private mutating func checkPasses(_ node: YAMLNode) {
        let wanted = (node.items ?? []).map { $0.scalar == .bool(true) }
        if wanted != seen.passes { fail(node, "the inputs passed as \(seen.passes), expected \(wanted)") }
    }

    private var rows: String { ValueMatcher.show(.array(seen.rows)) }

    /// A mapping means one row, a list the rows in order.
    private mutating func checkOutput(_ node: YAMLNode, _ matcher: ValueMatcher) {
        let wanted = node.items ?? [node]
        guard wanted.count == seen.rows.count else {
            return fail(node, "\(seen.rows.count) rows were selected, expected \(wanted.count): \(rows)")
        }
        for (index, pair) in zip(wanted, seen.rows).enumerated() {
            let path = wanted.count == 1 ? "output" : "output[\(index + 1)]"
            if let difference = matcher.difference(pair.0, pair.1, path) { fail(difference.node, difference.text) }
        }
    }

    // MARK: Effects

    private mutating func check(_ node: YAMLNode, _ what: String, _ effects: [StoredValue]) {
        let wanted = node.items ?? [node]
        guard wanted.count == effects.count else {
            let hidden = effects.count < wanted.count ? seen.unrendered : []
            let reasons = hidden.map { "; \($0.action): \($0.reason)" }.joined()
            return fail(node, "\(effects.count) \(what)s were made, expected \(wanted.count)\(reasons)")
        }
        for (index, pair) in zip(wanted, effects).enumerated() {
            guard let entries = pair.0.entries else {
                fail(pair.0, "a \(what) is a mapping")
                continue
            }
            for entry in entries { check(entry, "\(what) \(index + 1)", pair.1) }
        }
    }

    /// Values that are JSON text compare as JSON when the test wants a mapping or a list.
    private mutating func check(_ entry: YAMLEntry, _ what: String, _ effect: StoredValue) {
        guard case .object(let members) = effect else { return }
        let name = entry.name == "file" ? "action" : entry.name
        guard let member = members.first(where: { $0.key.elementsEqual(name.utf8) }) else {
            let names = members.map { String(decoding: $0.key, as: UTF8.self) }
            let hint =
                didYouMean(name, names).map { "did you mean \"\($0)\"?" } ?? "it has \(names.joined(separator: ", "))"
            found.append(entry.key.problem(.badTest, "\(what) has no \"\(name)\"", hint: hint))
            return
        }
        var actual = member.value
        let isJSON = ["body", "payload", "json"].contains(name)
        if isJSON, entry.value.kind != .scalar || name == "json", case .string(let bytes) = actual {
            guard let decoded = Self.decoded(bytes) else {
                return fail(entry.value, "\(what).\(name) is not JSON: \(ValueMatcher.show(actual))")
            }
            actual = decoded
        }
        let matcher = ValueMatcher(allowsMore: ["headers", "json", "user_properties"].contains(name))
        if let difference = matcher.difference(entry.value, actual, "\(what).\(name)") {
            fail(difference.node, difference.text)
        }
    }

    static func decoded(_ bytes: [UInt8]) -> StoredValue? {
        // The value's escaped strings lie in the arena until they are copied.
        let arena = Arena()
        return withExtendedLifetime(arena) {
            bytes.withUnsafeBytes { bytes in (try? JSON.decode(bytes, in: arena)).map { StoredValue($0) } }
        }
    }

    // MARK: Effects as values

    private static func object(_ members: [(String, StoredValue)]) -> StoredValue {
        .object(
            members.map { StoredMember(key: Array($0.0.utf8), value: $0.1) }.sorted {
                $0.key.lexicographicallyPrecedes($1.key)
            })
    }

    private static func text(_ text: String) -> StoredValue { .string(Array(text.utf8)) }

    static func value(_ request: RuleTrialResult.Request) -> StoredValue {
        object([
            ("action", text(request.action)), ("method", text(request.method)), ("url", text(request.url)),
            ("headers", object(request.headers.map { ($0.name, text($0.value)) })),
            ("body", request.body.map { .string($0) } ?? .null),
        ])
    }

    static func value(_ message: RuleTrialResult.Message) -> StoredValue {
        let properties = message.userProperties.map {
            (String(decoding: $0.name, as: UTF8.self), StoredValue.string($0.value))
        }
        return object([
            ("topic", .string(message.topic)), ("payload", .string(message.payload)), ("qos", .integer(message.qos)),
            ("retain", .boolean(message.retain)), ("user_properties", object(properties)),
        ])
    }

    static func value(_ line: RuleTrialResult.Line) -> StoredValue {
        object([
            ("action", text(line.action)), ("path", text(line.path)), ("text", .string(line.text)),
            ("json", .string(line.text)),
        ])
    }
}
