package import ConfigSchema
package import RuleEngine

/// One event to evaluate a rule for.
package struct RuleSample: Sendable {
    package let columns: [(name: String, value: StoredValue)]
    package let event: EventName
    /// Nanoseconds since 1970.
    package let now: Int64
    /// For people: the test or the file it came from.
    package let origin: String

    /// The first input that the rule listens to, of its first inline test that has one.
    package static func ofTests(_ rule: RuleDefinition, defaults: YAMLNode?) -> RuleSample? {
        for (index, node) in rule.tests.enumerated() {
            var context = ReadContext(path: ["tests"])
            guard let test = RuleTestFields.read(node, number: index + 1, defaults: defaults, &context) else {
                continue
            }
            for input in test.inputs {
                let sample = RuleSample(
                    columns: input.columns, event: input.event, now: test.now + input.at,
                    origin: "the input of its inline test \"\(test.name)\"")
                if sample.isListenedTo(by: rule.compiled) { return sample }
            }
        }
        return nil
    }

    /// An event written like the `input` of an inline test, in YAML or JSON.
    ///
    /// - Returns: nil with problems.
    package static func read(_ source: SourceFile, origin: String) -> (sample: RuleSample?, problems: [ConfigProblem]) {
        let parsed = YAMLParser.parse(source)
        guard !parsed.problems.hasErrors, let node = parsed.documents.first else { return (nil, parsed.problems) }
        var context = ReadContext(path: ["sample"])
        let now: Int64 = 1_767_225_600_000_000_000
        guard let input = RuleTestInput.read(node, now: now, &context) else {
            return (nil, parsed.problems + context.problems)
        }
        let sample = RuleSample(columns: input.columns, event: input.event, now: now + input.at, origin: origin)
        return (sample, parsed.problems + context.problems)
    }

    package var payloadBytes: Int {
        guard case .string(let bytes)? = columns.first(where: { $0.name == "payload" })?.value else { return 0 }
        return bytes.count
    }

    package func isListenedTo(by rule: CompiledRule) -> Bool {
        rule.topics.contains { entry in
            switch entry {
            case .event(let event): return event == self.event
            case .filter(let filter):
                guard event == .messagePublish,
                    case .string(let bytes)? = columns.first(where: { $0.name == "topic" })?.value
                else { return false }
                return RuleTopic.matches(filter: filter, topic: String(decoding: bytes, as: UTF8.self))
            }
        }
    }
}
