import Buffers
import Logging
import MQTTCodec
import RuleEngine
import Sinks
import Synchronization
import Topics

/// The rules in force, as one immutable value. The node publishes it; each shard keeps its own reference.
final class RuleSnapshot: Sendable {
    let rules: [InstalledRule]
    let byEvent: [EventName: [InstalledRule]]

    init(rules: [InstalledRule]) {
        self.rules = rules
        var byEvent: [EventName: [InstalledRule]] = [:]
        for rule in rules where rule.isEnabled {
            for event in EventName.allCases where rule.listens(to: event) { byEvent[event, default: []].append(rule) }
        }
        self.byEvent = byEvent
    }

    static let empty = RuleSnapshot(rules: [])
}

/// The rules of one topic on one shard: evaluated together, so that the payload is scanned once.
final class RuleSetRunner {
    let group: RuleGroup
    private let runners: [RuleRunner]
    /// The same, for the message path: read without counting references. ``runners`` keeps them alive.
    private let members: UnsafeMutableBufferPointer<Unmanaged<RuleRunner>>

    /// Whether the evaluation may come some milliseconds after the message: sinks queue anyway, a republish follows at once.
    let mayWait: Bool
    /// Whether one of the rules takes the message in place of a subscriber.
    let consumes: Bool

    init(group: RuleGroup, runners: [RuleRunner]) {
        self.group = group
        self.runners = runners
        mayWait = runners.allSatisfy(\.mayWait)
        consumes = runners.contains { $0.rule.consumes }
        members = .allocate(capacity: runners.count)
        _ = members.initialize(from: runners.map(Unmanaged.passUnretained))
    }

    deinit { members.deallocate() }

    /// The runner of the group's n-th rule.
    @inline(__always)
    func withMember(_ position: Int, _ body: (RuleRunner) -> Void) {
        members[position]._withUnsafeGuaranteedRef(body)
    }
}

/// What a rule's republishes failed of since it was last said.
private struct RepublishFailures {
    /// Milliseconds between two lines.
    static let interval: Int64 = 60_000

    var nextReport: Int64 = 0
    private(set) var count = 0
    private(set) var reason = ""

    mutating func note(_ reason: () -> String) {
        // The first one's: the next ones mostly have the same.
        if count == 0 { self.reason = reason() }
        count += 1
    }
}

/// The rule engine's seat on a shard: evaluates, counts, hands rows to the actions. Confined to the shard's thread.
final class RuleStage {
    let context: EvaluationContext
    private let logger: Logger
    let ignoresSystemTopics: Bool
    private let templates: TemplateContext
    private let rows = RowList()
    private let event = MessageEvent()
    /// What sinks are told of the event under evaluation.
    private var record = RecordContext(
        timestamp: 0, clientID: Bytes(start: nil, count: 0), topic: Bytes(start: nil, count: 0))
    private var snapshot = RuleSnapshot.empty
    private var runners: [ObjectIdentifier: RuleRunner] = [:]
    /// This shard's end of each sink that its rules use.
    private var appenders: [ObjectIdentifier: SinkAppender] = [:]
    /// Those with something to hand over at the end of the tick.
    private var dirtyAppenders: [SinkAppender] = []
    /// Those of sinks that may ask publishers to wait.
    private var blockingAppenders: [SinkAppender] = []
    private var canCongest = false
    private var sets: [[ObjectIdentifier]: RuleSetRunner] = [:]
    private var eventSets: [EventName: RuleSetRunner] = [:]
    /// The owner.
    private unowned(unsafe) var shard: Shard!
    /// By rule.
    private var failures: [String: RepublishFailures] = [:]

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

    // MARK: Message events

    /// Runs a topic's rules over a message that was published: now, or with those that follow.
    @inline(__always)
    func run(_ set: RuleSetRunner, message: MessageView) {
        windowCount &+= 1
        if isBatching, set.mayWait, RuleBacklog.accepts(message) {
            backlog.append(message, set, nanoseconds: context.nowNanoseconds)
            if backlog.isFull { evaluateBacklog() }
        } else {
            evaluate(set, message: message)
        }
    }

    @inline(never)
    private func evaluate(_ set: RuleSetRunner, message: MessageView) {
        evaluateBacklog()
        evaluatePublish(set, message)
    }

    private func evaluatePublish(_ set: RuleSetRunner, _ message: MessageView) {
        event.kind = .messagePublish
        event.message = message
        event.receiver = nil
        run(message, set)
    }

    /// What waits comes before anything else that rules are to see.
    private func evaluateBacklog() {
        guard !backlog.isEmpty else { return }
        let (now, uptime) = (context.nowNanoseconds, context.uptimeNanoseconds)
        backlog.drain { set, message, nanoseconds in
            context.nowNanoseconds = nanoseconds
            // As much earlier, unless the wall clock was set meanwhile.
            context.uptimeNanoseconds = uptime - max(0, min(now - nanoseconds, linger * 1_000_000))
            evaluatePublish(set, message)
        }
        context.nowNanoseconds = now
        context.uptimeNanoseconds = uptime
    }

    func messageDropped(_ message: MessageView, reason: StaticString) {
        guard let set = eventSets[.messageDropped], !isIgnored(message) else { return }
        evaluateBacklog()
        event.reason = reason
        event.kind = .messageDropped
        event.message = message
        event.receiver = nil
        run(message, set)
    }

    func messageDelivered(_ message: MessageView, as delivery: DeliveryTraits, session: Session) {
        guard let set = eventSets[.messageDelivered], !isIgnored(message) else { return }
        run(set, kind: .messageDelivered, message, delivery, session)
    }

    /// - Parameter properties: the acknowledgement's, encoded.
    func messageAcked(_ message: Message, as delivery: DeliveryTraits, properties: Bytes, session: Session) {
        withExtendedLifetime(message) {
            let view = message.view
            guard let set = eventSets[.messageAcked], !isIgnored(view) else { return }
            event.acknowledgement = properties
            run(set, kind: .messageAcked, view, delivery, session)
        }
    }

    func deliveryDropped(_ message: MessageView, as delivery: DeliveryTraits, session: Session, reason: DropReason) {
        guard let set = eventSets[.deliveryDropped], !isIgnored(message) else { return }
        event.reason = reason.text
        run(set, kind: .deliveryDropped, message, delivery, session)
    }

    private func isIgnored(_ message: MessageView) -> Bool {
        ignoresSystemTopics && message.topic.starts(with: "$SYS/".utf8)
    }

    private func run(
        _ set: RuleSetRunner, kind: EventName, _ message: MessageView, _ delivery: DeliveryTraits, _ session: Session
    ) {
        evaluateBacklog()
        event.kind = kind
        event.message = message
        event.receiver = session.publisher
        event.delivery = delivery
        run(message, set)
    }

    @inline(__always)
    private func run(_ message: MessageView, _ set: RuleSetRunner) {
        let client = event.receiver ?? message.publisher
        run(
            set, event: event, message: message, clientID: client?.clientIDValue.bytes ?? Bytes(start: nil, count: 0),
            topic: message.topic)
    }

    // MARK: Client events

    /// Runs the rules that listen to an event of a client or of the node; its columns are made only for them.
    func run(_ kind: EventName, clientID: String, _ columns: () -> [(name: String, value: StoredValue)]) {
        guard let set = eventSets[kind] else { return }
        evaluateBacklog()
        let common: [(name: String, value: StoredValue)] = [
            ("event", .atom(Array(kind.rawValue.utf8))),
            ("timestamp", .integer(Int(context.nowNanoseconds / 1_000_000))),
            ("node", .string(Array(context.node.utf8))),
        ]
        let event = DictionaryEvent(common + columns())
        withBytes(clientID) { clientID in
            run(set, event: event, message: nil, clientID: clientID, topic: Bytes(start: nil, count: 0))
        }
    }

    // MARK: Evaluation

    private func run(
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

    // MARK: Republish [EMQX rule-sql: republish]

    /// - Returns: whether the action succeeded; a message that this very rule published is left alone, which is a success
    ///   as in EMQX.
    private func republish(
        _ action: RepublishAction, _ runner: RuleRunner, row: Value, event: any EventColumns, message: MessageView?
    ) -> Bool {
        let hops = (message?.traits.hops ?? 0) &+ 1
        guard hops <= runner.rule.maxHops else {
            fail(
                .badArgument(function: "republish", reason: "the message has passed \(hops - 1) rules"),
                toRepublish: runner)
            return false
        }
        do throws(EvaluationError) {
            var origin = RepublishEvent()
            origin.flags = try event.value(of: .flags, in: context)
            origin.publishProperties = try event.value(of: .pubProps, in: context)
            if hops > 1 { origin.republishedBy = message?.publisher?.clientID }
            guard let made = try action.message(row: row, event: origin, context: prepareTemplates(runner.rule)) else {
                noteFailure(of: runner, "the message came from this rule")
                return true
            }
            // As for a client's topics: a text from a payload may be anything. [MQTT-3.3.2-2]
            guard UTF8Text.isValid(made.topic) else {
                throw .badArgument(function: "republish", reason: "the rendered topic is not UTF-8")
            }
            guard TopicSyntax.levels(made.topic) <= shard.settings.maxTopicLevels else {
                throw .badArgument(function: "republish", reason: "the rendered topic has too many levels")
            }
            shard.republished.append(shard.makeMessage(made, runner: runner, hops: hops))
            return true
        } catch {
            fail(error, toRepublish: runner)
            return false
        }
    }

    private func fail(_ error: EvaluationError, toRepublish runner: RuleRunner) {
        runner.counters.note(error, in: .republish, nanoseconds: context.nowNanoseconds)
        noteFailure(of: runner, error.explanation)
    }

    /// Counted with the rule; said once a minute, since each message may fail.
    private func noteFailure(of runner: RuleRunner, _ reason: @autoclosure () -> String) {
        failures[runner.rule.id, default: RepublishFailures()].note(reason)
    }

    /// In the timer's tick: a line for each rule whose republishes have failed since its last one.
    func reportFailures(now: Int64) {
        guard !failures.isEmpty else { return }
        for (id, failed) in failures where now >= failed.nextReport {
            guard failed.count > 0 else {
                failures[id] = nil
                continue
            }
            logger.warning(
                "Republishes did not take place.",
                metadata: ["rule.id": "\(id)", "rule.republishes": "\(failed.count)", "error": "\(failed.reason)"])
            failures[id] = RepublishFailures(nextReport: now + RepublishFailures.interval)
        }
    }

    private func prepareTemplates(_ rule: InstalledRule) -> TemplateContext {
        templates.eventMilliseconds = context.nowNanoseconds / 1_000_000
        templates.ruleID = rule.id
        templates.undefinedAs = rule.undefinedAs
        templates.payloadEncoding = rule.payloadEncoding
        return templates
    }

    // MARK: The tick

    /// Milliseconds for which messages and rows may gather under load. 0 where the loop does not come back by itself.
    var linger: Int64 = 0
    /// So many messages within ``linger`` are a load under which the next ones gather.
    private static let load = 8
    /// Monotonic milliseconds at which the loop is to come back for what has gathered.
    private(set) var due = Int64.max
    private var windowEnd: Int64 = 0
    private var windowCount = 0
    private var isBatching = false
    private let backlog = RuleBacklog()

    /// Evaluates and gives to the sinks' workers what has gathered, unless it may gather on. At the end of each tick.
    @inline(__always)
    func endTick(now: Int64) {
        if now < windowEnd, isBatching, !dirtyAppenders.contains(where: \.isFull) {
            due = backlog.isEmpty && dirtyAppenders.isEmpty ? .max : windowEnd
        } else {
            finishTick(now: now)
        }
    }

    private func finishTick(now: Int64) {
        handOver()
        guard now >= windowEnd else { return }
        isBatching = linger > 0 && windowCount >= Self.load
        windowCount = 0
        windowEnd = now + linger
    }

    /// Evaluates what waits and gives what has been gathered to the sinks' workers.
    func handOver() {
        evaluateBacklog()
        due = .max
        guard !dirtyAppenders.isEmpty else { return }
        for appender in dirtyAppenders { appender.handOver() }
        dirtyAppenders.removeAll(keepingCapacity: true)
    }

    /// Whether a sink asks its publishers to wait.
    @inline(__always)
    var isCongested: Bool { canCongest && blockingAppenders.contains { $0.isCongested } }
}
