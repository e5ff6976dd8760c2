import Buffers
import Foundation
import RuleEngine
import Testing

/// A publish as the broker hands it over: columns that point into memory of its own.
final class PublishEvent: EventColumns {
    private static let order: [Column] = [
        .id, .clientid, .username, .payload, .peerhost, .peername, .topic, .qos, .flags, .pubProps,
        .publishReceivedAt, .clientAttrs, .event, .timestamp, .node,
    ]
    private let payloadBytes: UnsafeMutableRawBufferPointer
    private let flags: UnsafeMutablePointer<Member>
    private let props: UnsafeMutablePointer<Member>

    init(payload: String) {
        payloadBytes = .allocate(byteCount: payload.utf8.count, alignment: 1)
        payloadBytes.copyBytes(from: payload.utf8)
        flags = .allocate(capacity: 2)
        flags[0] = Member(key: Value.string("dup").bytes, value: .false)
        flags[1] = Member(key: Value.string("retain").bytes, value: .false)
        props = .allocate(capacity: 1)
        props[0] = Member(key: Value.string("User-Property").bytes, value: .emptyObject)
    }

    deinit {
        payloadBytes.deallocate()
        flags.deallocate()
        props.deallocate()
    }

    var present: [Column] { Self.order }

    func value(of column: Column, in context: EvaluationContext) -> Value {
        switch column {
        case .payload: .string(Bytes(payloadBytes))
        case .topic: .string("t/x/x")
        case .clientid: .string("client-0001")
        case .qos: .integer(1)
        case .id: .string("0005E8F80005E8F80005E8F80005E8F8")
        case .peerhost: .string("127.0.0.1")
        case .peername: .string("127.0.0.1:40000")
        case .flags: .object(UnsafeBufferPointer(start: flags, count: 2))
        case .pubProps: .object(UnsafeBufferPointer(start: props, count: 1))
        case .publishReceivedAt, .timestamp: .integer(1_700_000_000_000)
        case .clientAttrs: .emptyObject
        case .event: .atom("message.publish")
        case .node: .string("n1@host")
        default: .undefined
        }
    }
}

/// What an evaluation costs, from the event to the row and to its JSON text; only printed, and only with `RULE_BENCH`.
@Suite(.serialized) struct `Evaluation cost` {
    static let payload = """
        {"device":{"id":"dev-000123","kind":"sensor"},"temp":31.5,"hum":40,"site":"plant-7","rssi":-71,\
        "readings":[{"name":"a","v":1},{"name":"b","v":12},{"name":"c","v":30}],"ts":1700000000000,"ok":true,"fw":"1.2.3"}
        """

    @Test func `the usual queries`() throws {
        guard ProcessInfo.processInfo.environment["RULE_BENCH"] != nil else { return }
        print("payload of \(Self.payload.utf8.count) bytes; ns to the row, ns to the row's JSON")
        for sql in [
            "SELECT * FROM \"t/#\"",
            "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > 30",
            "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > 1000",
            "SELECT payload.device.id as id, payload.readings[1].v * 2 + 1 as v FROM \"t/#\" "
                + "WHERE payload.device.kind = 'sensor' and topic =~ 't/+/x'",
            "FOREACH payload.readings as r DO r.v as v, clientid INCASE r.v > 10 FROM \"t/#\"",
            "SELECT clientid, qos FROM \"t/#\" WHERE qos > 1",
        ] {
            let rule = try #require(CompiledRule.compile(sql: sql, id: "bench").rule)
            print("\(measure(rule, encode: false)) \(measure(rule, encode: true)) \(sql)")
        }
    }

    @Test func `a hundred rules on one topic`() throws {
        guard ProcessInfo.processInfo.environment["RULE_BENCH"] != nil else { return }
        let rules = try (0..<100).map { number in
            let sql = "SELECT payload.temp as t, clientid FROM \"t/#\" WHERE payload.temp > \(number + 100)"
            return try #require(CompiledRule.compile(sql: sql, id: "r\(number)").rule)
        }
        let group = RuleGroup(rules)
        let context = EvaluationContext(node: "n1@host")
        let event = PublishEvent(payload: Self.payload)
        let rows = RowList()
        var passed = 0
        let start = ContinuousClock.now
        for _ in 0..<10_000 {
            context.arena.reset()
            group.evaluate(event, in: context, rows: rows) { _, outcome in
                if case .passed = outcome { passed += 1 }
            }
        }
        let elapsed = (ContinuousClock.now - start).components
        let nanoseconds = Int(elapsed.seconds) * 1_000_000_000 + Int(elapsed.attoseconds / 1_000_000_000)
        print("\(nanoseconds / 1_000_000) ns a rule where a hundred share a payload, \(passed) passed")
    }

    private func measure(_ rule: CompiledRule, encode: Bool) -> Int {
        let context = EvaluationContext(node: "n1@host")
        let event = PublishEvent(payload: Self.payload)
        let rows = RowList()
        let output = OutputBuffer()
        let count = 200_000
        var best = Int.max
        for _ in 0..<3 {
            let start = ContinuousClock.now
            for _ in 0..<count {
                context.arena.reset()
                rows.removeAll()
                _ = rule.evaluate(event, in: context, rows: rows)
                guard encode else { continue }
                output.removeAll()
                for index in 0..<rows.count { try? JSON.append(rows[index], to: output) }
            }
            let elapsed = (ContinuousClock.now - start).components
            best = min(best, Int(elapsed.seconds) * 1_000_000_000 + Int(elapsed.attoseconds / 1_000_000_000))
        }
        return best / count
    }
}
