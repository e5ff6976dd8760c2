import Buffers
import Logging
import MQTTCodec
import RuleEngine
import Sinks
import Synchronization
import Topics

/// The rule engine's seat on a shard: evaluates, counts, hands rows to the actions. Confined to the shard's thread.
final class RuleStage {
    let context: EvaluationContext
    let logger: Logger
    let ignoresSystemTopics: Bool
    private let templates: TemplateContext
    private let rows = RowList()
    let event = MessageEvent()
    /// What sinks are told of the event under evaluation.
    private var record = RecordContext(
        timestamp: 0, clientID: Bytes(start: nil, count: 0), topic: Bytes(start: nil, count: 0))
    private var snapshot = RuleSnapshot.empty
    private var runners: [ObjectIdentifier: RuleRunner] = [:]
    /// This shard's end of each sink that its rules use.
    private var appenders: [ObjectIdentifier: SinkAppender] = [:]
    /// Those with something to hand over at the end of the tick.
    var dirtyAppenders: [SinkAppender] = []
    /// Those of sinks that may ask publishers to wait.
    var blockingAppenders: [SinkAppender] = []
    var canCongest = false
    private var sets: [[ObjectIdentifier]: RuleSetRunner] = [:]
    var eventSets: [EventName: RuleSetRunner] = [:]
    /// The owner.
    unowned(unsafe) var shard: Shard!
    /// By rule.
    var failures: [String: RepublishFailures] = [:]

    // Read on the message path: an event that no rule listens to costs this test.
    private(set) var wantsDelivered = false
    private(set) var wantsAcked = false
    private(set) var wantsDropped = false
    private(set) var wantsDeliveryDropped = false
    private(set) var wantsAuthorization = false
    /// Whether something may be denied.
    var authorizes = false { didSet { watchesAccess = authorizes || wantsAuthorization } }
    /// The one test of the message path: something may be denied, or a rule wants to hear of each decision.
    private(set) var watchesAccess = false
    private(set) var wantsPing = false
    /// Whether some rule's columns need the publisher of a message that comes from another shard.
    var needsPublisher: Bool { wantsDelivered || wantsAcked || wantsDeliveryDropped }

    // The window in which messages and rows gather; see RuleStage+Window.swift.

    /// Milliseconds for which they may gather under load. 0 where the loop does not come back by itself.
    var linger: Int64 = 0
    /// Monotonic milliseconds at which the loop is to come back for what has gathered.
    var due = Int64.max
    var windowEnd: Int64 = 0
    var windowCount = 0
    var isBatching = false
    let backlog = RuleBacklog()

    init(context: EvaluationContext, ignoresSystemTopics: Bool, logger: Logger) {
        self.context = context
        templates = TemplateContext(arena: context.arena)
        self.ignoresSystemTopics = ignoresSystemTopics
        self.logger = logger
    }

    func attach(to shard: Shard) { self.shard = shard }

    /// Takes over a new set of rules. Runners of rules that stay are kept, with their counters and their sinks' buffers.
    func install(_ snapshot: RuleSnapshot) {
        handOver()
        self.snapshot = snapshot
        let current = Set(snapshot.rules.map { ObjectIdentifier($0) })
        runners = runners.filter { current.contains($0.key) }
        sets = [:]
        eventSets = [:]
        for (event, rules) in snapshot.byEvent { eventSets[event] = makeSet(rules) }
        wantsDelivered = eventSets[.messageDelivered] != nil
        wantsAcked = eventSets[.messageAcked] != nil
        wantsDropped = eventSets[.messageDropped] != nil
        wantsDeliveryDropped = eventSets[.deliveryDropped] != nil
        wantsAuthorization = eventSets[.clientCheckAuthzComplete] != nil
        watchesAccess = authorizes || wantsAuthorization
        wantsPing = eventSets[.clientPing] != nil
        let used = Set(snapshot.rules.flatMap(\.workers).map { ObjectIdentifier($0) })
        appenders = appenders.filter { used.contains($0.key) }
        listBlockingAppenders()
    }

    private func appender(of worker: SinkWorker) -> SinkAppender {
        if let known = appenders[ObjectIdentifier(worker)] { return known }
        let made = worker.makeAppender()
        appenders[ObjectIdentifier(worker)] = made
        listBlockingAppenders()
        return made
    }

    private func listBlockingAppenders() {
        blockingAppenders = appenders.values.filter(\.canCongest)
        canCongest = !blockingAppenders.isEmpty
    }

    // MARK: Rules by topic

    /// The runner of a topic's rules; nil when there are none. Cold: called when a route is read.
    func runner(for rules: [InstalledRule], topic: Bytes) -> RuleSetRunner? {
        let enabled = rules.filter(\.isEnabled)
        guard !enabled.isEmpty, !(ignoresSystemTopics && topic.starts(with: "$SYS/".utf8)) else { return nil }
        let key = enabled.map { ObjectIdentifier($0) }
        if let known = sets[key] { return known }
        let made = makeSet(enabled)
        sets[key] = made
        return made
    }

    private func makeSet(_ rules: [InstalledRule]) -> RuleSetRunner {
        let members = rules.map { rule in
            if let known = runners[ObjectIdentifier(rule)] { return known }
            let made = RuleRunner(rule, appender: appender(of:))
            runners[ObjectIdentifier(rule)] = made
            return made
        }
        return RuleSetRunner(group: RuleGroup(rules.map(\.compiled)), runners: members)
    }

    // MARK: Evaluation

    func run(
        _ set: RuleSetRunner, event: any EventColumns, message: MessageView?, clientID: Bytes, topic: Bytes
    ) {
        record = RecordContext(timestamp: context.nowNanoseconds / 1_000_000, clientID: clientID, topic: topic)
        context.arena.reset()
        var position = 0
        set.group.evaluate(event, in: context, rows: rows) { _, outcome in
            set.withMember(position) { finish($0, outcome, event: event, message: message) }
            position += 1
        }
    }

    @inline(__always)
    private func finish(_ runner: RuleRunner, _ outcome: Outcome, event: any EventColumns, message: MessageView?) {
        switch outcome {
        case .noResult: runner.counters.noResult.add(1)
        case .passed(let count):
            if let gate = runner.gate { return pass(runner, gate, count, event: event, message: message) }
            runner.counters.passed.add(1)
            runner.counters.rows.add(count)
            for index in 0..<count { act(runner, row: rows[index], event: event, message: message) }
        case .failed(let error): fail(runner, error, event: event)
        }
    }

    /// The rows that the rule does not hold back go on. What a row's keys raise ends the match before any of them does.
    @inline(never)
    private func pass(
        _ runner: RuleRunner, _ gate: RunnerGate, _ count: Int, event: any EventColumns, message: MessageView?
    ) {
        guard gate.gate.takesSample(&context.random) else {
            runner.counters.noResult.add(1)
            gate.counters.matches.add(1)
            return gate.counters.add(.sampled, rows: count)
        }
        do throws(EvaluationError) {
            let templates = prepareTemplates(runner.rule)
            let keys = try context.arena.allocate(RowGate.Keys.self, count: count)
            for index in 0..<count {
                keys[index] = try gate.gate.keys(
                    row: rows[index], topic: record.topic, clientID: record.clientID, context: templates)
            }
            var passed = 0
            for index in 0..<count {
                let verdict = gate.gate.admit(keys[index], now: context.uptimeNanoseconds)
                guard verdict == .passes else {
                    gate.counters.add(verdict, rows: 1)
                    continue
                }
                if passed == 0 { runner.counters.passed.add(1) }
                passed += 1
                runner.counters.rows.add(1)
                act(runner, row: rows[index], event: event, message: message)
            }
            guard passed == 0 else { return }
            runner.counters.noResult.add(1)
            gate.counters.matches.add(1)
        } catch {
            fail(runner, error, event: event)
        }
    }

    private func fail(_ runner: RuleRunner, _ error: EvaluationError, event: any EventColumns) {
        runner.counters.exceptions.add(1)
        runner.counters.note(error, in: .statement, nanoseconds: context.nowNanoseconds)
        shard.lines.debug("A rule failed.", metadata: ["rule.id": "\(runner.rule.id)", "error": "\(error)"])
        guard let (appender, use) = runner.deadLetter else { return }
        do throws(EvaluationError) {
            let row = try error.row(of: event, ruleID: runner.rule.id, in: context)
            runner.counters.deadLetters.add(1)
            if appender.append(row: row, use: use, event: record, context: context) { dirtyAppenders.append(appender) }
        } catch {
            shard.lines.warning(
                "A dead letter could not be made.", metadata: ["rule.id": "\(runner.rule.id)", "error": "\(error)"])
        }
    }

    @inline(__always)
    private func act(_ runner: RuleRunner, row: Value, event: any EventColumns, message: MessageView?) {
        for index in 0..<runner.actions.count {
            if case .guarded(let guarded) = runner.actions[index] {
                guard isWanted(row, by: guarded, runner, event: event) else { continue }
                perform(guarded.action, index, runner, row: row, event: event, message: message)
            } else {
                perform(runner.actions[index], index, runner, row: row, event: event, message: message)
            }
        }
    }

    @inline(__always)
    private func perform(
        _ action: RuleRunner.Action, _ index: Int, _ runner: RuleRunner, row: Value, event: any EventColumns,
        message: MessageView?
    ) {
        switch action {
        case .sink(let appender, let use):
            if appender.append(row: row, use: use, event: record, context: context) { dirtyAppenders.append(appender) }
        case .republish(let action):
            let succeeded = republish(action, runner, row: row, event: event, message: message)
            let counters = runner.counters.republished[index]
            if succeeded { counters.success.add(1) } else { counters.failed.add(1) }
        case .guarded: break  // conditions do not nest
        }
    }

    @inline(never)
    private func isWanted(
        _ row: Value, by guarded: GuardedAction, _ runner: RuleRunner, event: any EventColumns
    ) -> Bool {
        do throws(EvaluationError) {
            let holds = try guarded.condition.holds(for: row, event: event, in: context)
            if !holds { guarded.counters.skipped.add(1) }
            return holds
        } catch {
            guarded.counters.failed.add(1)
            runner.counters.note(error, in: .condition, nanoseconds: context.nowNanoseconds)
            shard.lines.debug(
                "The condition of an action failed.",
                metadata: ["rule.id": "\(runner.rule.id)", "error": "\(error)"])
            return false
        }
    }

    func prepareTemplates(_ rule: InstalledRule) -> TemplateContext {
        templates.eventMilliseconds = context.nowNanoseconds / 1_000_000
        templates.ruleID = rule.id
        templates.undefinedAs = rule.undefinedAs
        templates.payloadEncoding = rule.payloadEncoding
        return templates
    }
}
