import Buffers
package import ConfigSchema
import RuleEngine
import Topics

/// What became of one inline test.
package struct RuleTestResult: Sendable {
    package let rule: String
    package let name: String
    /// Where the test stands.
    package let origin: DefinitionOrigin
    /// Empty when it passed.
    package let failures: [ConfigProblem]
    package let duration: Duration

    package var passed: Bool { failures.isEmpty }
}

/// Runs the inline tests of rule files without a broker: nothing is sent, the clock stands, randomness has a seed.
package struct RuleTestRunner {
    private let sources: [SourceFile]
    private let nodeName: String
    /// What the files come to under an environment: tests bring their own.
    private var loaded: [[String: String]: LoadedRules] = [:]
    /// What counts the branches, when that is wanted.
    private var coverage: CoverageCollector?

    private init(_ sources: [SourceFile], _ nodeName: String) {
        self.sources = sources
        self.nodeName = nodeName
    }

    /// All tests of all rules, in the files' order.
    ///
    /// - Parameters:
    ///   - filter: runs only tests whose rule or name contains it.
    ///   - deadline: tests that would begin later fail.
    package static func run(
        _ sources: [SourceFile], nodeName: String = "sluice@127.0.0.1", filter: String? = nil,
        deadline: ContinuousClock.Instant? = nil
    ) -> [RuleTestResult] {
        trials(sources, nodeName: nodeName, filter: filter, deadline: deadline).map(\.result)
    }

    /// The same, with which branches of the rules the tests took.
    package static func runWithCoverage(
        _ sources: [SourceFile], nodeName: String = "sluice@127.0.0.1", filter: String? = nil
    ) -> (results: [RuleTestResult], coverage: [RuleCoverageReport]) {
        var runner = RuleTestRunner(sources, nodeName)
        runner.coverage = CoverageCollector()
        let results = runner.run(filter, nil).map(\.result)
        return (results, runner.coverage?.reports ?? [])
    }

    /// A test that ran, with what it saw.
    struct Trial {
        let result: RuleTestResult
        /// The test as written, and its number among the rule's.
        let node: YAMLNode
        let number: Int
        /// Nil when the test or its rule cannot be read.
        let expect: RuleExpectation?
        let seen: RuleTrialResult

        var source: SourceFile { node.source }
        /// The same for the same test of another text.
        var id: String { "\(result.rule)\u{0}\(number)" }
    }

    static func trials(
        _ sources: [SourceFile], nodeName: String = "sluice@127.0.0.1", filter: String? = nil,
        deadline: ContinuousClock.Instant? = nil
    ) -> [Trial] {
        var runner = RuleTestRunner(sources, nodeName)
        return runner.run(filter, deadline)
    }

    private mutating func run(_ filter: String?, _ deadline: ContinuousClock.Instant?) -> [Trial] {
        let documents = RuleDocuments(sources)
        var trials: [Trial] = []
        for object in documents.objects where object.kind == .rule {
            let tests = (object.node["tests"]?.items ?? []).enumerated().map { index, node in
                (node: node, number: index + 1, name: node["name"]?.text ?? "\(index + 1)")
            }.filter { test in filter.map { object.name.contains($0) || test.name.contains($0) } ?? true }
            guard !tests.isEmpty || filter.map({ object.name.contains($0) }) ?? true else { continue }
            for test in tests {
                let start = ContinuousClock.now
                let (failures, expect, seen) =
                    deadline.map { start > $0 } ?? false
                    ? ([test.node.problem(.badTest, "the time for tests was over before this one began")], nil, nil)
                    : run(object.name, test.node, test.number, documents.testDefaults)
                let result = RuleTestResult(
                    rule: object.name, name: test.name, origin: DefinitionOrigin(test.node), failures: failures,
                    duration: ContinuousClock.now - start)
                trials.append(
                    Trial(
                        result: result, node: test.node, number: test.number, expect: expect,
                        seen: seen ?? RuleTrialResult()))
            }
            if let definition = coverage.map({ _ in rules([:]) })?.definition.rule(object.name) {
                coverage?.add(object, definition, tests: tests.count)
            }
        }
        return trials
    }

    private mutating func run(
        _ rule: String, _ node: YAMLNode, _ number: Int, _ defaults: YAMLNode?
    ) -> (failures: [ConfigProblem], expect: RuleExpectation?, seen: RuleTrialResult?) {
        var context = ReadContext(path: ["rules", rule, "tests", "\(number)"])
        guard let test = RuleTestFields.read(node, number: number, defaults: defaults, &context) else {
            return (context.problems, nil, nil)
        }
        let rules = rules(test.environment)
        guard let definition = rules.definition.rule(rule) else {
            return (rules.broken["rule:\(rule)"] ?? [node.problem(.badTest, "the rule cannot be read")], nil, nil)
        }
        let compiled = coverage?.compiled(definition) ?? definition.compiled
        let seen = RuleTrial(definition, compiled, rules, test, nodeName).run()
        return (RuleTestCheck(expect: test.expect, seen: seen).failures(), test.expect, seen)
    }

    private mutating func rules(_ environment: [String: String]) -> LoadedRules {
        if let known = loaded[environment] { return known }
        let options = RuleFileLoader.LoadOptions(environment: Environment(variables: environment), nodeName: nodeName)
        let rules = RuleFileLoader.load(sources, options)
        loaded[environment] = rules
        return rules
    }
}

/// One test under way.
struct RuleTrial {
    let definition: RuleDefinition
    /// The definition's statement; it may count the branches it takes.
    let compiled: CompiledRule
    let rules: LoadedRules
    let test: RuleTestCase
    let context: EvaluationContext
    private let gate: RowGate?
    private let templates: TemplateContext

    init(
        _ definition: RuleDefinition, _ compiled: CompiledRule, _ rules: LoadedRules, _ test: RuleTestCase,
        _ nodeName: String
    ) {
        self.definition = definition
        self.compiled = compiled
        self.rules = rules
        self.test = test
        context = EvaluationContext(node: nodeName, random: RandomSource(seed: 1))
        gate = definition.gate.map { RowGate($0, random: RandomSource(seed: 2)) }
        templates = TemplateContext(arena: context.arena, ruleID: definition.id)
    }

    func run() -> RuleTrialResult {
        var seen = RuleTrialResult()
        for input in test.inputs {
            context.arena.reset()
            context.nowNanoseconds = test.now + input.at
            context.uptimeNanoseconds = context.nowNanoseconds
            evaluate(input, &seen)
        }
        return seen
    }

    private func evaluate(_ input: RuleTestCase.Input, _ seen: inout RuleTrialResult) {
        guard listens(to: input) else {
            seen.passes.append(false)
            return
        }
        let rows = RowList()
        let event = DictionaryEvent(input.columns)
        let renderer = RuleTrialRenderer(
            definition: definition, rules: rules, context: context, input: input, event: event)
        do throws(EvaluationError) {
            switch compiled.evaluate(event, in: context, rows: rows) {
            case .noResult: seen.passes.append(false)
            case .failed(let error): throw error
            case .passed(let count):
                let passed = try admitted(count, rows, event)
                seen.passes.append(!passed.isEmpty)
                for index in passed {
                    seen.rows.append(StoredValue(rows[index]))
                    renderer.render(rows[index], &seen)
                }
            }
        } catch {
            seen.passes.append(false)
            seen.errors.append(error)
            renderer.renderError(error, &seen)
        }
    }

    /// The rows that the rule's state lets through.
    private func admitted(_ count: Int, _ rows: RowList, _ event: DictionaryEvent) throws(EvaluationError) -> [Int] {
        guard let gate else { return Array(0..<count) }
        guard gate.takesSample(&context.random) else { return [] }
        let topic = try event.value(of: .topic, in: context)
        let client = try event.value(of: .clientid, in: context)
        let none = Bytes(start: nil, count: 0)
        var keys: [RowGate.Keys] = []
        for index in 0..<count {
            keys.append(
                try gate.keys(
                    row: rows[index], topic: topic.isText ? topic.bytes : none,
                    clientID: client.isText ? client.bytes : none, context: templates))
        }
        return keys.indices.filter { gate.admit(keys[$0], now: context.uptimeNanoseconds) == .passes }
    }

    private func listens(to input: RuleTestCase.Input) -> Bool {
        guard case .string(let topic)? = input.columns.first(where: { $0.name == "topic" })?.value else {
            return compiled.listens(to: input.event, topic: Bytes(start: nil, count: 0))
        }
        return topic.withUnsafeBytes { compiled.listens(to: input.event, topic: $0) }
    }
}

extension CompiledRule {
    /// Whether FROM lets the event through. Broker statistics are left out, as with `rule_engine.ignore_sys_message`,
    /// whose default is true.
    func listens(to event: EventName, topic: Bytes) -> Bool {
        if event == .messagePublish, topic.starts(with: "$SYS/".utf8) { return false }
        return topics.contains { entry in
            switch entry {
            case .event(let entry): return entry == event
            case .filter(let filter):
                guard event == .messagePublish else { return false }
                var filter = filter
                return filter.withUTF8 { TopicSyntax.matches(filter: Bytes($0), topic: topic) }
            }
        }
    }
}

/// What the inputs of a test came to.
struct RuleTrialResult {
    struct Request {
        var action: String
        var method: String
        var url: String
        var headers: [(name: String, value: String)]
        var body: [UInt8]?
    }

    struct Message {
        var topic: [UInt8]
        var payload: [UInt8]
        var qos: Int
        var retain: Bool
        var userProperties: [(name: [UInt8], value: [UInt8])]
    }

    struct Line {
        var action: String
        var path: String
        var text: [UInt8]
    }

    /// For each input, whether a row was selected.
    var passes: [Bool] = []
    var rows: [StoredValue] = []
    var errors: [EvaluationError] = []
    var requests: [Request] = []
    var messages: [Message] = []
    var lines: [Line] = []
    /// Why actions could not be rendered, by action.
    var unrendered: [(action: String, reason: String)] = []
}
